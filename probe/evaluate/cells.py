"""Cells of a table as numbers, as words and as keys, whatever type the file gave them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from probe.errors import UsageError
from probe.evaluate.reading import arrow, is_text
from probe.text import printable

OK, EMPTY, UNREADABLE = range(3)
BLANK = frozenset({"", "na", "n/a", "nan", "null", "none", "<na>"})
"""Words, in small letters, that stand for an empty cell."""
MAX_CELL = 4096
"""Bytes of a cell that is used as a word or a key."""


def numbers(column: Any, comma: bool) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
    """Values, NaN where there is none, and for each OK, EMPTY or UNREADABLE; both (rows,).

    comma: whether text may have a decimal comma. NaN counts as empty, infinity as unreadable.
    """
    pa = arrow()
    if pa.types.is_dictionary(column.type):
        return _of_dictionary(column, comma)
    if pa.types.is_null(column.type):
        return np.full(len(column), np.nan), np.full(len(column), EMPTY, np.uint8)
    if any(kind(column.type) for kind in (pa.types.is_floating, pa.types.is_integer)):
        return _checked(_array(column.cast(pa.float64())))
    if pa.types.is_decimal(column.type):
        return _checked(_array(column.cast(pa.float64())))
    text = as_bytes(column)
    try:
        return _checked(_parsed(text, comma))
    except pa.ArrowInvalid:
        return _one_by_one(text.to_pylist(), comma)


def _of_dictionary(column: Any, comma: bool) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
    values, kinds = numbers(column.dictionary, comma)
    values, kinds = np.append(values, np.nan), np.append(kinds, np.uint8(EMPTY))
    places = _array(column.indices.fill_null(len(values) - 1))
    return values[places], kinds[places]


def _array(column: Any) -> NDArray[Any]:
    """As numpy; null is NaN."""
    array: NDArray[Any] = column.to_numpy(zero_copy_only=False)
    return array


def _checked(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
    kinds = np.where(np.isnan(values), EMPTY, np.where(np.isinf(values), UNREADABLE, OK))
    return np.where(kinds == OK, values, np.nan), kinds.astype(np.uint8)


def _parsed(text: Any, comma: bool) -> NDArray[np.float64]:
    from pyarrow import compute

    pa = arrow()
    cells = compute.utf8_trim_whitespace(text.cast(pa.string()))
    if comma:
        cells = compute.replace_substring(cells, ",", ".")
    filled = compute.if_else(compute.equal(cells, ""), pa.scalar(None, pa.string()), cells)
    return _array(filled.cast(pa.float64()))


def _one_by_one(
    cells: list[bytes | None], comma: bool
) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
    """As `_parsed`, where some cells are no numbers."""
    values, kinds = np.full(len(cells), np.nan), np.full(len(cells), EMPTY, np.uint8)
    for n, cell in enumerate(cells):
        text = (cell or b"").decode("utf-8", "replace").strip()
        if text.casefold() in BLANK:
            continue
        try:
            value = np.nan if "_" in text else float(text.replace(",", ".") if comma else text)
        except ValueError:
            value = np.nan
        kinds[n] = OK if np.isfinite(value) else UNREADABLE
        values[n] = value if np.isfinite(value) else np.nan
    return values, kinds


def as_bytes(column: Any) -> Any:
    """The cells as a pyarrow array of bytes, numbers written out, null where there is none.

    Raises ValueError for lists and the like, and for a cell of more than MAX_CELL bytes.
    """
    pa = arrow()
    kind = column.type
    if pa.types.is_dictionary(kind):
        return as_bytes(column.dictionary).take(column.indices)
    if pa.types.is_nested(kind):
        raise ValueError(f"holds {kind}, not texts or numbers")
    if not (is_text(kind) or pa.types.is_fixed_size_binary(kind)):
        column = column.cast(pa.string())
    cells = column.cast(pa.binary())
    _check_lengths(cells)
    return cells


def _check_lengths(cells: Any) -> None:
    from pyarrow import compute

    longest = compute.max(compute.binary_length(cells)).as_py() or 0
    if longest > MAX_CELL:
        raise ValueError(f"has a cell of {longest:,} bytes: none may have more than {MAX_CELL:,}")


def filled(column: Any) -> NDArray[np.bool_]:
    """Which cells hold any text, however long; (rows,)."""
    from pyarrow import compute

    pa = arrow()
    if pa.types.is_dictionary(column.type):
        known = np.append(filled(column.dictionary), False)
        found: NDArray[np.bool_] = known[_array(column.indices.fill_null(len(known) - 1))]
        return found
    if pa.types.is_null(column.type) or pa.types.is_nested(column.type):
        return _array(compute.is_valid(column))
    cells = column.cast(pa.string()) if not is_text(column.type) else column
    lengths = compute.fill_null(compute.binary_length(cells), 0)
    return _array(lengths) > 0


class Words:
    """The few different words of a column, collected batch by batch.

    codes  for each row, which of `names` it holds; -1 for an empty cell.
    """

    def __init__(self, most: int, too_many: Callable[[], UsageError]) -> None:
        self._most, self._too_many = most, too_many
        self._known: dict[bytes, int] = {}
        self._codes: list[NDArray[np.int32]] = []
        self.names: list[str] = []

    def add(self, column: Any) -> None:
        """Raises UsageError, from `too_many`, and ValueError as `as_bytes`."""
        encoded = as_bytes(column).dictionary_encode()
        found = [self._code(word) for word in encoded.dictionary.to_pylist()]
        table = np.array([*found, -1], np.int32)
        self._codes.append(table[_array(encoded.indices.fill_null(len(found)))])

    def _code(self, cell: bytes) -> int:
        if cell not in self._known:
            word = cell.decode("utf-8", "surrogateescape").strip()
            if word.casefold() in BLANK:
                self._known[cell] = -1
            elif word in self.names:
                self._known[cell] = self.names.index(word)
            else:
                self._known[cell] = len(self.names)
                self.names.append(word)
            if len(self.names) > self._most:
                raise self._too_many()
        return self._known[cell]

    @property
    def codes(self) -> NDArray[np.int32]:
        return np.concatenate(self._codes) if self._codes else np.zeros(0, np.int32)

    def counts(self) -> dict[str, int]:
        """How many rows hold each word."""
        codes = self.codes
        found = np.bincount(codes[codes >= 0], minlength=len(self.names))
        return dict(zip(self.names, map(int, found), strict=True))


def shown(cell: bytes | None) -> str:
    """A cell to be printed."""
    return printable((cell or b"").decode("utf-8", "surrogateescape"), 200)
