"""How often a JPEG draws itself: a scan goes over all of its pixels and costs hardly a byte."""

from __future__ import annotations

import re
from typing import IO

from probe.errors import ImageError

MOST = 100
"""Progressive encoders write about ten."""

_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_END, _SCAN = 0xD9, 0xDA
_BARE = {0x01, 0xD8}


def check_scans(file: IO[bytes], what: str) -> None:
    """Raise ImageError for a JPEG of more than MOST scans; the file is at its start before and
    after. What is behind the end of the picture does not count."""
    file.seek(0)
    data, at, scans = file.read(), 0, 0
    while (found := _MARKER.search(data, at)) is not None:
        marker, at = data[found.end() - 1], found.end()
        if marker == _END:
            break
        if marker not in _BARE:
            at += max(2, int.from_bytes(data[at : at + 2], "big"))
        scans += marker == _SCAN
        if scans > MOST:
            raise ImageError(
                f"{what} draws itself more than {MOST} times over (a JPEG of so many scans): save "
                "it anew, as PNG or as a plain JPEG"
            )
    file.seek(0)
