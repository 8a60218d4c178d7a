"""The file: opening, locking, transactions. SQLite, WAL, synchronous=FULL, one writer at a time.

Every write and every close holds an operating system's lock besides SQLite's own: versions 3.7.0
to 3.51.2 can damage a WAL that two connections write and checkpoint at once
(https://sqlite.org/wal.html#walresetbug). Readers need no lock.
"""

from __future__ import annotations

import ctypes
import os
import sqlite3
import stat
import threading
import weakref
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path

from filelock import FileLock
from sqlalchemy import Connection, NullPool, create_engine

from probe.errors import LedgerError
from probe.ledger.errors import ELSEWHERE, mapped
from probe.ledger.schema import APPLICATION, MIGRATIONS, Migration, migrate, version_of

BUSY_SECONDS = 30.0
QUICK_CHECK_BYTES = 16 * 2**20

_live: weakref.WeakSet[Database] = weakref.WeakSet()


class Database:
    """One connection to one file (None: in memory), safe to use from several threads.

    Nothing is touched before the first `reading` or `writing`. With `create=False` a missing
    file is an error.
    """

    def __init__(
        self,
        path: Path | None,
        *,
        create: bool = True,
        migrations: Sequence[Migration] = MIGRATIONS,
    ) -> None:
        self.path = None if path is None else Path(os.path.realpath(path.expanduser()))
        self.create = create
        self.migrations = migrations
        self.guard = threading.RLock()
        self._connection: Connection | None = None
        self._identity: tuple[int, int] | None = None
        self._refusal: str | None = None

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Statements that each see one state of the database."""
        with self.guard, mapped(self.path):
            yield self._connected()

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """One transaction: all of it is on the disk when the block ends, or nothing."""
        with self.guard, mapped(self.path):
            connection = self._connected()
            if self._refusal:
                raise LedgerError(self._refusal)
            self._check_same_file()
            with self.lock():
                connection.exec_driver_sql("BEGIN IMMEDIATE")
                try:
                    yield connection
                    self._check_same_file()
                    connection.exec_driver_sql("COMMIT")
                except BaseException:
                    self._roll_back(connection)
                    raise

    def lock(self) -> AbstractContextManager[object]:
        """The operating system's lock, shared with every other process on this file."""
        if self.path is None:
            return nullcontext()
        name = self.path.with_name(self.path.name + ".lock")
        return FileLock(name, timeout=BUSY_SECONDS, mode=0o600, poll_interval=0.005)

    def close(self) -> None:
        with self.guard:
            connection, self._connection = self._connection, None
            if connection is None:
                return
            if not self._same_file():
                _abandon(connection)
                return
            with suppress(OSError, LedgerError), self._lock_if_writable(), mapped(self.path):
                connection.close()

    def _lock_if_writable(self) -> AbstractContextManager[object]:
        return nullcontext() if self._refusal else self.lock()

    def _connected(self) -> Connection:
        if self._connection is None:
            self._connection = self._open()
            _live.add(self)
        return self._connection

    def _open(self) -> Connection:
        if self.path is None:
            connection = _connect(":memory:", uri=False)
            migrate(connection, self.migrations)
            return connection
        if not self.path.exists():
            if not self.create:
                raise LedgerError(f"there is no ledger at {self.path}: {ELSEWHERE}")
            self._make()
        self._look_at_file()
        read_only = not _writable(self.path)
        connection = _connect(_uri(self.path, "ro" if read_only else "rw"))
        try:
            self._prepare(connection, read_only)
        except BaseException:
            connection.close()
            raise
        return connection

    def _make(self) -> None:
        """Build the ledger under another name first, so that no half-made one is ever seen."""
        assert self.path is not None
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        with self.lock():
            if self.path.exists():
                return
            draft.unlink(missing_ok=True)
            os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            connection = _connect(_uri(draft, "rw"))
            try:
                connection.exec_driver_sql("PRAGMA journal_mode = WAL")
                connection.exec_driver_sql(f"PRAGMA application_id = {APPLICATION}")
                migrate(connection, self.migrations)
            finally:
                connection.close()
            draft.rename(self.path)

    def _look_at_file(self) -> None:
        assert self.path is not None
        found = self.path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise LedgerError(f"the ledger {self.path} is not a regular file: {ELSEWHERE}")
        if found.st_size == 0:
            raise LedgerError(
                f"the ledger {self.path} is an empty file; it is left as it is: "
                f"remove it to start afresh, or {ELSEWHERE}"
            )
        self._identity = (found.st_dev, found.st_ino)

    def _prepare(self, connection: Connection, read_only: bool) -> None:
        assert self.path is not None
        self._refusal = None
        if connection.exec_driver_sql("PRAGMA application_id").scalar() != APPLICATION:
            raise LedgerError(
                f"the ledger {self.path} is another program's database; it is left as it is: "
                f"{ELSEWHERE}"
            )
        if self.path.stat().st_size <= QUICK_CHECK_BYTES:
            found = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar()
            if found != "ok":
                raise sqlite3_corrupt(str(found))
        version, newest = version_of(connection), len(self.migrations)
        if version > newest:
            self._refusal = (
                f"the ledger {self.path} has schema {version}, this probe knows {newest}: "
                f"upgrade with `pip install -U image-api-probe`, or {ELSEWHERE}"
            )
        elif read_only:
            self._refusal = f"the ledger {self.path} is read-only: {ELSEWHERE}"
        else:
            self._make_ready_for_writing(connection, version)

    def _make_ready_for_writing(self, connection: Connection, version: int) -> None:
        mode = connection.exec_driver_sql("PRAGMA journal_mode").scalar()
        if mode != "wal":
            with self.lock():
                mode = connection.exec_driver_sql("PRAGMA journal_mode = WAL").scalar()
        if mode != "wal":
            raise LedgerError(
                f"the ledger {self.path} lies on a file system without shared memory "
                f"(a network's?): {ELSEWHERE}"
            )
        if version < len(self.migrations):
            with self.lock():
                self._back_up(connection)
                migrate(connection, self.migrations)

    def _back_up(self, connection: Connection) -> None:
        assert self.path is not None
        version = version_of(connection)
        if version == len(self.migrations):
            return
        backup = self.path.with_name(f"{self.path.name}.v{version}.bak")
        draft = backup.with_name(f".{backup.name}")
        draft.unlink(missing_ok=True)
        os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        connection.exec_driver_sql("VACUUM INTO ?", (str(draft),))
        draft.replace(backup)

    def _same_file(self) -> bool:
        if self.path is None:
            return True
        try:
            found = os.stat(self.path)
        except OSError:
            return False
        return (found.st_dev, found.st_ino) == self._identity

    def _check_same_file(self) -> None:
        if not self._same_file():
            raise LedgerError(
                f"the ledger {self.path} was removed or replaced while in use: put it back, "
                "or repeat the command to go on with the new one"
            )

    def _roll_back(self, connection: Connection) -> None:
        """After a failed write; an error here must not hide the one that led to it."""
        with suppress(Exception):
            connection.exec_driver_sql("ROLLBACK")


