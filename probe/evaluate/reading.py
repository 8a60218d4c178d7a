"""Tables from outside, CSV or Parquet, read by pyarrow in batches of the columns that are needed.

They are not trusted: what is too large, damaged or ambiguous is a UsageError that names the file,
and the row and the column where there are such.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Sequence
from io import StringIO
from pathlib import Path
from types import ModuleType
from typing import IO, Any, Protocol

from probe.errors import MissingExtra, UsageError, nearest
from probe.text import count, printable

MAX_ROWS = 20_000_000
MAX_COLUMNS = 10_000
MAX_HEADER = 2**20
BLOCK = 4 * 2**20
"""Bytes of a CSV file that are looked at together; no row is longer."""
BATCH = 65_536
OTHERS = {
    b"PK\x03\x04": "an Excel or ZIP file",
    b"\xd0\xcf\x11\xe0": "an old Excel file",
    b"\x1f\x8b": "compressed",
    b"\xff\xfe": "text in UTF-16",
    b"\xfe\xff": "text in UTF-16",
}
"""How files begin that are often given instead, and what they are."""

Batch = dict[str, Any]
"""Name of a column -> its cells, a pyarrow Array."""


class Table(Protocol):
    """A file with named columns.

    shown   its name, printable. names: of its columns, each once.
    first   what people call its first row: 2 below a CSV's header, as a spreadsheet does.
    comma   whether a decimal comma is to be expected.
    """

    shown: str
    names: tuple[str, ...]
    first: int
    comma: bool

    def batches(self, names: Sequence[str]) -> Iterator[Batch]:
        """The rows of these columns, some at a time. Raises UsageError for damage."""
        ...


def arrow() -> ModuleType:
    """pyarrow; raises MissingExtra without it."""
    try:
        import pyarrow
    except ImportError:
        raise MissingExtra("pyarrow (to read tables of scores)", "evaluate") from None
    return pyarrow  # type: ignore[no-any-return]


def open_table(path: str | os.PathLike[str]) -> Table:
    """A CSV (with commas, semicolons or tabs) or Parquet file; only its head is read.

    Raises UsageError where it is neither, empty, or has no usable header.
    """
    place = Path(path)
    shown = printable(str(path), 300)
    if not place.is_file():
        what = "is a folder" if place.is_dir() else "no file"
        raise UsageError(f"{what} {shown}" if what == "no file" else f"{shown} {what}")
    try:
        with place.open("rb") as file:
            start = file.read(4)
    except OSError as error:
        raise UsageError(f"cannot read {shown}: {error.strerror or error}") from error
    if not start:
        raise UsageError(f"{shown} is empty: give a table with a row for each picture")
    for magic, what in OTHERS.items():
        if start.startswith(magic):
            raise UsageError(f"{shown} is {what}: save it as CSV in UTF-8, or as Parquet")
    if start == b"PAR1" or place.suffix.lower() in (".parquet", ".pq"):
        return Parquet(place, shown)
    return Csv(place, shown)


def find_column(table: Table, name: str, option: str) -> str:
    """The name, if the table has such a column; UsageError says which there are."""
    if name in table.names:
        return name
    there = ", ".join(printable(one, 40) for one in table.names[:12])
    more = ", ..." if len(table.names) > 12 else ""
    raise UsageError(
        f"{table.shown} has no column {printable(name, 60)!r}.{nearest(name, table.names)} "
        f"It has {there}{more}: name one by {option}"
    )


class Csv:
    """Text with a header. Cells come as bytes, for only those that are read have to be UTF-8."""

    first = 2

    def __init__(self, path: Path, shown: str) -> None:
        self.path, self.shown = path, shown
        self.separator, raw = _header(path, shown)
        self.comma = self.separator == ";"
        self._raw = {name.strip(): name for name in raw if name.strip()}
        self.names = tuple(self._raw)
        _check_names([name.strip() for name in raw if name.strip()], shown)

    def batches(self, names: Sequence[str]) -> Iterator[Batch]:
        pa, ragged = arrow(), _Ragged()
        from pyarrow import csv as reader

        raw = [self._raw[name] for name in names]
        rows = 0
        try:
            with self.path.open("rb") as file:
                counted = _Quotes(file)
                stream = reader.open_csv(
                    counted,
                    reader.ReadOptions(use_threads=False, block_size=BLOCK),
                    reader.ParseOptions(
                        delimiter=self.separator,
                        newlines_in_values=True,
                        invalid_row_handler=ragged,
                    ),
                    reader.ConvertOptions(
                        column_types=dict.fromkeys(raw, pa.binary()), include_columns=raw
                    ),
                )
                for batch in stream:
                    rows = _counted(rows, batch.num_rows, self.shown)
                    yield dict(zip(names, batch.columns, strict=True))
        except (pa.ArrowException, OSError) as error:
            raise UsageError(f"{self.shown}{self._said(error, ragged)}") from error
        if counted.odd:
            raise UsageError(
                f"{self.shown}: a quotation mark is never closed, in row {rows + 1} or before: "
                "double each that belongs to a cell"
            )

    def _said(self, error: Exception, ragged: _Ragged) -> str:
        if ragged.row is not None:
            number, expected, found = ragged.row
            said = f"{count(found, 'cell')} under {count(expected, 'name')}"
            return f", row {number}: {said}: mend it, or a quotation mark that is never closed"
        if "straddling" in str(error):
            return f": a row is longer than {BLOCK >> 20} MiB, or a quotation mark is never closed"
        return f" cannot be read as CSV: {printable(str(error), 200)}"


class Parquet:
    """A Parquet file. Texts come as dictionaries, so that a small file cannot become huge."""

    first = 1
    comma = False

    def __init__(self, path: Path, shown: str) -> None:
        self.path, self.shown = path, shown
        with self._opened() as file:
            schema = file.schema_arrow
            _counted(0, file.metadata.num_rows, shown)
            self.names = tuple(name for name in schema.names if name)
            self._texts = [field.name for field in schema if is_text(field.type)]
        _check_names(self.names, shown)

    def batches(self, names: Sequence[str]) -> Iterator[Batch]:
        rows = 0
        with self._opened([name for name in names if name in self._texts]) as file:
            for batch in file.iter_batches(BATCH, columns=list(names), use_threads=False):
                rows = _counted(rows, batch.num_rows, self.shown)
                batch.validate(full=True)
                yield {name: batch.column(batch.schema.names.index(name)) for name in names}

    def _opened(self, dictionaries: Sequence[str] = ()) -> _Guarded:
        return _Guarded(self.path, self.shown, dictionaries)


class _Guarded:
    """A Parquet file that is open; whatever pyarrow finds wrong with it becomes a UsageError."""

    def __init__(self, path: Path, shown: str, dictionaries: Sequence[str]) -> None:
        self.path, self.shown, self.dictionaries = path, shown, list(dictionaries)
        self.file: IO[bytes] | None = None

    def __enter__(self) -> Any:
        arrow()
        from pyarrow import parquet

        try:
            self.file = self.path.open("rb")
            return parquet.ParquetFile(self.file, read_dictionary=self.dictionaries)
        except Exception as error:
            self.__exit__(type(error), error)
            raise

    def __exit__(self, kind: Any, error: BaseException | None, *_: Any) -> None:
        if self.file is not None:
            self.file.close()
        faults = (arrow().ArrowException, OSError, ValueError, KeyError, MemoryError)
        if isinstance(error, faults) and not isinstance(error, UsageError):
            raise UsageError(
                f"{self.shown} is a damaged Parquet file, or none: write it anew "
                f"({printable(' '.join(str(error).split()), 120)})"
            ) from error


class _Ragged:
    """Notes the first row with too few or too many cells, and ends the reading there."""

    def __init__(self) -> None:
        self.row: tuple[int, int, int] | None = None

    def __call__(self, row: Any) -> str:
        self.row = self.row or (row.number, row.expected_columns, row.actual_columns)
        return "error"


class _Quotes:
    """A file that counts the quotation marks read from it."""

    closed = False

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self.odd = file, False

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self.odd ^= data.count(b'"') % 2 == 1
        return data

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        self.closed = True


def _header(path: Path, shown: str) -> tuple[str, list[str]]:
    """The separator and the names of a CSV file: the separator that makes the most of them."""
    try:
        with path.open("rb") as file:
            head = file.read(MAX_HEADER)
    except OSError as error:
        raise UsageError(f"cannot read {shown}: {error.strerror or error}") from error
    text = head.decode("utf-8-sig", errors="surrogateescape")
    found: tuple[str, list[str]] = (",", [])
    for separator in ",;\t":
        lines = csv.reader(StringIO(text, newline=None), delimiter=separator)
        try:
            names = next((line for line in lines if line), [])
        except csv.Error as error:
            raise UsageError(f"{shown} does not begin with the names of columns") from error
        if len(names) > len(found[1]):
            found = separator, names
    if "\0" in "".join(found[1]):
        raise UsageError(f"{shown} is no text: save it as CSV in UTF-8, or as Parquet")
    if any("\udc80" <= character <= "\udcff" for name in found[1] for character in name):
        raise UsageError(f"the header of {shown} is not in UTF-8: save it as CSV in UTF-8")
    return found


def _check_names(names: Sequence[str], shown: str) -> None:
    if not names:
        raise UsageError(f"{shown} has no names of columns: its first line must be a header")
    if len(names) > MAX_COLUMNS:
        raise UsageError(f"{shown} has more than {MAX_COLUMNS:,} columns: leave most of them out")
    twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    if twice:
        raise UsageError(
            f"{shown} has two columns of the name {printable(twice[0], 60)!r}: rename one"
        )


def _counted(rows: int, more: int, shown: str) -> int:
    if rows + more > MAX_ROWS:
        raise UsageError(f"{shown} has more than {MAX_ROWS:,} rows: give a part of them")
    return rows + more


def is_text(kind: Any) -> bool:
    """Whether a pyarrow type is one of texts or bytes of any length."""
    types = arrow().types
    return any(
        test(kind)
        for test in (types.is_string, types.is_binary, types.is_large_string, types.is_large_binary)
    )
