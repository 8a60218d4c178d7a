"""scores.csv of many pictures: a row a picture, a column a label."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryFile
from types import TracebackType
from typing import IO, Any, Self

from probe.errors import OutputError
from probe.scoring import Scored
from probe.show.files import write_file
from probe.text import inert, printable
from probe.types import Scores

FIXED = ("picture", "digest", "failure")
MAX_LABELS = 1000


class ScoresTable:
    """Collects rows outside of memory, for which labels there are is known at the end.

    columns: more headings, whose cells come with every row; those that are called as a label or
    one of FIXED are written as `list NAME`.
    """

    def __init__(self, columns: Sequence[str] = ()) -> None:
        self.columns = tuple(columns)
        self.rows = 0
        self._labels: dict[str, int] = {}
        self._spool: IO[str] = TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._spool.close()

    def add(self, name: str, scored: Scored, cells: Sequence[str] = ()) -> None:
        """Raises OutputError where the disk is full."""
        outcome = scored.outcome
        scores = dict(outcome) if isinstance(outcome, Scores) else {}
        failure = "" if isinstance(outcome, Scores) else f"{outcome.kind}: {outcome.message}"
        for label in scores:
            if label not in self._labels and len(self._labels) < MAX_LABELS:
                self._labels[label] = len(self._labels)
        known = {str(self._labels[k]): v for k, v in scores.items() if k in self._labels}
        row = [name, scored.digest or "", failure, list(cells), known]
        try:
            self._spool.write(f"{json.dumps(row)}\n")
        except OSError as error:
            raise OutputError(f"cannot keep the scores: {error.strerror or error}") from error
        self.rows += 1

    def save(self, path: Path) -> Path:
        """Write all rows, whole or not at all; raises OutputError."""
        return write_file(path, self._write)

    def _write(self, file: IO[bytes]) -> None:
        text = io.TextIOWrapper(file, "utf-8", newline="", write_through=True)
        writer = csv.writer(text, lineterminator="\n")
        labels = list(self._labels)
        taken = {*FIXED, *labels}
        own = [f"list {name}" if name in taken else name for name in self.columns]
        writer.writerow([*FIXED, *(_cell(name) for name in (*own, *labels))])
        for name, digest, failure, cells, scores in self._read():
            values = [repr(scores[str(n)]) if str(n) in scores else "" for n in range(len(labels))]
            writer.writerow([_cell(name), digest, _cell(failure), *map(_cell, cells), *values])
        text.flush()
        text.detach()

    def _read(self) -> Iterator[Any]:
        self._spool.seek(0)
        for line in self._spool:
            yield json.loads(line)
        self._spool.seek(0, io.SEEK_END)


def is_scores(path: Path) -> bool:
    """Whether what is there was written by `ScoresTable.save`, and may be written over."""
    try:
        with open(path, "rb") as file:
            return file.read(64).startswith(",".join(FIXED).encode())
    except OSError:
        return False


def _cell(text: str) -> str:
    """Text that no spreadsheet will run; a number stays one."""
    try:
        float(text)
    except ValueError:
        return inert(printable(text))
    return text.strip()
