"""The one place where foreign errors become a LedgerError: which file, what, and the remedy."""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError

from probe.errors import LedgerError
from probe.ledger.place import Server
from probe.text import printable

ELSEWHERE = "use another file with --ledger PATH or PROBE_LEDGER"

_REASONS = {
    "SQLITE_NOTADB": f"is not a ledger; it is left as it is: {ELSEWHERE}",
    "SQLITE_CORRUPT": "is damaged: `probe ledger recover` copies what is good to a new file",
    "SQLITE_FULL": "could not be written, the disk is full: free some space and repeat the "
    "command; all earlier answers are kept",
    "SQLITE_BUSY": "was in use by another process for too long: repeat the command when it is done",
    "SQLITE_LOCKED": "was in use by another process for too long: repeat the command when it "
    "is done",
    "SQLITE_READONLY_DBMOVED": "was removed or replaced while in use: put it back, or repeat the "
    "command to go on with the new one",
    "SQLITE_READONLY": f"is read-only, nothing could be stored: {ELSEWHERE}",
    "SQLITE_PERM": f"may not be opened: {ELSEWHERE}",
    "SQLITE_CANTOPEN": "cannot be opened (no permission, or a file system without shared memory, "
    f"as networks have): {ELSEWHERE}",
    "SQLITE_PROTOCOL": f"lies on a file system without working locks: {ELSEWHERE}",
    "SQLITE_IOERR": "could not be read or written, the disk failed: check the disk, then "
    "`probe ledger verify`",
}

_ON_SERVER = {
    "28": "refused the user: check the name, and the password in PGPASSWORD or ~/.pgpass",
    "3D000": f"does not exist: create it with createdb, or {ELSEWHERE}",
    "42501": f"may not be used by this user: have its owner GRANT it the right, or {ELSEWHERE}",
    "25006": f"is read-only, nothing could be stored: {ELSEWHERE}",
    "53100": "could not be written, the server's disk is full: free some space there and repeat "
    "the command; all earlier answers are kept",
    "53300": "has too many connections: close some and repeat the command",
    "55P03": "was in use by another client for too long: repeat the command when it is done",
}
"""By the beginning of https://www.postgresql.org/docs/current/errcodes-appendix.html"""


def sqlite_name(error: BaseException | None) -> str:
    """SQLite's own name of an error, "SQLITE_FULL", or ""."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    return getattr(cause, "sqlite_errorname", "") or ""


def is_full(error: BaseException | None) -> bool:
    """Whether a disk was full, this one or the server's."""
    return sqlite_name(error) == "SQLITE_FULL" or state_of(error) == "53100"


def state_of(error: BaseException | None) -> str:
    """PostgreSQL's own code of an error, five characters, or ""."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    return getattr(cause, "sqlstate", "") or ""


def explain(path: Path | None, error: BaseException) -> str:
    where = f"the ledger {path}" if path else "the ledger in memory"
    name = sqlite_name(error)
    reason = next((text for start, text in _REASONS.items() if name.startswith(start)), None)
    if reason is None and isinstance(error, TimeoutError):
        reason = _REASONS["SQLITE_BUSY"]
    if reason is None and isinstance(error, OSError):
        reason = f"cannot be used ({error.strerror or error}): {ELSEWHERE}"
    if reason is None:
        cause = error.orig if isinstance(error, DBAPIError) else error
        reason = f"cannot be used ({cause}): try `probe ledger verify`"
    return f"{where} {reason}"


@contextmanager
def mapped(path: Path | None) -> Iterator[None]:
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error, OSError, UnicodeError, zlib.error) as error:
        raise LedgerError(explain(path, error)) from error


def explain_server(server: Server, error: BaseException) -> str:
    state = state_of(error)
    reason = next((text for start, text in _ON_SERVER.items() if state.startswith(start)), None)
    if reason is None:
        cause = error.orig if isinstance(error, DBAPIError) else error
        told = printable(" ".join(str(cause).split()), 300)
        for secret in server.secrets:
            told = told.replace(secret, "***") if len(secret) > 3 else told
        reason = f"cannot be used ({told}): " + (
            "check that the server runs, its address, and the user's name and password "
            "(PGPASSWORD or ~/.pgpass), and repeat the command"
            if isinstance(error, OperationalError)
            else "try `probe ledger verify`"
        )
    return f"the ledger {server} {reason}"


@contextmanager
def mapped_server(server: Server) -> Iterator[None]:
    try:
        yield
    except (SQLAlchemyError, OSError, UnicodeError, zlib.error) as error:
        raise LedgerError(explain_server(server, error)) from error
