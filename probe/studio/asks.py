"""What the pages' scripts ask for: pictures taken in, plans, runs and how they stand."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from probe.studio import cover, gallery
from probe.studio.answering import body_of, calls_of, desk_of, image, json_of, live_of, run_of
from probe.studio.aside import aside
from probe.studio.desk import Desk
from probe.studio.live import OVER, Live
from probe.studio.pictures import MAX_BYTES, shown
from probe.studio.wish import Offer, Wish

TICK = 0.2
"""Seconds between two looks at a run: no page gets more than five pictures a second."""
QUIET = 15.0
"""Seconds without news after which a page is told that it is still connected."""


async def upload(request: Request) -> Response:
    said = f"the picture has more than {MAX_BYTES >> 20} MB: make it smaller first"
    data = await body_of(request, MAX_BYTES, said)
    name = unquote(request.query_params.get("name", ""))[:200]
    added = await run_in_threadpool(desk_of(request).uploads.add, data, name)
    return JSONResponse(added.record())


async def uploaded(request: Request) -> Response:
    def draw() -> bytes:
        _, picture = desk_of(request).uploads.get(request.path_params["id"])
        return shown(picture.image)

    return image(await run_in_threadpool(draw))


async def plan(request: Request) -> Response:
    given = await json_of(request)

    def ask() -> dict[str, Any]:
        offer = _offer(desk_of(request), given)
        return offer.record() | {"samples": offer.samples()}

    return JSONResponse(await aside(ask))


def _offer(desk: Desk, given: Any) -> Offer:
    wish = Wish.read(given)
    _, picture = desk.uploads.get(str(given.get("picture")))
    return desk.offer(wish, picture)


async def start(request: Request) -> Response:
    given, desk = await json_of(request), desk_of(request)

    def begin() -> str:
        calls, offer = calls_of(given), _offer(desk, given)
        upload, _ = desk.uploads.get(str(given.get("picture")))
        return desk.start(upload, offer, calls).id

    return JSONResponse({"id": await run_in_threadpool(begin)}, 201)


async def again(request: Request) -> Response:
    """What resuming the run costs."""
    run, desk = run_of(request), desk_of(request)
    return JSONResponse(await aside(lambda: desk.offer_again(run).record()))


async def resume(request: Request) -> Response:
    """Of a paused run: go on. Of one that ended or was cut off: the same request again."""
    run, desk, given = run_of(request), desk_of(request), await json_of(request)
    live = desk.live(run.id)
    if live is not None:
        live.go_on()
    else:
        calls = calls_of(given)
        await run_in_threadpool(lambda: desk.resume(run, desk.offer_again(run), calls))
    return JSONResponse({"id": run.id})


async def pause(request: Request) -> Response:
    live_of(request).pause()
    return JSONResponse({})


async def stop(request: Request) -> Response:
    live_of(request).stop()
    return JSONResponse({})


async def delete(request: Request) -> Response:
    run, desk = run_of(request), desk_of(request)
    await run_in_threadpool(desk.delete, run)
    return JSONResponse({})


async def events(request: Request) -> Response:
    live, closing = live_of(request), request.app.state.closing
    stream = _news(live, closing)
    return StreamingResponse(stream, media_type="text/event-stream")


async def _news(live: Live, closing: Callable[[], bool]) -> AsyncIterator[str]:
    """How the run stands, whenever that has changed; the last event is its end."""
    seen, silent = -1, 0.0
    while True:
        view = live.view()
        if view["version"] != seen:
            seen, silent = view["version"], 0.0
            drawn = await run_in_threadpool(live.drawn)
            scales = None if drawn is None else drawn.scales
            yield f"data: {json.dumps({**view, 'scales': scales})}\n\n"
        if view["state"] in OVER:
            return
        if closing():
            yield "event: closing\ndata: {}\n\n"
            return
        await asyncio.sleep(TICK)
        silent += TICK
        if silent >= QUIET:
            silent = 0.0
            yield ": still here\n\n"


async def live_map(request: Request) -> Response:
    """No content where nothing is drawn yet, or where the run has ended meanwhile: its page comes
    anew, and a browser takes a 404 for an error."""
    run = run_of(request)
    live = desk_of(request).live(run.id)
    drawn = None if live is None else await run_in_threadpool(live.drawn)
    if drawn is None:
        return Response(status_code=204)
    return image(drawn.error if request.path_params["which"] == "error" else drawn.map)


async def strangers(request: Request) -> Response:
    desk = desk_of(request)

    def look() -> list[dict[str, Any]]:
        entries = [gallery.entry(desk, run) for run in desk.folder.all()]
        return gallery.strangers(desk.ledger, {str(one.get("digest")) for one in entries})

    return JSONResponse(await run_in_threadpool(look))


async def cover_boxes(request: Request) -> Response:
    run, given = run_of(request), await json_of(request)
    return JSONResponse(await run_in_threadpool(cover.cover, run, given))


def _covered(request: Request) -> cover.Covered:
    return cover.Covered(run_of(request), request.path_params["key"])


async def covered(request: Request) -> Response:
    return image(await run_in_threadpool(_covered(request).preview))


async def covered_file(request: Request) -> Response:
    """The very picture that was scored, to be kept."""
    path = _covered(request).path
    data = await run_in_threadpool(path.read_bytes)
    name = str(run_of(request).request["name"])
    kind = "image/png" if path.suffix == ".png" else "image/jpeg"
    disposition = attachment(f"{Path(name).stem[:80]}.redacted{path.suffix}")
    return Response(data, media_type=kind, headers={"content-disposition": disposition})


def attachment(name: str) -> str:
    """A header that no name breaks out of: plain for old readers, whole in UTF-8."""
    plain = "".join(c if c.isascii() and (c.isalnum() or c in "-_. ") else "_" for c in name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


async def score(request: Request) -> Response:
    desk, found, given = desk_of(request), _covered(request), await json_of(request)
    calls = calls_of(given)
    return JSONResponse(await run_in_threadpool(cover.score, desk, found, calls))
