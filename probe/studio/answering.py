"""How the studio answers: what every page and every call of its scripts goes through."""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response

from probe import __version__
from probe.errors import BackendError, ImageError, LimitReached, ProbeError, StorageError
from probe.report.templates import templates
from probe.studio.desk import Busy, Desk
from probe.studio.folder import RunFolder
from probe.studio.live import Live, one_line
from probe.studio.pictures import Missing

log = logging.getLogger(__name__)

Handler = Callable[[Request], Awaitable[Response]]
MAX_REQUEST = 2**18
STATUS = (
    (Busy, 409),
    (ImageError, 422),
    (BackendError, 502),
    (LimitReached, 429),
    (StorageError, 507),
    (ProbeError, 400),
)


class Refused(Exception):
    """Ends a request with a status and a line."""

    def __init__(self, status: int, line: str) -> None:
        super().__init__(line)
        self.status = status


def answered(handler: Handler) -> Handler:
    """Every error is one line: as JSON to a script, as a page to a person."""

    @wraps(handler)
    async def wrapped(request: Request) -> Response:
        try:
            return await handler(request)
        except Refused as error:
            status, line = error.status, str(error)
        except Missing:
            status, line = 404, "there is nothing here (any more)"
        except ProbeError as error:
            status = next(code for kind, code in STATUS if isinstance(error, kind))
            line = str(error)
        except ClientDisconnect:
            return Response(status_code=400)
        except Exception as error:
            status, line = 500, f"a bug of ours, {type(error).__name__}: {error}"
            log.error("%s", one_line(line), exc_info=log.isEnabledFor(logging.DEBUG))
        if request.headers.get("sec-fetch-dest") == "iframe":
            return PlainTextResponse(one_line(line), status)
        if request.method == "GET" and "text/html" in request.headers.get("accept", ""):
            return html("wrong.html", status, said=one_line(line))
        return JSONResponse({"error": one_line(line)}, status)

    return wrapped


def desk_of(request: Request) -> Desk:
    desk: Desk = request.app.state.desk
    return desk


def run_of(request: Request) -> RunFolder:
    return desk_of(request).folder.run(request.path_params["id"])


def live_of(request: Request) -> Live:
    live = desk_of(request).live(request.path_params["id"])
    if live is None:
        raise Missing(request.path_params["id"])
    return live


async def body_of(request: Request, most: int, said: str) -> bytes:
    """Of at most so many bytes, however many are announced or come."""
    announced = request.headers.get("content-length", "0")
    if not announced.isdigit() or int(announced) > most:
        raise Refused(413, said)
    data = bytearray()
    async for part in request.stream():
        data += part
        if len(data) > most:
            raise Refused(413, said)
    return bytes(data)


async def json_of(request: Request) -> Any:
    data = await body_of(request, MAX_REQUEST, "this request is too long")
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise Refused(400, "a request is JSON") from error


def calls_of(given: Any) -> int:
    """How many calls the user was shown before the click."""
    calls = given.get("calls") if isinstance(given, dict) else None
    if type(calls) is not int:
        raise Refused(400, "say how many calls were agreed to")
    return calls


def html(name: str, status: int = 200, **context: Any) -> Response:
    text = templates("probe.studio").get_template(name).render(version=__version__, **context)
    return HTMLResponse(text, status)


def image(data: bytes) -> Response:
    kind = "image/png" if data.startswith(b"\x89PNG") else "image/webp"
    return Response(data, media_type=kind)