def sqlite3_corrupt(found: str) -> sqlite3.DatabaseError:
    error = sqlite3.DatabaseError(found)
    error.sqlite_errorname = "SQLITE_CORRUPT"
    return error


def _uri(path: Path, mode: str) -> str:
    return f"{path.as_uri()}?mode={mode}"


def _connect(name: str, uri: bool = True) -> Connection:
    def connect() -> sqlite3.Connection:
        return sqlite3.connect(
            name, uri=uri, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )

    engine = create_engine(
        "sqlite://", creator=connect, poolclass=NullPool, isolation_level="AUTOCOMMIT"
    )
    connection = engine.connect()
    for pragma in ("synchronous = FULL", "fullfsync = ON", "mmap_size = 0"):
        connection.exec_driver_sql(f"PRAGMA {pragma}")
    return connection


def _writable(path: Path) -> bool:
    return os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)


def _abandon(connection: Connection) -> None:
    """Never close it: SQLite would delete the -wal file of whatever now has the ledger's name."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection.connection.dbapi_connection))
    connection.detach()


def _before_fork() -> None:
    """A SQLite connection must not cross a fork: close all, they reopen when used."""
    for database in list(_live):
        database.guard.acquire()
        if database.path is not None:
            database.close()


def _after_fork_in_parent() -> None:
    for database in list(_live):
        database.guard.release()


def _after_fork_in_child() -> None:
    for database in list(_live):
        database.guard = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=_after_fork_in_parent,
        after_in_child=_after_fork_in_child,
    )
