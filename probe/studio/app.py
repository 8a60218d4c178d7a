"""The studio's addresses."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.routing import Route

from probe.studio import asks, pages
from probe.studio.answering import Handler, answered
from probe.studio.desk import Desk
from probe.studio.gate import Gate

if TYPE_CHECKING:
    from starlette.types import ASGIApp

SHOWN: dict[str, Handler] = {
    "/": pages.home,
    "/assets/{name}": pages.asset,
    "/scales/{kind}.png": pages.scale,
    "/pictures/{id}.webp": asks.uploaded,
    "/ledger": asks.strangers,
    "/compare": pages.compare,
    "/compare/report": pages.compared,
    "/runs/{id}": pages.run_page,
    "/runs/{id}/thumb.webp": pages.thumb,
    "/runs/{id}/picture.webp": pages.picture,
    "/runs/{id}/map.webp": pages.map_over,
    "/runs/{id}/report": pages.report,
    "/runs/{id}/redact": pages.redact,
    "/runs/{id}/events": asks.events,
    "/runs/{id}/live/{which}.png": asks.live_map,
    "/runs/{id}/covered/{key}.webp": asks.covered,
    "/runs/{id}/covered/{key}/file": asks.covered_file,
}
ASKED: dict[str, Handler] = {
    "/pictures": asks.upload,
    "/plan": asks.plan,
    "/runs": asks.start,
    "/runs/{id}/plan": asks.again,
    "/runs/{id}/resume": asks.resume,
    "/runs/{id}/pause": asks.pause,
    "/runs/{id}/stop": asks.stop,
    "/runs/{id}/delete": asks.delete,
    "/runs/{id}/cover": asks.cover_boxes,
    "/runs/{id}/covered/{key}/score": asks.score,
}
"""These change something, or cost something."""


def make(desk: Desk, token: str, port: int, closing: Callable[[], bool]) -> ASGIApp:
    """The application. closing: whether pages are to be told that the studio ends."""
    shown = [Route(path, answered(handler)) for path, handler in SHOWN.items()]
    asked = [Route(path, answered(handler), methods=["POST"]) for path, handler in ASKED.items()]
    app = Starlette(routes=[*shown, *asked])
    app.state.desk = desk
    app.state.closing = closing
    return Gate(app, token, port)
