"""Pages, and the pictures on them."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from probe.methods import DEFAULT, METHODS
from probe.providers.known import Provider, providers
from probe.report.page import DIFFERENT
from probe.studio import cover, gallery
from probe.studio.answering import Refused, desk_of, html, image, run_of
from probe.studio.desk import Desk, wish_of
from probe.studio.drawing import overlay, scale_bar
from probe.studio.folder import RunFolder
from probe.studio.gate import REPORT_POLICY
from probe.studio.pictures import MAX_BYTES, SHOWN, Missing, shown
from probe.studio.wish import MOST_ANSWERS
from probe.text import printable

ASSETS = {
    "studio.css": "text/css",
    "common.js": "text/javascript",
    "home.js": "text/javascript",
    "run.js": "text/javascript",
    "redact.js": "text/javascript",
}


async def home(request: Request) -> Response:
    desk = desk_of(request)

    def render() -> Response:
        before = request.query_params.get("before", "")
        found, more = gallery.entries(desk, before)
        return html(
            "home.html",
            runs=found,
            more=more,
            before=before,
            services=[_service(one) for one in providers()],
            methods=METHODS.values(),
            default=DEFAULT,
            fills=cover.FILLS,
            most_answers=MOST_ANSWERS,
            max_bytes=MAX_BYTES,
            again=_again(desk, request.query_params.get("again")),
            ledger=printable(str(desk.ledger), 300),
            folder=printable(str(desk.folder.path), 300),
        )

    return await run_in_threadpool(render)


def _service(one: Provider) -> dict[str, str]:
    needs = [variable.name for variable in one.variables if variable.needed and not variable.set]
    if one.wrong:
        note = f" ({printable(one.wrong, 80)})"
    else:
        note = f" (needs {', '.join(needs)})" if needs else ""
    return {"name": one.name, "note": note}


def _again(desk: Desk, id: str | None) -> dict[str, Any] | None:
    """What to fill the form with: the request of an earlier run."""
    if id is None:
        return None
    run = desk.folder.run(id)
    wish = wish_of(run)
    upload = desk.uploads.add((run.path / "picture").read_bytes(), str(run.request["name"]))
    return {"picture": upload.record(), "wish": wish.record()}


async def asset(request: Request) -> Response:
    name = request.path_params["name"]
    data = (files("probe.studio") / "page" / name).read_bytes() if name in ASSETS else None
    if data is None:
        raise Missing(name)
    return Response(data, media_type=ASSETS[name])


async def scale(request: Request) -> Response:
    kind = request.path_params["kind"]
    if kind not in ("evidence", "score"):
        raise Missing(kind)
    return image(await run_in_threadpool(scale_bar, kind))


async def run_page(request: Request) -> Response:
    run, desk = run_of(request), desk_of(request)

    def render() -> Response:
        entry = gallery.entry(desk, run)
        if "wrong" in entry:
            return html("wrong.html", 500, said=entry["wrong"])
        return html("run.html", run=entry)

    return await run_in_threadpool(render)


async def thumb(request: Request) -> Response:
    path = run_of(request).path / "thumb.webp"
    if not path.is_file():
        raise Missing("no thumb")
    return image(await run_in_threadpool(path.read_bytes))


async def picture(request: Request) -> Response:
    run = run_of(request)
    return image(await run_in_threadpool(lambda: shown(run.picture().image)))


async def map_over(request: Request) -> Response:
    run = run_of(request)
    return image(await run_in_threadpool(lambda: overlay(run.result(), SHOWN)))


def _report(text: str) -> Response:
    return HTMLResponse(text, headers={"content-security-policy": REPORT_POLICY})


async def report(request: Request) -> Response:
    return _report(await run_in_threadpool(gallery.report, run_of(request)))


def _pair(request: Request) -> list[RunFolder]:
    chosen = request.query_params.getlist("run")
    if len(chosen) != 2:
        raise Refused(400, "tick two runs over the same picture to compare them")
    return [desk_of(request).folder.run(id) for id in chosen]


async def compare(request: Request) -> Response:
    runs, desk = _pair(request), desk_of(request)

    def render() -> Response:
        entries = [gallery.entry(desk, run) for run in runs]
        if len({entry.get("digest") for entry in entries}) > 1:
            raise Refused(400, DIFFERENT)
        wrong = next((entry["wrong"] for entry in entries if "wrong" in entry), None)
        if wrong is not None:
            raise Refused(400, wrong)
        source = f"/compare/report?run={runs[0].id}&run={runs[1].id}"
        return html("compare.html", runs=entries, source=source)

    return await run_in_threadpool(render)


async def compared(request: Request) -> Response:
    return _report(await run_in_threadpool(gallery.comparison, _pair(request)))


async def redact(request: Request) -> Response:
    run, desk = run_of(request), desk_of(request)

    def render() -> Response:
        entry = gallery.entry(desk, run)
        if "wrong" in entry:
            return html("wrong.html", 500, said=entry["wrong"])
        result = run.result()
        boxes = cover.suggestion(result)
        width, height = result.canvas.size
        about = {"id": run.id, "width": width, "height": height, "suggested": boxes["boxes"]}
        return html(
            "redact.html",
            run=entry,
            about=about,
            said=boxes["said"],
            fill=wish_of(run).fill,
            fills=cover.FILLS,
            price=cover.price(desk, run, result),
        )

    return await run_in_threadpool(render)
