"""The columns of a table that an evaluation needs, read once, each as small as it can be kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from probe.errors import UsageError
from probe.evaluate.cells import Words, as_bytes, filled, numbers, shown
from probe.evaluate.reading import Batch, Table, arrow
from probe.text import count, printable

MOST_WORDS = 1000
MOST_GROUPS = 100
ROUNDING = 1e-6
"""So far beyond 0..1 a score is taken for 0 or 1: sums of 32-bit numbers end there."""


@dataclass(eq=False)
class Loaded:
    """scores: (columns, rows), NaN where `kinds` is not OK. failed: rows with a failure's text.
    digests, pictures: chunked pyarrow arrays of bytes, or None."""

    table: Table
    rows: int
    scores: NDArray[np.float64]
    kinds: NDArray[np.uint8]
    failed: NDArray[np.bool_]
    truth: Words | None
    groups: Words | None
    digests: Any
    pictures: Any

    def name_of(self, row: int) -> str:
        return "" if self.pictures is None else shown(self.pictures[row].as_py())


def load(
    table: Table, scores: Sequence[str], truth: str | None = None, group: str | None = None
) -> Loaded:
    """Read the columns. `truth` and `group` are columns of few words.

    Raises UsageError for scores out of 0..1, for a truth or group of too many words, and for
    cells that cannot be used.
    """
    return _Loader(table, scores, truth, group).load()


class _Loader:
    def __init__(
        self, table: Table, scores: Sequence[str], truth: str | None, group: str | None
    ) -> None:
        self.table, self.scores, self.truth, self.group = table, scores, truth, group
        self.beside = [n for n in ("digest", "picture", "failure") if n in table.names]
        self.words = Words(MOST_WORDS, lambda: self._too_many(truth, "--truth", MOST_WORDS))
        self.groups = Words(MOST_GROUPS, lambda: self._too_many(group, "--group", MOST_GROUPS))
        self.values: list[NDArray[np.float64]] = []
        self.kinds: list[NDArray[np.uint8]] = []
        self.failed: list[NDArray[np.bool_]] = []
        self.texts: dict[str, list[Any]] = {"digest": [], "picture": []}
        self.rows = 0

    def load(self) -> Loaded:
        used = [*self.scores, *(n for n in (self.truth, self.group) if n), *self.beside]
        for batch in self.table.batches(list(dict.fromkeys(used))):
            self._add(batch)
        if not self.rows:
            raise UsageError(f"{self.table.shown} has no rows below its header")
        scores = np.concatenate(self.values, axis=1)
        kinds = np.concatenate(self.kinds, axis=1)
        for name, values in zip(self.scores, scores, strict=True):
            self._check_range(name, values)
        return Loaded(
            table=self.table,
            rows=self.rows,
            scores=np.clip(scores, 0, 1, out=scores),
            kinds=kinds,
            failed=np.concatenate(self.failed),
            truth=self.words if self.truth else None,
            groups=self.groups if self.group else None,
            digests=self._joined("digest"),
            pictures=self._joined("picture"),
        )

    def _add(self, batch: Batch) -> None:
        rows = len(batch[self.scores[0]])
        name = ""
        try:
            pairs = []
            for name in self.scores:
                pairs.append(numbers(batch[name], self.table.comma))
            self.values.append(np.array([values for values, _ in pairs]))
            self.kinds.append(np.array([kinds for _, kinds in pairs]))
            if name := self.truth or "":
                self.words.add(batch[name])
            if name := self.group or "":
                self.groups.add(batch[name])
            for name in set(self.texts) & set(self.beside):
                self.texts[name].append(as_bytes(batch[name]))
            failed = np.zeros(rows, bool)
            if "failure" in self.beside:
                failed = filled(batch["failure"])
            self.failed.append(failed)
        except ValueError as error:
            if isinstance(error, UsageError):
                raise
            about = f"{self.table.shown}, column {printable(name, 60)}, rows from "
            raise UsageError(f"{about}{self.table.first + self.rows}: it {error}") from error
        self.rows += rows

    def _joined(self, name: str) -> Any:
        if not self.texts[name]:
            return None
        pa = arrow()
        return pa.chunked_array(self.texts[name], pa.binary())

    def _check_range(self, name: str, values: NDArray[np.float64]) -> None:
        out = np.flatnonzero((values < -ROUNDING) | (values > 1 + ROUNDING))
        if len(out):
            row = self.table.first + int(out[0])
            raise UsageError(
                f"{self.table.shown}, column {printable(name, 60)}, row {row}: the score "
                f"{values[out[0]]:.6g} is not in 0..1 ({count(len(out), 'such row')}): scale the "
                "column, or name another by --label"
            )

    def _too_many(self, name: str | None, option: str, most: int) -> UsageError:
        return UsageError(
            f"{self.table.shown}, column {printable(name or '', 60)}: more than {most:,} different "
            f"words; name a column of few by {option}"
        )
