"""The rows in a database file, page by page, whatever else of it is torn.

By https://sqlite.org/fileformat2.html: what a page holds can be read without the pages above it,
which only say where it is. Nothing here trusts what it reads.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import IO

PAGE_SIZE = 4096
"""Of the files that SQLite makes, where the header cannot be read."""

TABLE_LEAF, INDEX_LEAF, INDEX_INTERIOR = 13, 10, 2
_HEADER = {TABLE_LEAF: 8, INDEX_LEAF: 8, INDEX_INTERIOR: 12}
_INTEGERS = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}
_MAGIC = b"SQLite format 3\0"

Value = int | float | str | bytes | None
Place = tuple[int, int, int]
"""A row: the kind of its page, the page's number, and where in the page it is."""


class Pages:
    """The pages as of the last commit, those in the -wal file before those in the file."""

    def __init__(self, path: Path) -> None:
        self._file: IO[bytes] = open(path, "rb")  # noqa: SIM115
        self._log: IO[bytes] | None = None
        header = self._file.read(100)
        self.size, reserved = PAGE_SIZE, 0
        if len(header) == 100 and header.startswith(_MAGIC):
            stated = int.from_bytes(header[16:18], "big")
            self.size, reserved = (65536 if stated == 1 else stated), header[20]
        if self.size < 512 or self.size & (self.size - 1):
            self.size = PAGE_SIZE
        self.usable = self.size - reserved
        self.count = -(-path.stat().st_size // self.size)
        self._logged: dict[int, int] = {}
        log = path.with_name(f"{path.name}-wal")
        if log.is_file():
            self._log = open(log, "rb")  # noqa: SIM115
            self._logged = self._committed(self._log)
            self.count = max(self.count, *self._logged, 0)

    def close(self) -> None:
        self._file.close()
        if self._log is not None:
            self._log.close()

    def __getitem__(self, number: int) -> bytes:
        if self._log is not None and number in self._logged:
            self._log.seek(self._logged[number])
            return self._log.read(self.size)
        self._file.seek((number - 1) * self.size)
        return self._file.read(self.size)

    def _committed(self, log: IO[bytes]) -> dict[int, int]:
        """Where in the log the last committed version of each page is."""
        header, found, pending = log.read(32), dict[int, int](), dict[int, int]()
        if len(header) < 32 or int.from_bytes(header[8:12], "big") != self.size:
            return {}
        while len(frame := log.read(24)) == 24 and frame[8:16] == header[16:24]:
            number, committed = struct.unpack(">II", frame[:8])
            pending[number] = log.tell()
            log.seek(self.size, 1)
            if committed:
                found |= pending
                pending.clear()
        return found

    def places(self) -> Iterator[Place]:
        """Where the rows are, of tables and of indexes."""
        for number in range(1, self.count + 1):
            page, start = self[number], 100 if number == 1 else 0
            kind = page[start] if len(page) == self.size else 0
            if kind not in _HEADER:
                continue
            first = start + _HEADER[kind]
            cells = int.from_bytes(page[start + 3 : start + 5], "big")
            for at in range(first, min(first + 2 * cells, self.size - 1), 2):
                yield kind, number, int.from_bytes(page[at : at + 2], "big")

    def row(self, place: Place) -> tuple[int, list[Value]]:
        """The number of a row (0 in an index) and its values; ValueError for what is none."""
        kind, number, at = place
        page, key = self[number], 0
        try:
            size, at = _varint(page, at + (4 if kind == INDEX_INTERIOR else 0))
            if kind == TABLE_LEAF:
                key, at = _varint(page, at)
            return key, _values(self._payload(page, at, size, kind))
        except (IndexError, struct.error) as error:
            raise ValueError("no row") from error

    def _payload(self, page: bytes, at: int, size: int, kind: int) -> bytes:
        """The bytes of a row, those on overflow pages too."""
        usable = self.usable
        most = usable - 35 if kind == TABLE_LEAF else (usable - 12) * 64 // 255 - 23
        if size <= most:
            return page[at : at + size]
        least = (usable - 12) * 32 // 255 - 23
        local = least + (size - least) % (usable - 4)
        local = local if local <= most else least
        parts, left = [page[at : at + local]], size - local
        following = int.from_bytes(page[at + local : at + local + 4], "big")
        while left > 0 and 0 < following <= self.count:
            page = self[following]
            parts.append(page[4 : 4 + min(left, usable - 4)])
            left -= usable - 4
            following = int.from_bytes(page[:4], "big")
        if left > 0:
            raise ValueError("cut")
        return b"".join(parts)


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for n in range(9):
        byte = data[at + n]
        if n == 8:
            return value << 8 | byte, at + 9
        value = value << 7 | byte & 127
        if byte < 128:
            return value, at + n + 1
    raise AssertionError


def _values(payload: bytes) -> list[Value]:
    end, at = _varint(payload, 0)
    types = []
    while at < end:
        kind, at = _varint(payload, at)
        types.append(kind)
    values: list[Value] = []
    for kind in types:
        size = _INTEGERS.get(kind, 8 if kind == 7 else max(0, kind - 12) // 2)
        data = payload[at : at + size]
        at += size
        if len(data) != size:
            raise ValueError("cut")
        values.append(_value(kind, data))
    return values


def _value(kind: int, data: bytes) -> Value:
    if kind in _INTEGERS:
        return int.from_bytes(data, "big", signed=True)
    if kind == 7:
        return float(struct.unpack(">d", data)[0])
    if kind in (8, 9):
        return kind - 8
    if kind < 12:
        return None
    return data.decode() if kind % 2 else data
