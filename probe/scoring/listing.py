"""Which pictures: those of a folder, of a list as CSV, or named one by one."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from probe.errors import UsageError
from probe.text import printable

ENDINGS = (
    *(".jpg", ".jpeg", ".jfif", ".png", ".webp", ".gif", ".tif", ".tiff", ".bmp", ".avif"),
    *(".heic", ".heif"),
)
NAMES = ("picture", "path", "file", "image")
"""What the column of a list that names the pictures may be called."""
MAX_CELL = 1 << 20


@dataclass(frozen=True, slots=True)
class Entry:
    """One picture of a listing. name: as it is listed. cells: of the listing's other columns."""

    name: str
    path: str
    cells: tuple[str, ...] = ()


class Listing:
    """Pictures to be gone through as often as wanted; none is opened and no list is held.

    places: one folder, one CSV with a column `picture` (its paths are relative to it), or files.
    columns: of the CSV, beside that one. Raises UsageError where there is nothing of the kind.
    """

    def __init__(self, places: Sequence[str | os.PathLike[str]]) -> None:
        self.places = [os.fspath(place) for place in places]
        if not self.places:
            raise UsageError("no pictures: name a folder, a list as CSV, or files")
        self._only = Path(self.places[0]) if len(self.places) == 1 else None
        self.columns: tuple[str, ...] = ()
        self._place = 0
        if self._is_list:
            self._read_head()

    @property
    def _is_list(self) -> bool:
        return self._only is not None and self._only.suffix.lower() == ".csv"

    def __iter__(self) -> Iterator[Entry]:
        if self._is_list:
            return self._rows()
        if self._only is not None and self._only.is_dir():
            return self._walked(self._only)
        return (Entry(place, place) for place in self.places)

    @cached_property
    def size(self) -> int:
        """How many; raises UsageError where there are none."""
        found = sum(1 for _ in self)
        if not found:
            shown = printable(self.places[0], 300)
            kinds = ", ".join(ENDINGS)
            raise UsageError(f"no pictures in {shown}: it has none that end in {kinds}")
        return found

    def _walked(self, top: Path) -> Iterator[Entry]:
        """By name, folder by folder; links to folders and hidden files are left out."""
        for folder, folders, files in os.walk(top, onerror=_refuse):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for name in sorted(files):
                if name.lower().endswith(ENDINGS) and not name.startswith("."):
                    path = os.path.join(folder, name)
                    yield Entry(os.path.relpath(path, top), path)

    def _read_head(self) -> None:
        with self._opened() as reader:
            head: list[str] = next(reader, [])
        assert self._only is not None
        names = [name.strip() for name in head]
        chosen = next((name for name in NAMES if name in names), None)
        shown = printable(str(self._only), 300)
        if chosen is None:
            said = ", ".join(printable(name, 40) for name in names[:20]) or "nothing"
            raise UsageError(
                f"{shown} has no column of pictures: call it `picture` (its first line: {said})"
            )
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise UsageError(f"{shown} has two columns {printable(twice, 40)!r}: rename one")
        self._place = names.index(chosen)
        self.columns = tuple(n for i, n in enumerate(names) if i != self._place)

    def _rows(self) -> Iterator[Entry]:
        assert self._only is not None
        width = len(self.columns) + 1
        with self._opened() as reader:
            next(reader, None)
            for row in reader:
                if not any(row):
                    continue
                row = [*row, *[""] * width][: max(width, len(row))]
                if len(row) > width:
                    raise UsageError(
                        f"{printable(str(self._only), 300)}, line {reader.line_num}: {len(row)} "
                        f"cells under {width} headings"
                    )
                name = row.pop(self._place)
                yield Entry(name, os.path.join(self._only.parent, name), tuple(row))

    @contextmanager
    def _opened(self) -> Iterator[Any]:
        assert self._only is not None
        shown = printable(str(self._only), 300)
        try:
            csv.field_size_limit(MAX_CELL)
            with open(self._only, encoding="utf-8-sig", newline="") as file:
                yield csv.reader(file)
        except OSError as error:
            raise UsageError(f"cannot read the list {shown}: {error.strerror}") from error
        except (UnicodeDecodeError, csv.Error) as error:
            raise UsageError(f"{shown} is no CSV in UTF-8: {printable(str(error), 100)}") from error


def _refuse(error: OSError) -> None:
    shown = printable(str(error.filename), 300)
    raise UsageError(f"cannot read the folder {shown}: {error.strerror}") from error
