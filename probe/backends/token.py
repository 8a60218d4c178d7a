"""Bearer tokens that a service hands out for a key (OAuth 2.0's client credentials, RFC 6749)."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from threading import Lock
from typing import Any
from urllib.parse import urlencode

from probe.api.expressions import search
from probe.api.http import Lost, Reply, address
from probe.api.json import is_number, load_json
from probe.api.profile.records import Token
from probe.api.profile.settings import Settings
from probe.api.request import Request
from probe.errors import AuthError, ContractError, Unreachable

EARLY = 30.0
"""Seconds before its end at which a token is renewed."""

Send = Callable[[Request], Reply]


class Tokens:
    """The token of one service: asked for once by whichever thread needs it first, and kept.

    send: sends a request. Raises AuthError where the key is not accepted, Unreachable where no
    token came for another reason, ContractError where the answer holds none.
    """

    def __init__(
        self,
        form: Token,
        settings: Settings,
        send: Send,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._form, self._settings, self._send, self._clock = form, settings, send, clock
        self._header: str | None = None
        self._until = 0.0
        self._replaces_refused = False
        self._lock = Lock()

    def signed(self, request: Request) -> Request:
        """The request with a token that has not run out."""
        with self._lock:
            if self._header is None or self._clock() >= self._until:
                self._header = self._new()
            return replace(request, headers={**request.headers, "Authorization": self._header})

    def accept(self, signed: Request) -> None:
        """The service took the token of this request."""
        with self._lock:
            if self._header == signed.headers["Authorization"]:
                self._replaces_refused = False

    def drop(self, signed: Request) -> bool:
        """The service does not take the token of this request: forget it. Whether a new one may
        help: not where this one was new, in place of another that was refused."""
        with self._lock:
            if self._header != signed.headers["Authorization"]:
                return True
            self._header = None
            again = self._replaces_refused
            self._replaces_refused = True
            return not again

    def _new(self) -> str:
        reply = self._asked()
        if reply.status != 200:
            said = f"{self._host} gave no token ({reply.status}): {reply.excerpt}"
            raise (AuthError if reply.status in (400, 401, 403) else Unreachable)(said)
        answer = load_json(reply.body)
        token = search(self._form.token, answer)
        if not isinstance(token, str) or not token.isascii() or not token.isprintable():
            raise ContractError(f"{self._host} answered without a token at {self._form.token}")
        self._until = self._clock() + self._lifetime(answer)
        return f"Bearer {token}"

    def _asked(self) -> Reply:
        try:
            return self._send(
                Request(
                    "POST",
                    self._settings.address(self._form.url),
                    {"Content-Type": "application/x-www-form-urlencoded"},
                    urlencode(
                        {name: self._settings.fill(text) for name, text in self._form.form.items()}
                    ).encode("ascii"),
                )
            )
        except Lost as error:
            raise Unreachable(f"no token: {error}") from error

    @property
    def _host(self) -> str:
        return address(self._settings.address(self._form.url))

    def _lifetime(self, answer: Any) -> float:
        seconds = search(self._form.expires, answer) if self._form.expires else None
        if seconds is None or not is_number(seconds):
            return float("inf")
        return max(0.0, float(seconds) - EARLY)
