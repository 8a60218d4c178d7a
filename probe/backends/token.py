"""Bearer tokens that a service hands out for a key (OAuth 2.0's client credentials, RFC 6749)."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from threading import Lock
from typing import Any
from urllib.parse import urlencode

from probe.api.expressions import search
from probe.api.http import Lost, Reply, address
from probe.api.json import is_number, load_json
from probe.api.profile import Token
from probe.api.settings import Settings
from probe.errors import AuthError, ContractError, Unreachable

EARLY = 30.0
"""Seconds before its end at which a token is renewed."""

Post = Callable[[str, Mapping[str, str], bytes], Reply]


class Tokens:
    """The token of one service: asked for once by whichever thread needs it first, and kept.

    post: sends a form to a URL. Raises AuthError where the key is not accepted, Unreachable where
    no token came for another reason, ContractError where the answer holds none.
    """

    def __init__(
        self,
        form: Token,
        settings: Settings,
        post: Post,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._form, self._settings, self._post, self._clock = form, settings, post, clock
        self._token: str | None = None
        self._until = 0.0
        self._lock = Lock()

    def get(self) -> str:
        with self._lock:
            if self._token is None or self._clock() >= self._until:
                self._token = self._new()
            return self._token

    def drop(self, token: str) -> None:
        """The service no longer takes this one."""
        with self._lock:
            if self._token == token:
                self._token = None

    def _new(self) -> str:
        url = self._settings.address(self._form.url)
        fields = {name: self._settings.fill(text) for name, text in self._form.form.items()}
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        try:
            reply = self._post(url, headers, urlencode(fields).encode("ascii"))
        except Lost as error:
            raise Unreachable(f"no token: {error}") from error
        said = f"{address(url)} gave no token ({reply.status}): {reply.excerpt}"
        if reply.status in (400, 401, 403):
            raise AuthError(said)
        if reply.status != 200:
            raise Unreachable(said)
        answer = load_json(reply.body)
        token = search(self._form.token, answer)
        if not isinstance(token, str) or not token.isascii() or not token.isprintable():
            raise ContractError(f"{address(url)} answered without a token at {self._form.token}")
        self._until = self._clock() + self._lifetime(answer)
        return token

    def _lifetime(self, answer: Any) -> float:
        seconds = search(self._form.expires, answer) if self._form.expires else None
        if seconds is None or not is_number(seconds):
            return float("inf")
        return max(0.0, float(seconds) - EARLY)
