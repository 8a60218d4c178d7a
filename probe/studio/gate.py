"""Who may speak to the studio: a page that it opened itself, in the user's own browser."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from secrets import token_urlsafe
from urllib.parse import parse_qs

from starlette.datastructures import MutableHeaders
from starlette.responses import HTMLResponse, PlainTextResponse, Response
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
ENTER = (
    '<!doctype html><html lang="en"><title>probe studio</title>'
    '<link rel="icon" href="data:,">'
    '<meta http-equiv="refresh" content="0;url=/"><p><a href="/">The studio</a></p></html>'
)
"""Goes on by itself: a strict cookie is not sent where another page led here."""
LOST = (
    "This page opens by the whole address, with its token, that `probe studio` printed when it "
    "was started.\n"
)


class Gate:
    """Lets requests through to `app` that come by this address, with the token, from itself.

    The token comes in the address that was printed, and lets in to a cookie of another value that
    no script sees. Host has to be this very address, so that no name that leads here is believed
    (DNS rebinding); what changes anything has to come from a page of this origin. `port` is part
    of the cookie's name: cookies are shared by all ports.
    """

    def __init__(self, app: ASGIApp, token: str, port: int) -> None:
        self._app = app
        self._token = token
        self._pass = token_urlsafe(24)
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
        if not self._has_pass(headers):
            return PlainTextResponse(LOST, 403)
        if scope["method"] not in SAFE and not _from_here(found, hosts[0]):
            return PlainTextResponse("Only the studio's own page may ask for this.\n", 403)
        return None

    def _enter(self, token: str) -> Response:
        if not hmac.compare_digest(token.encode("utf-8", "replace"), self._token.encode()):
            return PlainTextResponse(LOST, 403)
        answer = HTMLResponse(ENTER)
        answer.set_cookie(self._cookie, self._pass, path="/", httponly=True, samesite="strict")
        return answer

    def _has_pass(self, headers: list[tuple[str, bytes]]) -> bool:
        """Whatever other cookies there are: those of all ports of this machine come along."""
        cookies = b";".join(value for name, value in headers if name == "cookie").split(b";")
        pairs = [cookie.strip().partition(b"=") for cookie in cookies]
        given = [value for name, _, value in pairs if name == self._cookie.encode()]
        return any(hmac.compare_digest(value, self._pass.encode()) for value in given)


def _from_here(headers: Mapping[str, bytes], host: str) -> bool:
    """Browsers say where a request that changes something comes from; whoever does not is none."""
    site = headers.get("sec-fetch-site", b"same-origin")
    return headers.get("origin") == f"http://{host}".encode() and site == b"same-origin"
