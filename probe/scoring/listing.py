"""Which pictures: those of a folder, of a list or a data set, or named one by one."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, Protocol

from probe.errors import UsageError
from probe.scoring import tables
from probe.scoring.lists import CsvList
from probe.scoring.places import ENDINGS, Entry, Here, Place, scheme_of


class Kind(Protocol):
    """Entries that can be gone through as often as wanted. nothing: why there may be none."""

    columns: tuple[str, ...]
    notes: tuple[str, ...]
    nothing: str

    def size(self) -> int: ...

    def __iter__(self) -> Iterator[Entry]: ...


class Listing:
    """Pictures to be gone through as often as wanted; none is opened and no list is held.

    places: one folder; one list, CSV or Parquet, with a column `picture` (its paths are relative
    to it; in Parquet it may hold the pictures themselves); one folder of Parquet files; or files.
    Each may be a URL that fsspec knows. columns: of the list, beside that one. notes: for people.

    Raises UsageError where there is nothing of the kind, MissingExtra for what is not installed.
    """

    def __init__(self, places: Sequence[str | os.PathLike[str]]) -> None:
        if not places:
            raise UsageError("no pictures: name a folder, a list as CSV or Parquet, or files")
        self.places = [place_of(os.fspath(place)) for place in places]
        self._kind = _kind(self.places)
        self.columns = self._kind.columns
        self.notes = self._kind.notes

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._kind)

    @cached_property
    def size(self) -> int:
        """How many; raises UsageError where there are none."""
        found = self._kind.size()
        if not found:
            raise UsageError(f"no pictures in {self.places[0].shown}: {self._kind.nothing}")
        return found


class Pass:
    """Goes through a listing once: what is to be opened, while what is listed of it waits."""

    def __init__(self, listing: Listing) -> None:
        self._listing = listing
        self._waiting: deque[tuple[int, Entry]] = deque()

    def __length_hint__(self) -> int:
        return self._listing.size

    def __iter__(self) -> Iterator[Any]:
        for index, entry in enumerate(self._listing):
            self._waiting.append((index, replace(entry, source=None)))
            yield entry.source

    def entry(self, index: int) -> Entry:
        """Without its source; to be asked for in their order, once."""
        while True:
            at, entry = self._waiting.popleft()
            if at == index:
                return entry


class _Files:
    columns: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    nothing = ""

    def __init__(self, places: Sequence[Place]) -> None:
        self._places = places

    def size(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[Entry]:
        return (place.entry() for place in self._places)


class _Folder:
    columns: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    nothing = f"it has none that end in {', '.join(ENDINGS)}"

    def __init__(self, place: Place) -> None:
        self._place = place

    def size(self) -> int:
        return sum(1 for _ in self._place.files(ENDINGS))

    def __iter__(self) -> Iterator[Entry]:
        return (self._place.inside(name).entry(name) for name in self._place.files(ENDINGS))


def place_of(text: str) -> Place:
    """A path on this machine, or a URL."""
    if not scheme_of(text):
        return Here(text)
    from probe.scoring.remote import There

    return There.at(text)


def _kind(places: Sequence[Place]) -> Kind:
    only = places[0]
    if len(places) > 1:
        return _Files(places)
    if only.ending == ".csv":
        return CsvList(only)
    if only.is_folder():
        if next(only.files(ENDINGS), None) is None:
            names = list(only.files(tables.ENDINGS))
            if names:
                return tables.Tables([(n.rpartition(".")[0], only.inside(n)) for n in names])
        return _Folder(only)
    if only.ending in tables.ENDINGS:
        return tables.Tables([(only.stem, only)])
    return _Files(places)
