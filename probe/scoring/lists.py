"""Lists as CSV: a column names the pictures, the others go with them."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from probe.errors import UsageError
from probe.scoring.places import Entry, Place, refused
from probe.text import printable

NAMES = ("picture", "path", "file", "image")
"""What the column of a list that names the pictures may be called."""
MAX_ROW = 1 << 18
"""Characters of a row, so that rows which wait for their answers stay small."""


class CsvList:
    """The rows of a CSV in UTF-8. columns: beside that of the pictures."""

    notes: tuple[str, ...] = ()

    def __init__(self, place: Place) -> None:
        self._place = place
        with self._opened() as lines:
            head: list[str] = next(csv.reader(lines), [])
        names = [name.strip() for name in head]
        chosen = chosen_of(names, place.shown, "its first line")
        self._at = names.index(chosen)
        self.columns = tuple(name for i, name in enumerate(names) if i != self._at)
        self.nothing = "it has no rows"

    def size(self) -> int:
        return sum(1 for _ in self)

    def __iter__(self) -> Iterator[Entry]:
        width = len(self.columns) + 1
        with self._opened() as lines:
            reader = csv.reader(lines)
            next(reader, None)
            for row in reader:
                lines.used = 0
                if not any(row):
                    continue
                row = [*row, *[""] * width][: max(width, len(row))]
                if len(row) > width:
                    raise UsageError(
                        f"{self._place.shown}, line {reader.line_num}: {len(row)} "
                        f"cells under {width} headings"
                    )
                name = row.pop(self._at)
                yield named(self._place, name, tuple(row), f"line {reader.line_num}")

    @contextmanager
    def _opened(self) -> Iterator[_Lines]:
        shown = self._place.shown
        csv.field_size_limit(MAX_ROW)
        try:
            with (
                self._place.open() as file,
                io.TextIOWrapper(file, "utf-8-sig", newline="") as text,
            ):
                yield _Lines(text, shown)
        except OSError as error:
            raise UsageError(f"cannot read the list {shown}: {error.strerror or error}") from error
        except (UnicodeDecodeError, csv.Error) as error:
            raise UsageError(f"{shown} is no CSV in UTF-8: {printable(str(error), 100)}") from error


class _Lines:
    """The lines of a text, of which a row may take so many characters. used: by this row."""

    def __init__(self, text: io.TextIOWrapper, shown: str) -> None:
        self._text, self._shown = text, shown
        self.used = 0

    def __iter__(self) -> Iterator[str]:
        while line := self._text.readline(MAX_ROW + 1):
            self.used += len(line)
            if self.used > MAX_ROW:
                raise too_long(self._shown, "a row")
            yield line


def chosen_of(names: Sequence[str], shown: str, where: str) -> str:
    """The column of pictures; UsageError where there is none, or a name comes twice."""
    chosen = next((name for name in NAMES if name in names), None)
    if chosen is None:
        said = ", ".join(printable(name, 40) for name in names[:20]) or "nothing"
        raise UsageError(f"{shown} has no column of pictures: call it `picture` ({where}: {said})")
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise UsageError(f"{shown} has two columns {printable(name, 40)!r}: rename one")
        seen.add(name)
    return chosen


def named(place: Place, cell: str, cells: tuple[str, ...], where: str) -> Entry:
    """The picture of one row of a list."""
    if not cell.strip():
        return refused(cell, f"{place.shown}, {where}: no picture is named", cells)
    return place.named(cell, cells)


def too_long(shown: str, row: str) -> UsageError:
    return UsageError(
        f"{shown}: {row} takes more than {MAX_ROW >> 10} kB: leave the long columns out"
    )
