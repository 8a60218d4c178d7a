"""A database of answers, whichever kind the place asks for."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from sqlalchemy import Connection

from probe.ledger.place import Place, Server


class Store(Protocol):
    """What a ledger is kept in. Every method raises LedgerError.

    path: the file, None in memory; for a server's, the file beside which answers wait that could
        not be stored. whole: no part of it can be damaged without the rest.
    """

    path: Path | None
    whole: bool

    def reading(self) -> AbstractContextManager[Connection]: ...
    def writing(self) -> AbstractContextManager[Connection]: ...
    def compact(self) -> None: ...
    def size(self) -> tuple[int, int]: ...
    def close(self, *, for_good: bool = False) -> None: ...


def open_store(place: Place | None, *, create: bool = True, salvage: bool = False) -> Store:
    """Nothing is touched before the first use. Raises MissingExtra."""
    if isinstance(place, Server):
        from probe.ledger.postgres import ServerDatabase

        return ServerDatabase(place, create=create)
    from probe.ledger.database import Database

    return Database(place, create=create, salvage=salvage)
