"""The file of a ledger: making it, judging it, connecting to it, backing it up."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Sequence
from glob import escape
from pathlib import Path

from filelock import FileLock
from sqlalchemy import Connection, NullPool, create_engine

from probe.errors import LedgerError
from probe.ledger.errors import ELSEWHERE
from probe.ledger.schema import APPLICATION, Migration, migrate, version_of

BUSY_SECONDS = 30.0

Identity = tuple[int, int]
"""Device and inode: whether a path still names the same file."""


def lock_of(path: Path) -> FileLock:
    """The operating system's lock, shared with every other process that uses this ledger.

    A thread that holds it may take it again: the garbage collector may close a ledger anywhere.
    """
    name = path.with_name(path.name + "-lock")
    return FileLock(name, timeout=BUSY_SECONDS, mode=0o600, poll_interval=0.005, is_singleton=True)


def connect(path: Path | None, mode: str = "rw") -> Connection:
    """Opens nothing but an existing file; transactions are begun by hand."""
    name = ":memory:" if path is None else f"{path.as_uri()}?mode={mode}"

    def dbapi() -> sqlite3.Connection:
        return sqlite3.connect(
            name,
            uri=path is not None,
            timeout=BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,
        )

    engine = create_engine(
        "sqlite://", creator=dbapi, poolclass=NullPool, isolation_level="AUTOCOMMIT"
    )
    connection = engine.connect()
    for pragma in ("synchronous = FULL", "fullfsync = ON", "mmap_size = 0"):
        connection.exec_driver_sql(f"PRAGMA {pragma}")
    return connection


def make(path: Path, migrations: Sequence[Migration]) -> None:
    """Build the ledger under another name first, so that no half-made one is ever seen."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with lock_of(path):
        if path.exists():
            return
        _look_for_log(path)
        create_private(draft)
        connection = connect(draft)
        try:
            connection.exec_driver_sql(f"PRAGMA application_id = {APPLICATION}")
            migrate(connection, migrations)
            connection.close()
            draft.rename(path)
        finally:
            connection.close()
            for rest in (draft, draft.with_name(f"{draft.name}-journal")):
                rest.unlink(missing_ok=True)


def _look_for_log(path: Path) -> None:
    """SQLite would play the log of a ledger that was moved away into the new one."""
    log = path.with_name(f"{path.name}-wal")
    if log.exists() and log.stat().st_size:
        raise LedgerError(
            f"the ledger {path} is gone, but its log {log.name} with the last answers is there: "
            f"bring them together again, or move the log away to start afresh"
        )


def create_private(path: Path) -> None:
    """An empty file that only its owner may read, in place of what an earlier crash left."""
    path.unlink(missing_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def identify(path: Path) -> Identity | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def look_at(path: Path) -> None:
    """Raise LedgerError for what is no ledger, by its header alone: SQLite never opens it.

    https://sqlite.org/fileformat.html#the_database_header
    """
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise LedgerError(f"the ledger {path} is not a regular file: {ELSEWHERE}")
    if found.st_size == 0:
        raise LedgerError(
            f"the ledger {path} is an empty file; it is left as it is: remove it to start "
            f"afresh, or {ELSEWHERE}"
        )
    with open(path, "rb") as file:
        header = file.read(100)
    if not header.startswith(b"SQLite format 3\0"):
        raise LedgerError(f"the ledger {path} is not a ledger; it is left as it is: {ELSEWHERE}")
    if header[68:72] != APPLICATION.to_bytes(4, "big"):
        raise LedgerError(
            f"the ledger {path} is another program's database; it is left as it is: {ELSEWHERE}"
        )


def writable(path: Path) -> bool:
    return os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)


def reading_mode(path: Path) -> str:
    """SQLite reads a WAL database in a folder it may not write to only as unchanging."""
    closed = not path.with_name(path.name + "-wal").exists()
    return "ro&immutable=1" if closed and not os.access(path.parent, os.W_OK) else "ro"


def back_up(connection: Connection, path: Path) -> None:
    """A whole copy beside the ledger, named after its schema version."""
    backup = path.with_name(f"{path.name}.v{version_of(connection)}.bak")
    draft = backup.with_name(f".{backup.name}")
    create_private(draft)
    connection.exec_driver_sql("VACUUM INTO ?", (str(draft),))
    draft.replace(backup)


def backups(path: Path) -> list[Path]:
    return sorted(path.parent.glob(f"{escape(path.name)}.v*.bak"))
