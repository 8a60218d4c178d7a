"""The one place where foreign errors become a LedgerError: which file, what, and the remedy."""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from probe.errors import LedgerError

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


def sqlite_name(error: BaseException | None) -> str:
    """SQLite's own name of an error, "SQLITE_FULL", or ""."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    return getattr(cause, "sqlite_errorname", "") or ""


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
