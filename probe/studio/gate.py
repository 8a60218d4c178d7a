"""Who may speak to the studio: a page that it opened itself, in the user's own browser."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs

from starlette.datastructures import MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SAFE = ("GET", "HEAD")
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'self'"
)
REPORT_POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'self'; sandbox allow-scripts"
)
"""A report states in itself, by their hashes, which script and style it has: both policies hold.
Sandboxed, it is nobody's page, and cannot speak to the studio."""
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
LOST = (
    "This page opens by the whole address, with its token, that `probe studio` printed when it "
    "was started.\n"
)


class Gate:
    """Lets requests through to `app` that come by this address, with the token, from itself.

    The token comes once, in the address that was printed, and becomes a cookie that no script
    sees. Host has to be this very address, so that no name that leads here is believed (DNS
    rebinding); what changes anything has to come from a page of this origin. `port` is part of the
    cookie's name: cookies are shared by all ports.
    """

    def __init__(self, app: ASGIApp, token: str, port: int) -> None:
        self._app = app
        self._token = token.encode()
        self._hosts = (f"127.0.0.1:{port}", f"localhost:{port}")
        self._cookie = f"probe-studio-{port}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return

        async def sealed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        answer = self._answer(scope)
        await (answer or self._app)(scope, receive, sealed)

    def _answer(self, scope: Scope) -> Response | None:
        """What is said at the door; None lets the request in."""
        headers = [(name.decode("latin-1"), value) for name, value in scope["headers"]]
        hosts = [value.decode("latin-1") for name, value in headers if name == "host"]
        if len(hosts) != 1 or hosts[0] not in self._hosts:
            return PlainTextResponse("This is another address.\n", 421)
        found = dict(headers)
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token")
        if given is not None and scope["path"] == "/" and scope["method"] in SAFE:
            return self._enter(given[0])
        if not self._is_token(self._cookie_of(found)):
            return PlainTextResponse(LOST, 403)
        if scope["method"] not in SAFE and not _from_here(found, hosts[0]):
            return PlainTextResponse("Only the studio's own page may ask for this.\n", 403)
        return None

    def _enter(self, token: str) -> Response:
        if not self._is_token(token):
            return PlainTextResponse(LOST, 403)
        answer = RedirectResponse("/", 303)
        answer.set_cookie(self._cookie, token, path="/", httponly=True, samesite="strict")
        return answer

    def _cookie_of(self, headers: Mapping[str, bytes]) -> str:
        try:
            morsel = SimpleCookie(headers.get("cookie", b"").decode("latin-1")).get(self._cookie)
        except CookieError:
            return ""
        return "" if morsel is None else morsel.value

    def _is_token(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), self._token)


def _from_here(headers: Mapping[str, bytes], host: str) -> bool:
    """Browsers say where a request that changes something comes from; whoever does not is none."""
    site = headers.get("sec-fetch-site", b"same-origin")
    return headers.get("origin") == f"http://{host}".encode() and site == b"same-origin"
