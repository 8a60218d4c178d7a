"""Scores that a person filled in: for a service without an API."""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Mapping, Sequence
from hashlib import sha256
from io import StringIO
from pathlib import Path
from threading import Lock

from probe.errors import UsageError
from probe.limits import Limits
from probe.perturb import name as name_of
from probe.text import printable
from probe.types import WHOLE, Codec, Failure, Identity, Perturbation, Scores, Variant, region_of

KEY = ("kind", "x0", "y0", "x1", "y1")
KINDS = ("identity", "repeat", "full", "box", "window", "keep")
OTHERS = ("index", "source", "failure", "fill", "picture")
DIGITS = 6
MAX_BYTES = 64 * 2**20

_Place = tuple[str, float, float, float, float]


class ScoresFile:
    """A CSV file with one row a variant, as `probe variants --write` and every run write it.

    Columns `kind` (identity, full, box, window), `x0`, `y0`, `x1`, `y1` (fractions of the
    picture, matched to six decimals), and one column a label. `fill` and `picture` are compared by
    `check`; `index`, `source`, `failure`, columns whose name starts with `file`, and rows of kind
    `repeat` are ignored. A variant without a row, or with an empty cell, is a failure of that
    variant. Nothing is rendered. Read at the first use; raises UsageError with the line and
    column for what cannot be read.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._lock = Lock()
        self._table: _Table | None = None

    def __repr__(self) -> str:
        return f"ScoresFile({str(self.path)!r})"

    @property
    def identity(self) -> str:
        return f"scores {self._read().digest}"

    @property
    def limits(self) -> Limits:
        return Limits(
            batch=1024, formats=("pixels",), labels=self._read().labels, deterministic=True
        )

    def score(self, variants: Sequence[Variant], codec: Codec) -> list[Scores | Failure]:
        table = self._read()
        return [self._look_up(table, variant.perturbation) for variant in variants]

    def check(self, digest: str, fill: str, asked: Sequence[Perturbation]) -> None:
        """Raise UsageError where the table was written for another picture, fill or plan."""
        table = self._read()
        if any(not digest.startswith(picture) for picture in table.pictures):
            raise UsageError(f"{self.path} holds the scores of another picture")
        if table.fills - {fill}:
            written = ", ".join(sorted(table.fills))
            raise UsageError(f"{self.path} was written with --fill {written}, not {fill}")
        changed = [change for change in asked if not isinstance(change, Identity)]
        if changed and not any(_place(change) in table.rows for change in changed):
            raise UsageError(
                f"{self.path} has no row for this plan: give the method, size, stride, budget and "
                "seed that it was written with"
            )

    def _look_up(self, table: _Table, perturbation: Perturbation) -> Scores | Failure:
        place = _place(perturbation)
        row = table.rows.get(place)
        if row is not None and len(row) == len(table.labels):
            return Scores(row)
        if isinstance(perturbation, Identity):
            raise UsageError(
                f"{self.path}: the row of kind {place[0]} (the picture as it is) has no score: "
                "fill it in"
            )
        name = f"{place[0]} {' '.join(f'{edge:.6g}' for edge in place[1:])}"
        return Failure("refused", f"no score in {self.path.name} for {name}")

    def _read(self) -> _Table:
        with self._lock:
            if self._table is None:
                self._table = _Table(self.path)
            return self._table


class _Table:
    """The file's labels, and for each place the cells that were filled in."""

    def __init__(self, path: Path) -> None:
        try:
            with path.open("rb") as file:
                data = file.read(MAX_BYTES + 1)
            text = data.decode("utf-8-sig")
        except OSError as error:
            raise UsageError(f"cannot read the scores {path}: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise UsageError(f"{path} is not a CSV file in UTF-8") from error
        if len(data) > MAX_BYTES:
            raise UsageError(f"{path} is larger than {MAX_BYTES >> 20} MiB; no file of scores is")
        self.digest = sha256(data).hexdigest()
        self.rows: dict[_Place, dict[str, float]] = {}
        self.fills: set[str] = set()
        self.pictures: set[str] = set()
        try:
            header, _, _ = text.partition("\n")
            separator = ";" if header.count(";") > header.count(",") else ","
            lines = csv.reader(StringIO(text, newline=""), strict=True, delimiter=separator)
            self._parse(path, lines)
        except csv.Error as error:
            raise UsageError(f"{path} is not a CSV file: {error}") from error

    def _parse(self, path: Path, lines: csv._reader) -> None:  # type: ignore[name-defined]
        header = [name.strip() for name in next(lines, [])]
        missing = [name for name in KEY if name not in header]
        self.labels = tuple(
            name
            for name in header
            if name and name not in (*KEY, *OTHERS) and not name.startswith("file")
        )
        if missing or not self.labels or len(set(header)) != len(header):
            raise UsageError(
                f"{path} must start with a line of column names, each once: "
                f"{', '.join(KEY)} and one column for each label"
                + (f"; {', '.join(missing)} missing" if missing else "")
            )
        for cells in lines:
            if any(cell.strip() for cell in cells):
                row = dict(zip(header, (cell.strip() for cell in cells), strict=False))
                self._add(f"{path} line {lines.line_num}", row)

    def _add(self, where: str, row: Mapping[str, str]) -> None:
        kind = row.get("kind", "").lower()
        if kind not in KINDS and not kind.startswith("mask "):
            shown = printable(kind, 40)
            raise UsageError(f"{where}, column kind: {shown!r} is none of {', '.join(KINDS)}")
        if kind == "repeat":
            return
        edges: Sequence[float] = WHOLE
        if kind not in ("identity", "full"):
            edges = [_number(where, name, row.get(name, "")) for name in KEY[1:]]
        place = _rounded(kind, *edges)
        self.fills |= {row["fill"]} if row.get("fill") else set()
        self.pictures |= {row["picture"]} if row.get("picture") else set()
        scores = {
            label: _number(where, label, row[label]) for label in self.labels if row.get(label)
        }
        if self.rows.setdefault(place, scores) != scores:
            raise UsageError(f"{where}: this {kind} has another score on an earlier line")


def _place(perturbation: Perturbation) -> _Place:
    if isinstance(perturbation, Identity):
        return _rounded("full" if perturbation.full else "identity", *WHOLE)
    return _rounded(name_of(perturbation), *region_of(perturbation))


def _rounded(kind: str, *edges: float) -> _Place:
    x0, y0, x1, y1 = (round(edge, DIGITS) + 0.0 for edge in edges)
    return (kind, x0, y0, x1, y1)


def _number(where: str, column: str, cell: str) -> float:
    try:
        number = float(cell.replace(",", "."))
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        shown = printable(cell, 40)
        raise UsageError(f"{where}, column {printable(column, 40)}: {shown!r} is not a number")
    return number
