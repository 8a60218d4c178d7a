"""Pictures of which both the truth and a score are known: what is left of a table."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from probe.errors import UsageError
from probe.evaluate.cells import EMPTY, UNREADABLE, shown
from probe.evaluate.loading import Loaded, load
from probe.evaluate.matching import Matched, keys_of, match, repeats
from probe.evaluate.reading import Table, find_column, open_table
from probe.evaluate.scoring import score_column
from probe.evaluate.truth import meanings
from probe.text import count, printable

EXAMPLES = 10


@dataclass(frozen=True)
class LeftOut:
    """Rows that do not count, and why.

    reason  a word for programs; said: the same for people. examples: the first rows of them, each
            its number and its picture.
    """

    reason: str
    said: str
    rows: int
    examples: Sequence[tuple[int, str]] = ()

    def as_dict(self) -> dict[str, Any]:
        examples = [{"row": row, "picture": picture} for row, picture in self.examples]
        return {"reason": self.reason, "rows": self.rows, "examples": examples}


@dataclass(frozen=True, eq=False)
class Sample:
    """Pictures to evaluate services on.

    truth     bool (n,): whether `label` is right. scores: float64 (services, n), 0..1.
    names     of the services.
    groups    for each picture its place in `group_names`, int (n,); None without groups.
    rows      what people call each picture's row in the file, int (n,).
    words     what each word of the truth column was taken for.
    left_out  the rows that do not count.
    first     what people call the file's first row. pictures: all its cells of that column.
    files     that were read.
    """

    label: str
    names: tuple[str, ...]
    truth: NDArray[np.bool_]
    scores: NDArray[np.float64]
    rows: NDArray[np.int64]
    groups: NDArray[np.int32] | None = None
    group_names: tuple[str, ...] = ()
    words: dict[str, bool] = field(default_factory=dict)
    left_out: tuple[LeftOut, ...] = ()
    first: int = 1
    pictures: Any = None
    files: tuple[str, ...] = ()

    def picture(self, index: int) -> str:
        """What the file calls a picture; empty where it has no such column."""
        if self.pictures is None:
            return ""
        return shown(self.pictures[int(self.rows[index]) - self.first].as_py())


def read_sample(
    path: str | os.PathLike[str],
    *,
    truth: str = "truth",
    labels: Sequence[str] = (),
    positive: Sequence[str] = (),
    negative: Sequence[str] = (),
    against: str | None = None,
    group: str | None = None,
) -> Sample:
    """Read a table with one row a picture: columns `picture` and perhaps `digest`, `failure`, a
    truth, and one for each label with scores of 0..1.

    labels    the column of scores, by default the only one of numbers in 0..1; a second one is
              for the file `against`.
    positive, negative  words of the truth column, see `probe.evaluate.truth.meanings`.
    against   a second service: another column, or another file, whose pictures are found by
              `digest`, else by `picture`.
    group     a column of few words.

    Rows without truth or score, and further ones of the same picture, are left out and counted.
    Raises UsageError for what cannot be used, MissingExtra without pyarrow.
    """
    table = open_table(path)
    find_column(table, truth, "--truth")
    if group is not None:
        find_column(table, group, "--group")
    beside = against if against in table.names else None
    other = None if against is None or beside else _other(table, against)
    if len(labels) > (2 if other else 1):
        raise UsageError("--label is given too often: one, or a second one for a file of --against")
    aside = [truth, *(name for name in (group, beside) if name)]
    label = score_column(table, labels[0] if labels else None, aside)
    if beside == label:
        raise UsageError(f"--against {printable(label, 60)}: that is the column it is held against")
    loaded = load(table, [label, *([beside] if beside else [])], truth, group)
    assert loaded.truth is not None
    words = meanings(
        loaded.truth.counts(), label, positive, negative, f"column {truth!r} of {table.shown}"
    )
    names: tuple[str, ...] = (label, beside) if beside else (label,)
    sorter = _Sorter(loaded)
    found = None
    if other:
        theirs = labels[1] if len(labels) > 1 else label if label in other.names else None
        found = _match(sorter, loaded, other, theirs, aside)
        names = _file_names(Path(path), Path(str(against)))
    files = [os.fspath(one) for one in (path, against if other else None) if one is not None]
    return replace(_finished(sorter, loaded, words, label, names, found), files=tuple(files))


def _other(table: Table, against: str) -> Table:
    if not Path(against).is_file():
        find_column(table, against, "--against, or a file")
    return open_table(against)


def _file_names(one: Path, other: Path) -> tuple[str, str]:
    if one.stem != other.stem:
        return one.stem, other.stem
    return (one.name, other.name) if one.name != other.name else (str(one), str(other))


class _Sorter:
    """Which rows still count, and why the others do not."""

    def __init__(self, loaded: Loaded) -> None:
        self.loaded = loaded
        self.keep: NDArray[np.bool_] = np.ones(loaded.rows, bool)
        self.left_out: list[LeftOut] = []
        kinds = loaded.kinds
        empty, unreadable = (kinds == EMPTY).any(0), (kinds == UNREADABLE).any(0)
        if loaded.truth is not None:
            self.drop("truth", "without a truth", loaded.truth.codes < 0)
        self.drop("failed", "without a score because it failed", empty & loaded.failed)
        self.drop("missing", "without a score", empty)
        self.drop("unreadable", "with a score that is no number", unreadable)
        self.keys = keys_of(loaded)
        if self.keys is not None:
            again = repeats(self.keys, self.keep)
            self.drop("repeated", "again of a picture that came before", again)

    def drop(self, reason: str, said: str, those: NDArray[np.bool_]) -> None:
        rows = np.flatnonzero(those & self.keep)
        self.keep[rows] = False
        if len(rows):
            examples = tuple(
                (self.loaded.table.first + int(row), self.loaded.name_of(int(row)))
                for row in rows[:EXAMPLES]
            )
            self.left_out.append(LeftOut(reason, said, len(rows), examples))


def _match(
    sorter: _Sorter, loaded: Loaded, other: Table, label: str | None, aside: Sequence[str]
) -> Matched:
    """Where each row's picture is in the other file; rows without a partner are left out."""
    second = _Sorter(load(other, [score_column(other, label, aside)]))
    found = match(loaded, second.loaded, second.keep)
    sorter.drop("unmatched", f"without a score in {other.shown}", found.places < 0)
    if not sorter.keep.any():
        raise UsageError(
            f"{loaded.table.shown} and {other.shown} have no picture in common, by their columns "
            f"{found.by!r}: they have to call the same picture the same"
        )
    return found


