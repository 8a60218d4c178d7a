"""Answers out of a file whose pages no longer hold together."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from probe.ledger import rows
from probe.ledger.pages import TABLE_LEAF, Pages, Place, Value
from probe.ledger.record import (
    Record,
    Subject,
    question_of,
    unpack_blob,
    unpack_labels,
    unreadable,
)
from probe.types import Failure, Scores

_ANSWER = ("seq", "subject", "change", "labels", "scores", "body", "host", "at", "checksum")
_LATER = {"reading": None, "part": 0, "parts": 1}
_UNREAD = ("seq", "subject", "change", "body", "host", "at", "reading", "part", "parts", "checksum")
_SUBJECT = [str, str, str, int, int, str, int]


def dig(path: Path) -> Iterator[Record]:
    """Every answer and every body kept unread that can still be put together, in the order of
    storing.

    Rows are known by their shape and believed by their checksum. An answer whose list of labels
    is lost comes as a body that was not read yet. Raises OSError.
    """
    with closing(Pages(path)) as pages:
        yield from _Finds(pages).records()


@dataclass
class _Finds:
    pages: Pages
    subjects: dict[int, Subject] = field(default_factory=dict)
    blobs: dict[bytes, Place] = field(default_factory=dict)
    found: list[tuple[int, Place]] = field(default_factory=list)
    labels: rows.Labels = field(default_factory=dict)

    def records(self) -> Iterator[Record]:
        for place in self.pages.places():
            with suppress(ValueError):
                self._sort(place, *self.pages.row(place))
        for _, place in sorted(self.found):
            with suppress(ValueError, TypeError, KeyError):
                yield self._record(self.pages.row(place)[1])

    def _sort(self, place: Place, key: int, values: list[Value]) -> None:
        shape = [type(value) for value in values]
        if place[0] != TABLE_LEAF:
            if shape == [*_SUBJECT, int]:
                self._subject(values.pop(), values)
        elif shape == [type(None), *_SUBJECT]:
            self._subject(key, values[1:])
        elif shape == [bytes, bytes]:
            self.blobs[bytes(values[0])] = place  # type: ignore[arg-type]
        elif len(values) in (len(_ANSWER), len(_ANSWER) + len(_LATER), len(_UNREAD)):
            self.found.append((key, place))

    def _subject(self, number: Any, values: list[Any]) -> None:
        image, backend, fill, width, height, codec, render = values
        self.subjects[number] = (image, backend, fill, width, height, codec, render)

    def _record(self, values: list[Value]) -> Record:
        is_unread = len(values) == len(_UNREAD)
        names = _UNREAD if is_unread else (*_ANSWER, *_LATER)
        row = SimpleNamespace(**_LATER | dict(zip(names, values, strict=False)))
        asked = self.subjects[row.subject]
        if not rows.is_whole(asked, row):
            raise ValueError("not what was written")
        origin = rows.origin(row)
        part = origin.part, origin.parts
        raw = self._load(origin.body)
        scores = None if is_unread else rows.read(asked, row, self._labels(row.labels))
        if scores is None and raw is None:
            raise ValueError("nothing to read")
        outcome: Scores | Failure
        outcome = unreadable(raw, part) if scores is None else Scores(scores, raw, part)
        reading = origin.reading if is_unread or scores is not None else None
        question = question_of(asked, row.change)
        return Record(question, outcome, origin.host, origin.at, reading)

    def _labels(self, name: bytes) -> rows.Labels:
        if name not in self.labels and (content := self._load(name)) is not None:
            self.labels[name] = unpack_labels(content)
        return self.labels

    def _load(self, name: bytes | None) -> bytes | None:
        """A blob, None where it is lost."""
        if name is None or name not in self.blobs:
            return None
        try:
            _, (_, data) = self.pages.row(self.blobs[name])
        except ValueError:
            return None
        return unpack_blob(name, data)  # type: ignore[arg-type]
