"""What the ledger remembers of a backend: how a server describes itself, and which version of a
model answered last."""

from __future__ import annotations

from threading import Lock
from typing import Any

from probe.ledger import Ledger
from probe.types import Backend


def as_described(backend: Backend, ledger: Ledger, offline: bool) -> Backend:
    """Keep what a server says of itself, so that `offline` needs no connection to it."""
    url = getattr(backend, "url", None)
    if url is None:
        return backend
    from probe.backends.http import Http

    if not isinstance(backend, Http):
        return backend
    remembered = ledger.recall(url)
    if offline and remembered is not None:
        return Http(url, remembered)
    if backend.description != remembered:
        ledger.remember(url, backend.description)
    return backend


class Versions:
    """Asks a backend as the version of its model that answered last."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._generation: tuple[str | None, Any] = (None, None)
        self._lock = Lock()

    def of(self, backend: Backend) -> Backend:
        """Runs that start before any version is known find out together."""
        if getattr(backend, "generation", None) is None:
            return backend
        from probe.backends.connection import Generation, Versioned

        if not isinstance(backend, Versioned):
            return backend
        with self._lock:
            memory = self._ledger.recall(_key(backend))
            if self._generation[1] is None or self._generation[0] != memory:
                self._generation = memory, Generation(backend.generation.who, memory)
            return backend.of(self._generation[1])

    def keep(self, backend: Backend) -> None:
        """Remember which version of the model answers, for the runs to come."""
        generation = getattr(backend, "generation", None)
        if generation is not None and (news := generation.news()) is not None:
            self._ledger.remember(_key(backend), news)


def _key(backend: Any) -> str:
    """What the version is remembered under: an address, so that it is forgotten with its host."""
    return f"//{backend.limits.host}/{backend.service_identity}"
