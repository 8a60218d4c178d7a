"""Where a picture's bytes come from: a path, standard input, a file object."""

from __future__ import annotations

import os
import sys
from io import BytesIO
from typing import IO, Any

from probe.errors import ImageError, UsageError
from probe.text import printable

MAX_BYTES = 256 * 2**20


def open_file(path: str) -> IO[bytes]:
    """The file, open for reading; UsageError names it and why it cannot be, ImageError its size."""
    shown = printable(path, 300)
    try:
        file = open(path, "rb")  # noqa: SIM115
        size = os.fstat(file.fileno()).st_size
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        if "://" in path:
            reason = "URLs are not fetched, download it first"
        raise UsageError(f"cannot open the picture {shown}: {reason}") from error
    if size > MAX_BYTES:
        file.close()
        raise ImageError(f"{shown} has {size >> 20} MB, more than the {MAX_BYTES >> 20} opened")
    return file


def check_file(path: str) -> None:
    """Raise as `open_file` does, without waiting for a pipe that nobody has filled yet."""
    if (path != "-" and not os.path.exists(path)) or os.path.isfile(path) or os.path.isdir(path):
        open_file(path).close()


def open_stdin() -> IO[bytes]:
    stream = getattr(sys.stdin, "buffer", None)
    if stream is None or sys.stdin.isatty():
        raise UsageError("- reads a picture from stdin, but nothing is piped in: name a file")
    data = _bounded(stream)
    if not data:
        raise UsageError("- reads a picture from stdin, but it is empty: name a file")
    return BytesIO(data)


def seekable(file: Any) -> IO[bytes]:
    """The file from its start, in memory where it cannot seek."""
    try:
        file.seek(0)
        text = isinstance(file.read(1), str)
        file.seek(0)
        if not text:
            return file  # type: ignore[no-any-return]
    except (AttributeError, OSError):
        return BytesIO(_bounded(file))
    except UnicodeDecodeError:
        pass
    raise UsageError("the file is open as text: open it in binary mode, 'rb'")


def _bounded(stream: Any) -> bytes:
    """All that is left to read, refusing more than MAX_BYTES."""
    try:
        data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise UsageError(f"cannot read the picture: {error.strerror or error}") from error
    if isinstance(data, str):
        raise UsageError("the file is open as text: open it in binary mode, 'rb'")
    if len(data) > MAX_BYTES:
        raise ImageError(f"more than {MAX_BYTES >> 20} MB came through the pipe: not a picture")
    return bytes(data)
