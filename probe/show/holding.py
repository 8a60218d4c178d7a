"""A folder that one process at a time writes into."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from probe.errors import OutputError
from probe.text import printable


@contextmanager
def held(folder: Path, taken: Callable[[str], str]) -> Iterator[None]:
    """Hold a folder that is there against other processes while the block runs.

    Raises OutputError where nothing can be written into it, and where another process has it:
    `taken` is called with that one's number, as " (process 12)" or "", and says so.
    """
    lock, holder = FileLock(folder / ".lock", timeout=0), folder / ".pid"
    try:
        lock.acquire()
        holder.write_text(str(os.getpid()))
    except Timeout as error:
        raise OutputError(taken(_number(holder))) from error
    except OSError as error:
        lock.release()
        raise OutputError(
            f"cannot write into {printable(str(folder), 300)}: {error.strerror or error}"
        ) from error
    try:
        yield
    finally:
        with suppress(OSError):
            holder.unlink()
        lock.release()


def _number(holder: Path) -> str:
    """Which process wrote this file, in words; it may be about to."""
    with suppress(OSError, ValueError):
        return f" (process {int(holder.read_text())})"
    return ""
