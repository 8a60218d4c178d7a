"""Scores of many pictures, as CSV or Parquet: a row a picture, a column a label."""

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
from probe.scoring.tables import MARK, arrow
from probe.show.files import write_file
from probe.text import inert, printable
from probe.types import Scores

FIXED = ("picture", "digest", "failure")
MAX_LABELS = 1000
ROWS, CHARACTERS = 10_000, 1 << 24
"""Rows of a row group of Parquet, or fewer where they hold that many characters."""


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
        """Write all rows, whole or not at all: Parquet where the name says so, else CSV. In both
        the scores are numbers, 0 to 1, and all else texts. Raises OutputError."""
        return write_file(path, self._write_parquet if is_parquet(path) else self._write_csv)

    def _write_csv(self, file: IO[bytes]) -> None:
        text = io.TextIOWrapper(file, "utf-8", newline="", write_through=True)
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow([*FIXED, *(_cell(name) for name in (*self._own(), *self._labels))])
        for name, digest, failure, cells, scores in self._read():
            values = ["" if one is None else repr(one) for one in scores]
            writer.writerow([_cell(name), digest, _cell(failure), *map(_cell, cells), *values])
        text.flush()
        text.detach()

    def _write_parquet(self, file: IO[bytes]) -> None:
        pa = arrow()
        from pyarrow import parquet

        texts = [*FIXED, *map(printable, self._own())]
        schema = pa.schema(
            [
                *((name, pa.string()) for name in texts),
                *((printable(label), pa.float64()) for label in self._labels),
            ],
            metadata={MARK: b"1"},
        )
        with parquet.ParquetWriter(file, schema) as writer:
            for group in self._groups():
                columns = zip(*group, strict=True)
                arrays = [
                    pa.array(one, field.type) for one, field in zip(columns, schema, strict=True)
                ]
                writer.write_table(pa.Table.from_arrays(arrays, schema=schema))

    def _groups(self) -> Iterator[list[list[Any]]]:
        """The rows, so many at a time."""
        group: list[list[Any]] = []
        held = 0
        for name, digest, failure, cells, scores in self._read():
            texts = [printable(text) for text in (name, digest, failure, *cells)]
            group.append([*texts, *scores])
            held += sum(map(len, texts))
            if len(group) >= ROWS or held >= CHARACTERS:
                yield group
                group, held = [], 0
        if group:
            yield group

    def _own(self) -> list[str]:
        """The list's own columns, as they are headed here."""
        taken = {*FIXED, *self._labels}
        return [f"list {name}" if name in taken else name for name in self.columns]

    def _read(self) -> Iterator[tuple[str, str, str, list[str], list[float | None]]]:
        """Name, digest, failure, the list's cells, and a score or None for each label."""
        self._spool.seek(0)
        for line in self._spool:
            name, digest, failure, cells, scores = json.loads(line)
            values = [scores.get(str(number)) for number in range(len(self._labels))]
            yield name, digest, failure, cells, values
        self._spool.seek(0, io.SEEK_END)


def is_parquet(path: Path) -> bool:
    """Whether a table of this name is written as Parquet."""
    return path.suffix.lower() == ".parquet"


def is_scores(path: Path) -> bool:
    """Whether what is there was written by `ScoresTable.save`, and may be written over."""
    try:
        with open(path, "rb") as file:
            head = file.read(64)
        if head.startswith(b"PAR1"):
            return _is_marked(path)
        return head.startswith(",".join(FIXED).encode())
    except OSError:
        return False


def _is_marked(path: Path) -> bool:
    pa = arrow()
    from pyarrow import parquet

    try:
        with open(path, "rb") as file:
            return MARK in (parquet.read_schema(file).metadata or {})
    except (pa.ArrowException, OSError, ValueError):
        return False


def _cell(text: str) -> str:
    """Text that no spreadsheet will run; a number stays one."""
    try:
        float(text)
    except ValueError:
        return inert(printable(text))
    return text.strip()
