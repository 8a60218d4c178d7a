"""Transactions: SQLite, WAL, synchronous=FULL, one writer at a time.

Every write and every close holds an operating system's lock besides SQLite's own: versions 3.7.0
to 3.51.2 can damage a WAL that two connections write and checkpoint at once
(https://sqlite.org/wal.html#walresetbug). Readers need no lock.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path

from sqlalchemy import Connection

from probe.errors import LedgerError
from probe.ledger import file, forks
from probe.ledger.errors import ELSEWHERE, explain, mapped, sqlite_name
from probe.ledger.schema import MIGRATIONS, Migration, look_new, migrate, version_of

QUICK_CHECK_BYTES = 16 * 2**20
"""Larger files are not checked whole when opened; every row is, when it is read."""


class Database(forks.Forkable):
    """One connection to one file (None: in memory), safe to use from several threads.

    Nothing is touched before the first `reading` or `writing`. With `create=False` a missing
    file is an error; with `salvage=True` a file is only read, in whatever state it is.
    """

    whole = False

    def __init__(
        self,
        path: Path | None,
        *,
        create: bool = True,
        salvage: bool = False,
        migrations: Sequence[Migration] = MIGRATIONS,
    ) -> None:
        super().__init__()
        self.path = None if path is None else Path(os.path.realpath(os.path.expanduser(path)))
        self.create = create
        self.salvage = salvage
        self.migrations = migrations
        self._connection: Connection | None = None
        self._identity: file.Identity | None = None
        self._refusal: str | None = None
        self._read_only = False

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Statements that each see one state of the database."""
        with self.guard, mapped(self.path):
            yield self._connected()

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """One transaction: all of it is on the disk when the block ends, or nothing."""
        with self._locked() as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            try:
                yield connection
                self._check_same_file()
                connection.exec_driver_sql("COMMIT")
            except BaseException as error:
                self._roll_back(connection, error)
                raise

    def compact(self) -> None:
        """Rewrite the file without what was deleted from it, and empty the -wal file."""
        with self._locked() as connection:
            connection.exec_driver_sql("VACUUM")
            busy = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()[0]
        if busy:
            raise LedgerError(
                f"the ledger {self.path} is being read by another process, which keeps what was "
                "deleted in the -wal file: repeat the command when it is done"
            )

    def size(self) -> tuple[int, int]:
        """Bytes on the disk, and how many of them are in the -wal file."""
        if self.path is None:
            return 0, 0
        log = _size(self.path.with_name(f"{self.path.name}-wal"))
        return _size(self.path) + log, log

    def close(self, *, for_good: bool = False) -> None:
        """Close the file. What is in memory stays, unless `for_good`: it is nowhere else."""
        if self.path is None and not for_good:
            return
        with self.guard:
            connection, self._connection = self._connection, None
            if connection is not None:
                self._end(connection)

    def _end(self, connection: Connection) -> None:
        """The last connection to close writes the log back to the file: a write like others.

        Without the lock it is closed all the same, as it may hold a transaction of SQLite's.
        """
        with ExitStack() as stack:
            with suppress(LedgerError), mapped(self.path):
                stack.enter_context(self._lock())
            with suppress(LedgerError), mapped(self.path):
                connection.close()

    @contextmanager
    def _locked(self) -> Iterator[Connection]:
        with self.guard, mapped(self.path):
            connection = self._connected()
            if self._refusal:
                raise LedgerError(self._refusal)
            self._check_same_file()
            with self._lock():
                yield connection

    def _lock(self) -> AbstractContextManager[object]:
        if self.path is None or self._read_only:
            return nullcontext()
        return file.lock_of(self.path)

    def _connected(self) -> Connection:
        if self._connection is None:
            self._connection = self._open()
            forks.live.add(self)
        return self._connection

    def _open(self) -> Connection:
        self._refusal = None
        if self.path is None:
            connection = file.connect(None)
            migrate(connection, self.migrations)
            return connection
        if not self.path.exists():
            if not self.create:
                raise LedgerError(f"there is no ledger at {self.path}: {ELSEWHERE}")
            file.make(self.path, self.migrations)
        file.look_at(self.path)
        self._identity = file.identify(self.path)
        self._read_only = self.salvage or not file.writable(self.path)
        mode = file.reading_mode(self.path) if self._read_only else "rw"
        connection = file.connect(self.path, mode)
        try:
            self._judge(connection, self.path)
        except BaseException:
            self._end(connection)
            raise
        return connection

    def _judge(self, connection: Connection, path: Path) -> None:
        """Whether it is whole and may be written."""
        if not self.salvage and path.stat().st_size <= QUICK_CHECK_BYTES:
            found = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar()
            if found != "ok":
                error = sqlite3.DatabaseError(found)
                error.sqlite_errorname = "SQLITE_CORRUPT"
                raise error
        version, newest = version_of(connection), len(self.migrations)
        if version > newest:
            self._refusal = (
                f"the ledger {path} has schema {version}, this probe writes {newest}: "
                f"`pip install -U image-api-probe`, or {ELSEWHERE}"
            )
        elif self._read_only:
            self._refusal = f"the ledger {path} is read-only: {ELSEWHERE}"
            look_new(connection)
        else:
            self._bring_up_to_date(connection, path)

    def _bring_up_to_date(self, connection: Connection, path: Path) -> None:
        if connection.exec_driver_sql("PRAGMA journal_mode").scalar() != "wal":
            with self._lock():
                mode = connection.exec_driver_sql("PRAGMA journal_mode = WAL").scalar()
            if mode != "wal":
                raise LedgerError(
                    f"the ledger {path} lies on a file system without shared memory "
                    f"(a network's?): {ELSEWHERE}"
                )
        if version_of(connection) < len(self.migrations):
            with self._lock():
                if version_of(connection) < len(self.migrations):
                    file.back_up(connection, path)
                    migrate(connection, self.migrations)

    def _same_file(self) -> bool:
        return self.path is None or file.identify(self.path) == self._identity

    def _check_same_file(self) -> None:
        if not self._same_file():
            raise LedgerError(
                f"the ledger {self.path} was removed or replaced while in use: put it back, "
                "or repeat the command to go on with the new one"
            )

    def _roll_back(self, connection: Connection, error: BaseException) -> None:
        """After a failed write; an error here must not hide the one that led to it.

        After a failing disk nothing more is written: a second fsync may succeed and mean nothing.
        """
        if sqlite_name(error).startswith("SQLITE_IOERR"):
            self._refusal = explain(self.path, error)
        with suppress(Exception):
            connection.exec_driver_sql("ROLLBACK")


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
