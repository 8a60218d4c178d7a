"""Taking answers out for good, and saving what is good of a damaged ledger."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from itertools import chain, islice
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from sqlalchemy import ColumnElement, Connection, TableClause, and_, delete, func, select, union

from probe.errors import LedgerError, UsageError
from probe.ledger import file, rows
from probe.ledger.database import Database
from probe.ledger.dialect import insert, is_postgres
from probe.ledger.dig import dig
from probe.ledger.errors import mapped
from probe.ledger.opening import Store, open_store
from probe.ledger.place import Place, Server
from probe.ledger.record import Record
from probe.ledger.scan import scan, scan_unread
from probe.ledger.schema import answers, blobs, intents, servers, subjects, unread
from probe.ledger.spill import take_up
from probe.types import Scores

T = TypeVar("T")

EVERYWHERE = (answers, unread, intents)
"""All tables that say something of a picture or a host."""


@dataclass(frozen=True, slots=True)
class Removed:
    answers: int
    bodies: int


@dataclass(frozen=True, slots=True)
class Recovered:
    """kept: answers in the new file. unread: bodies in it that wait for a reading. lost: answers
    and bodies that are damaged, None where nobody can tell how many there were."""

    kept: int
    unread: int
    lost: int | None


def erase(path: Place, *, image: str | None = None, host: str | None = None) -> Removed:
    """Remove all that is known of a picture (its digest) or from a host, for good.

    The bytes are overwritten in the file and its -wal file, and backups made by migrations are
    deleted. A body that answers about several pictures share stays until the last one goes. On a
    server the rows are gone; its log, replicas and backups are its owner's.
    """
    if (image is None) == (host is None):
        raise UsageError("say either which picture to erase or which host")
    if host is not None:
        removed = _remove(path, lambda table: table.c.host == host, EVERYWHERE, host)
    else:
        ids = select(subjects.c.id).where(subjects.c.image == image)
        removed = _remove(path, lambda table: table.c.subject.in_(ids), EVERYWHERE)
    if not isinstance(path, Server):
        for backup in file.backups(path):
            backup.unlink(missing_ok=True)
    return removed


def prune(
    path: Place, *, older_than: timedelta | None = None, backend: str | None = None
) -> Removed:
    """Remove answers stored longer ago than this, of this backend's identity, or both.

    Bodies that are kept unread go as answers do.
    """
    if older_than is None and backend is None:
        raise UsageError("say which answers to remove: those older than some time, or a backend's")

    def which(table: TableClause) -> ColumnElement[bool]:
        conditions: list[ColumnElement[bool]] = []
        if older_than is not None:
            conditions.append(table.c.at < (time.time() - older_than.total_seconds()) * 1000)
        if backend is not None:
            ids = select(subjects.c.id).where(subjects.c.backend == backend)
            conditions.append(table.c.subject.in_(ids))
        return and_(*conditions)

    return _remove(path, which, (answers, unread))


def recover(path: Place, new: Path) -> Recovered:
    """Copy every good answer to a new ledger; the damaged one is only read.

    An answer whose raw body is damaged is copied without it. Bodies kept unread are copied, too.
    Where a page is torn that others hang on, the file is read page by page; an answer whose list
    of labels is lost then is copied as a body that is yet to be read.
    """
    if isinstance(path, Server):
        raise UsageError(
            f"recover reads the pages of a file, and {path} is a server's: restore its backup, or "
            "write what is good by `probe ledger export`"
        )
    if new.exists():
        raise UsageError(f"{new} exists already: name a new file to recover to")
    source = Database(path, create=False, salvage=True)
    target = Database(new)
    kept, met, bad, failure = 0, 0, 0, None
    try:
        try:
            for part in _parts(chain(scan(source, True), scan_unread(source, True))):
                good = [record for record in part if record is not None]
                kept += _copy(good, target)
                met += len(part)
                bad += len(part) - len(good)
        except LedgerError as error:
            failure = error
            if not path.is_file():
                raise
        if bad or failure:
            with mapped(path):
                kept += sum(_copy(part, target) for part in _parts(dig(path)))
        if failure and not kept:
            raise failure
        _copy_servers(source, target)
        with target.reading() as connection:
            waiting = connection.execute(select(func.count()).select_from(unread)).scalar_one()
        return Recovered(kept, waiting, None if failure else max(0, met - kept - waiting))
    finally:
        source.close()
        target.close()


def _parts(records: Iterable[T]) -> Iterator[list[T]]:
    left = iter(records)
    while part := list(islice(left, 200)):
        yield part


def _copy(records: Sequence[Record], target: Store) -> int:
    """Returns how many answers are new there."""
    with target.writing() as connection:
        known = rows.put(connection, records, {}).scores
    answered = {r.question for r in records if isinstance(r.outcome, Scores)}
    return len(answered - known.keys())


def _remove(
    path: Place,
    which: Callable[[TableClause], ColumnElement[bool]],
    tables: Sequence[TableClause],
    host: str | None = None,
) -> Removed:
    """Delete rows, a host's description and all that nothing refers to any more."""
    database = open_store(path, create=False)
    try:
        take_up(database)
        with database.reading() as connection:
            if not is_postgres(connection):
                connection.exec_driver_sql("PRAGMA secure_delete = ON")
        with database.writing() as connection:
            gone = {
                table.name: connection.execute(delete(table).where(which(table))).rowcount
                for table in tables
            }
            for url in connection.execute(select(servers.c.url)).scalars().all():
                if host in (urlsplit(url).netloc, urlsplit(url).hostname):
                    connection.execute(delete(servers).where(servers.c.url == url))
            bodies = _delete_orphans(connection)
        database.compact()
        return Removed(gone["answers"], bodies)
    finally:
        database.close()


def _delete_orphans(connection: Connection) -> int:
    """Subjects and blobs that no row refers to; returns how many bodies and label lists."""
    asked = union(*(select(table.c.subject) for table in EVERYWHERE))
    connection.execute(delete(subjects).where(subjects.c.id.not_in(asked)))
    named = union(
        select(answers.c.labels),
        select(answers.c.body).where(answers.c.body.is_not(None)),
        select(unread.c.body),
    )
    return connection.execute(delete(blobs).where(blobs.c.digest.not_in(named))).rowcount


def _copy_servers(source: Store, target: Store) -> None:
    with suppress(LedgerError):
        with source.reading() as connection:
            known = connection.execute(select(servers)).mappings().all()
        with target.writing() as connection:
            for row in known:
                connection.execute(insert(connection, servers).values(row).on_conflict_do_nothing())
