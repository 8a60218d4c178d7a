"""Who may ask, and how often: credentials, tokens, rate windows."""

from __future__ import annotations

import json
import re
from base64 import b64decode
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import sha256
from hmac import compare_digest
from threading import Lock
from typing import Any
from urllib.parse import parse_qsl

from probe.limits import Rate
from probe.mock.inverse import leaves
from probe.mock.message import Asked, Refusal
from probe.mock.multipart import parts
from probe.mock.services import Service

SLACK = 0.9
"""Windows are a tenth shorter than stated: a client that keeps them must not seem to break them
because its requests took differently long to arrive."""

_SECRET = re.compile(r"\$\{\w+(?::-[^}]*)?\}")


class Gate:
    """key: what every credential of a request must be; None lets everyone in, and a service
    whose requests have none lets everyone in anyhow.
    rates: windows for every service instead of each service's own."""

    def __init__(
        self, key: str | None, clock: Callable[[], float], rates: Sequence[Rate] | None
    ) -> None:
        self._key, self._clock, self._rates = key, clock, rates
        self._lock = Lock()
        self._times: dict[tuple[str, Rate], deque[float]] = {}

    @property
    def token(self) -> str:
        """The bearer token that stands for the key."""
        return sha256(f"token {self._key}".encode()).hexdigest()[:32]

    def check_key(self, service: Service, asked: Asked) -> None:
        """Raises Refusal unless the request's credentials, wherever they are, are the key."""
        if self._key is None:
            return
        request = service.profile.request
        if request.token is not None:
            right = [asked.headers.get("authorization") == f"Bearer {self.token}"]
        else:
            told = {"headers": request.headers, "query": request.query, "fields": request.fields}
            right = list(self._right(told, request.template, asked))
            if request.basic is not None:
                right.append(_basic(asked) == (self._key, self._key))
        others = self._right(service.told.get("keys", {}), None, asked)
        if not all(right) and not any(others):
            raise Refusal("key")

    def check_client(self, service: Service, asked: Asked) -> None:
        """The same for the step that asks for a token."""
        token = service.profile.request.token
        if self._key is None or token is None:
            return
        right = list(self._right({"fields": token.form}, None, asked))
        if not all(right):
            raise Refusal("key")

    def check_rate(self, service: Service) -> None:
        """Raises Refusal where a window is full; the request then counts for none."""
        rates = service.limits.rate if self._rates is None else self._rates
        with self._lock:
            now = self._clock()
            windows = [
                (rate, self._times.setdefault((service.name, rate), deque())) for rate in rates
            ]
            for rate, times in windows:
                while times and times[0] <= now - rate.seconds * SLACK:
                    times.popleft()
                if len(times) >= rate.requests:
                    detail = f"{rate.requests} requests in {rate.seconds:g} s"
                    raise Refusal("throttled", detail, wait=times[0] + rate.seconds - now)
            for _, times in windows:
                times.append(now)

    def _right(self, told: Mapping[str, Any], template: str | None, asked: Asked) -> Iterator[bool]:
        """Of each place for a credential, whether the key stands there."""
        for name, text in (told.get("headers") or {}).items():
            yield from self._held(text, asked.headers.get(name.lower()))
        for name, text in (told.get("query") or {}).items():
            yield from self._held(text, asked.query.get(name))
        fields = told.get("fields") or {}
        if any(_SECRET.search(text) for text in fields.values()):
            sent = _fields(asked)
            for name, text in fields.items():
                yield from self._held(text, sent.get(name))
        if template and _SECRET.search(template):
            stated = {path: leaf for path, leaf in leaves(asked.document) if isinstance(leaf, str)}
            for path, leaf in leaves(json.loads(template)):
                if isinstance(leaf, str):
                    yield from self._held(leaf, stated.get(path))

    def _held(self, text: str, value: str | None) -> Iterator[bool]:
        """Nothing for a text that holds no credential."""
        found = _SECRET.search(text)
        if found is None:
            return
        before, after = text[: found.start()], text[found.end() :]
        inner = value.removeprefix(before) if value and value.startswith(before) else ""
        inner = inner.partition(after)[0] if after else inner
        yield compare_digest(inner.encode(), (self._key or "").encode())


def _fields(asked: Asked) -> dict[str, str]:
    kind = asked.headers.get("content-type", "")
    found = parts(asked.body, kind)
    if found is not None:
        return {p.name: p.data.decode("utf-8", "replace") for p in found if p.filename is None}
    return dict(parse_qsl(asked.body.decode("latin-1"), keep_blank_values=True))


def _basic(asked: Asked) -> tuple[str, str] | None:
    scheme, _, value = asked.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, _, password = b64decode(value).decode().partition(":")
    except ValueError:
        return None
    return user, password