def _finished(
    sorter: _Sorter,
    loaded: Loaded,
    words: dict[str, bool],
    label: str,
    names: tuple[str, ...],
    found: Matched | None,
) -> Sample:
    assert loaded.truth is not None
    kept = np.flatnonzero(sorter.keep)
    table = np.array([words[word] for word in loaded.truth.names] or [False], bool)
    truth = table[loaded.truth.codes[kept]]
    _check_classes(truth, loaded, words, sorter)
    left_out = list(sorter.left_out)
    scores = [values[kept] for values in loaded.scores]
    if found is not None:
        scores.append(found.scores[found.places[kept]])
        if found.alone:
            left_out.append(LeftOut("second alone", f"only in {found.shown}", found.alone))
    groups: NDArray[np.int32] | None = None
    group_names: tuple[str, ...] = ()
    if loaded.groups is not None:
        groups, group_names = _groups(loaded.groups.codes[kept], loaded.groups.names)
    return Sample(
        label=label,
        names=names,
        truth=truth,
        scores=np.array(scores),
        rows=loaded.table.first + kept,
        groups=groups,
        group_names=group_names,
        words=words,
        left_out=tuple(left_out),
        first=loaded.table.first,
        pictures=loaded.pictures,
    )


def _groups(
    codes: NDArray[np.int32], names: Sequence[str]
) -> tuple[NDArray[np.int32], tuple[str, ...]]:
    """Only the groups that are there, in the order of their names; the empty one last."""
    there = sorted(set(codes.tolist()), key=lambda code: (code < 0, code >= 0 and names[code]))
    places = np.zeros(len(names) + 1, np.int32)
    for place, code in enumerate(there):
        places[code] = place
    return places[codes], tuple(names[code] if code >= 0 else "" for code in there)


def _check_classes(
    truth: NDArray[np.bool_], loaded: Loaded, words: dict[str, bool], sorter: _Sorter
) -> None:
    if 0 < truth.sum() < len(truth):
        return
    where = loaded.table.shown
    if not len(truth):
        why = "; ".join(f"{count(one.rows, 'row')} {one.said}" for one in sorter.left_out)
        raise UsageError(f"{where} has no row with a truth and a score ({why or 'no rows at all'})")
    kind = "for" if truth.all() else "against"
    said = ", ".join(f"{printable(word, 40)!r}" for word in list(words)[:8])
    raise UsageError(
        f"of {count(len(truth), 'usable row')} of {where} all are {kind} the label (words of the "
        f"truth: {said}): both kinds are needed; --positive and --negative say what a word means"
    )
