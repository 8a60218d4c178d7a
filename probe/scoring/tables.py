"""Lists as Parquet: a column names the pictures or holds them, the others go with them.

Tables are not trusted, and read a few rows at a time, texts and pictures as dictionaries, so that
memory is flat and a small file cannot become huge.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from probe.errors import MissingExtra, ProbeError, UsageError
from probe.scoring.lists import MAX_ROW, NAMES, chosen_of, named, too_long
from probe.scoring.places import Entry, Held, Place, bare, refused
from probe.source import MAX_BYTES
from probe.text import printable

ENDINGS = (".parquet", ".pq")
MARK = b"probe.scores"
"""The key in the schema of tables that `probe score` wrote."""
MAX_COLUMNS = 1000
NAMED, HELD = 1024, 16
"""Rows that are read together where pictures are named, and where they are held."""
BUFFER = 1 << 16


class Tables:
    """The rows of one Parquet file, or of all that make a data set.

    places: each with the name that pictures without one have before their row's number.
    columns: those beside that of the pictures that hold single values. notes: what is left out.
    """

    nothing = "it has no rows"

    def __init__(self, places: Sequence[tuple[str, Place]]) -> None:
        found = [_Table(name, place) for name, place in places]
        self._tables = [table for table in found if not table.is_scores or len(found) == 1]
        first = (self._tables or found)[0]
        self.columns = first.columns
        self.notes: tuple[str, ...] = ()
        for table in self._tables:
            absent = next((name for name in self.columns if name not in table.columns), None)
            if absent is not None:
                raise UsageError(
                    f"{table.shown} has no column {printable(absent, 60)!r} of single values, "
                    f"which {first.shown} has: give one of them alone"
                )
        if first.left_out:
            names = ", ".join(printable(name, 40) for name in first.left_out[:10])
            self.notes = (f"columns that hold no single values are left out: {names}",)

    def size(self) -> int:
        return sum(table.rows for table in self._tables)

    def __iter__(self) -> Iterator[Entry]:
        for table in self._tables:
            yield from table.entries(self.columns)


class _Table:
    """One Parquet file, of which only the end was read."""

    def __init__(self, name: str, place: Place) -> None:
        self._name, self._place, self.shown = name, place, place.shown
        with self._opened() as file:
            schema, metadata = file.schema_arrow, file.metadata
            self.rows = int(metadata.num_rows)
            self.is_scores = MARK in (schema.metadata or {})
            kinds = {field.name: field.type for field in schema}
            self._chosen = self._choice(schema.names, kinds)
            kind = kinds.pop(self._chosen)
            self.columns = tuple(name for name in kinds if name and _is_single(kinds[name]))
            self.left_out = tuple(name for name in kinds if name not in self.columns)
            self._bytes = f"{self._chosen}.bytes" if arrow().types.is_struct(kind) else self._chosen
            self._holds = not _is_text(kind)
            texts = [name for name in self.columns if _is_text(kinds[name])]
            self._dictionaries = [*texts, self._bytes]
            self._check_chunks(metadata)

    def _choice(self, names: Sequence[str], kinds: dict[str, Any]) -> str:
        """The column of pictures: one that holds them before one that names them."""
        chosen = chosen_of(names, self.shown, "its columns")
        if len(names) > MAX_COLUMNS:
            raise UsageError(f"{self.shown} has more than {MAX_COLUMNS:,} columns: leave some out")
        holding = [name for name in NAMES if name in kinds and _is_picture(kinds[name])]
        chosen = holding[0] if holding else chosen
        if not holding and not _is_text(kinds[chosen]):
            raise UsageError(
                f"{self.shown}, column {chosen!r}, holds {printable(str(kinds[chosen]), 60)}: it "
                "has to hold paths, or pictures as bytes or as {bytes, path}"
            )
        return chosen

    def _check_chunks(self, metadata: Any) -> None:
        """Refuse a table whose rows are said to take more than any may, before one is read."""
        for number in range(metadata.num_row_groups):
            group = metadata.row_group(number)
            for place in range(group.num_columns):
                chunk = group.column(place)
                path = chunk.path_in_schema
                most = MAX_BYTES if path == self._bytes and self._holds else 4 * MAX_ROW
                used = path.partition(".")[0] in (self._chosen, *self.columns)
                if used and chunk.total_uncompressed_size > most * max(1, group.num_rows) + BUFFER:
                    raise UsageError(
                        f"{self.shown}, column {printable(path, 60)}: its cells take "
                        f"{chunk.total_uncompressed_size >> 20:,} MB in {group.num_rows:,} rows: "
                        "leave it out, or write smaller ones"
                    )

    def entries(self, columns: Sequence[str]) -> Iterator[Entry]:
        row = 0
        for batch in self._batches([self._chosen, *columns]):
            names = batch.schema.names
            cells = [_singles(batch.column(names.index(name))) for name in columns]
            pictures = batch.column(names.index(self._chosen))
            for at in range(batch.num_rows):
                row += 1
                texts = tuple(self._text(column[at], row) for column in cells)
                if sum(map(len, texts)) > MAX_ROW:
                    raise too_long(self.shown, f"row {row:,}")
                yield self._entry(pictures[at], texts, row)

    def _batches(self, columns: list[str]) -> Iterator[Any]:
        with self._opened() as file:
            rows = HELD if self._holds else NAMED
            for batch in file.iter_batches(rows, columns=columns, use_threads=False):
                batch.validate(full=True)
                yield batch

    def _entry(self, cell: Any, cells: tuple[str, ...], row: int) -> Entry:
        if not self._holds:
            return named(self._place, self._text(cell, row), cells, f"row {row:,}")
        path = ""
        if arrow().types.is_struct(cell.type):
            fields = dict(cell.items()) if cell.is_valid else {}
            path = self._text(fields.get("path"), row)
            cell = fields.get("bytes")
        data = _buffer(cell)
        if data is None:
            return named(self._place, path, cells, f"row {row:,}")
        name = bare(path) or f"{self._name}:{row}"
        if data.size > MAX_BYTES:
            shown = printable(name, 300)
            return refused(name, f"{shown} has more than the {MAX_BYTES >> 20} MB opened", cells)
        return Entry(name, Held(name, data.to_pybytes()), cells)

    def _text(self, cell: Any, row: int) -> str:
        data = _buffer(cell)
        if data is not None and data.size > MAX_ROW:
            raise too_long(self.shown, f"row {row:,}")
        return "" if data is None else data.to_pybytes().decode()

    @contextmanager
    def _opened(self) -> Iterator[Any]:
        arrow()
        from pyarrow import parquet

        dictionaries = getattr(self, "_dictionaries", None)
        try:
            with self._place.open(seeking=True) as file:
                yield parquet.ParquetFile(
                    file, read_dictionary=dictionaries, buffer_size=BUFFER, pre_buffer=False
                )
        except ProbeError:
            raise
        except Exception as error:  # a parser fed with anything may raise anything
            said = printable(" ".join(str(error).split()), 120)
            raise UsageError(
                f"{self.shown} is a damaged Parquet file, or none: write it anew ({said})"
            ) from error


def arrow() -> ModuleType:
    """pyarrow; raises MissingExtra without it."""
    try:
        import pyarrow
    except ImportError:
        raise MissingExtra("pyarrow (for tables as Parquet)", "evaluate") from None
    return pyarrow  # type: ignore[no-any-return]


def _buffer(cell: Any) -> Any:
    """The bytes of a text or of a picture; None where there is none."""
    if cell is not None and arrow().types.is_dictionary(cell.type):
        cell = cell.value
    return cell.as_buffer() if cell is not None and cell.is_valid else None


def _singles(column: Any) -> Any:
    """The cells as texts."""
    return column if _is_text(column.type) else column.cast(arrow().string())


def _plain(kind: Any) -> Any:
    return kind.value_type if arrow().types.is_dictionary(kind) else kind


def _is_text(kind: Any) -> bool:
    types, kind = arrow().types, _plain(kind)
    return bool(types.is_string(kind) or types.is_large_string(kind))


def _is_bytes(kind: Any) -> bool:
    types, kind = arrow().types, _plain(kind)
    return bool(types.is_binary(kind) or types.is_large_binary(kind))


def _is_picture(kind: Any) -> bool:
    """Whether cells of this type are pictures: bytes, or {bytes, path} as Hugging Face has them,
    of which one may be null throughout."""
    pa = arrow()
    if not pa.types.is_struct(kind):
        return _is_bytes(kind)
    fields = {field.name: field.type for field in kind}
    if "bytes" not in fields:
        return False
    data, path = (fields.get(name, pa.null()) for name in ("bytes", "path"))
    empty = [pa.types.is_null(one) for one in (data, path)]
    return (_is_bytes(data) or empty[0]) and (_is_text(path) or empty[1]) and not all(empty)


def _is_single(kind: Any) -> bool:
    """Whether cells of this type can be written as texts."""
    pa = arrow()
    if _is_text(kind):
        return True
    if pa.types.is_nested(kind) or _is_bytes(kind) or pa.types.is_fixed_size_binary(kind):
        return False
    try:
        pa.array([], kind).cast(pa.string())
    except (pa.ArrowException, TypeError, ValueError):
        return False
    return True
