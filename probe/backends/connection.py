"""What every backend behind a wire shares: patience, certificates, and what must not happen."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Collection
from dataclasses import dataclass
from hashlib import sha256
from threading import Lock
from typing import Self

from probe.api.http import address, is_loopback
from probe.errors import Rejected, UsageError
from probe.text import printable

LONGEST = 200
"""Characters of a model's version; a longer one is known by its SHA-256."""

SHOWN = 40
"""Characters of it in a message."""


@dataclass(frozen=True, slots=True)
class Connection:
    """timeout: seconds for a request and its whole answer. ca_file: certificates to trust in
    place of the usual ones. allow_http: keys may go unencrypted to other machines.
    """

    timeout: float = 60.0
    ca_file: str | None = None
    allow_http: bool = False

    def check(self, url: str, secrets: Collection[str]) -> None:
        """UsageError where keys, by the names of their variables, would travel in the open."""
        if secrets and not self.allow_http and url.startswith("http:") and not is_loopback(url):
            raise UsageError(
                f"{', '.join(sorted(secrets))} would go unencrypted to {address(url)}: "
                "give its https address, or --allow-http if that is meant"
            )


class Generation:
    """Which version of its model a service is asked as, and which one answered last: a map of
    answers by two models means nothing.

    memory: what `news` said last, so that the version that answered last is the one asked.
    """

    def __init__(self, who: str, memory: str | None = None) -> None:
        known: dict[str, str] = json.loads(memory) if memory else {}
        self.who = who
        self._told = memory
        self._first = known.get("first")
        self._asked = self._now = known.get("now")
        self._lock = Lock()

    def identity(self, service: str) -> str:
        """The service's identity, with the version unless that is the one that came first."""
        with self._lock:
            first, asked = self._first, self._asked
        if asked is None or asked == first:
            return service
        return f"{service} version {printable(asked)}"

    def check(self, version: str | None) -> None:
        """Raise Rejected when `version` is not the one asked, which is the first that comes where
        none is remembered; None says nothing."""
        if version is None:
            return
        if len(version) > LONGEST:
            version = sha256(version.encode(errors="surrogatepass")).hexdigest()
        with self._lock:
            if self._asked is None:
                self._first = self._asked = self._now = version
            asked = self._asked
            if version != asked:
                self._now = version
        if version != asked:
            before, after = _told_apart(asked, version)
            raise Rejected(
                f"the model behind {self.who} changed from version {before!r} to {after!r}; "
                "answers of two models are not mixed: the same command asks the new one from the "
                "start"
            )

    @property
    def answered(self) -> str | None:
        """The version that answered last."""
        with self._lock:
            return self._now

    def news(self) -> str | None:
        """What to remember, JSON of the version that came first and of the last one; None where
        that is what was said before."""
        with self._lock:
            text = json.dumps({"first": self._first, "now": self._now})
            if self._first is None or text == self._told:
                return None
            self._told = text
            return text


class Versioned(ABC):
    """A backend whose answers may name the version of their model, which its identity minds."""

    generation: Generation

    @property
    @abstractmethod
    def service_identity(self) -> str:
        """What the identity is whatever the version."""

    @property
    def identity(self) -> str:
        return self.generation.identity(self.service_identity)

    def of(self, generation: Generation) -> Self:
        """The same backend, with all that it has open, asked as `generation`."""
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__, generation=generation)
        return other


def _told_apart(one: str, other: str) -> list[str]:
    """Both versions, long ones cut to where they begin to differ."""
    pairs = enumerate(zip(one, other, strict=False))
    differ = next((i for i, (a, b) in pairs if a != b), min(len(one), len(other)))
    start = max(0, differ - SHOWN // 2) if max(len(one), len(other)) > SHOWN else 0
    return ["…" * (start > 0) + printable(version[start:], SHOWN) for version in (one, other)]
