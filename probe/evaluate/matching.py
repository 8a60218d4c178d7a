"""Which rows are of the same picture, within a table and between two."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from probe.errors import UsageError
from probe.evaluate.loading import Loaded


@dataclass(eq=False)
class Matched:
    """For each row of one table, `places` has its picture's row in another, -1 where it has none.

    scores: the other's, (rows,). by: the column that pictures are known by. shown: the other's
    name. alone: how many usable pictures are in the other only.
    """

    places: NDArray[np.int64]
    scores: NDArray[np.float64]
    by: str
    shown: str
    alone: int


def keys_of(loaded: Loaded) -> Any:
    """What the pictures are known by: their digests if any is given, else their names; a chunked
    pyarrow array of bytes, or None."""
    for cells in (loaded.digests, loaded.pictures):
        if cells is not None and _filled(cells).any():
            return cells
    return None


def repeats(keys: Any, keep: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Rows whose key an earlier row of `keep` has; an empty key repeats nothing."""
    rows = np.flatnonzero(keep & _filled(keys))
    _, firsts, which = np.unique(_hashes(keys)[rows], return_index=True, return_inverse=True)
    earlier = firsts[which]
    later = np.flatnonzero(earlier != np.arange(len(rows)))
    same = _equal(keys, rows[later], keys, rows[earlier[later]])
    found: NDArray[np.bool_] = np.zeros(len(keep), bool)
    found[rows[later[same]]] = True
    return found


def match(one: Loaded, other: Loaded, keep: NDArray[np.bool_]) -> Matched:
    """Find the pictures of `one` among those rows of `other` that `keep` marks, by `digest` where
    both have it, else by `picture`. Raises UsageError where they share neither column."""
    for by in ("digest", "picture"):
        own, others = (getattr(table, f"{by}s") for table in (one, other))
        if own is None or others is None or not (_filled(own).any() and _filled(others).any()):
            continue
        places = _places(own, others, np.flatnonzero(keep & _filled(others)))
        alone = int(keep.sum()) - len(np.unique(places[places >= 0]))
        return Matched(places, other.scores[0], by, other.table.shown, alone)
    raise UsageError(
        f"{one.table.shown} and {other.table.shown} share neither a column digest nor a column "
        "picture: pictures cannot be told to be the same"
    )


def _places(own: Any, others: Any, rows: NDArray[np.intp]) -> NDArray[np.int64]:
    """For each of `own` the row of `others`, among `rows`, that has the same key; -1 for none."""
    hashes = _hashes(others)[rows]
    order = np.argsort(hashes)
    wanted = _hashes(own)
    at = np.searchsorted(hashes[order], wanted)
    likely = np.append(rows[order], rows[:1])[at] if len(rows) else np.zeros(len(wanted), np.intp)
    asked = np.flatnonzero(_filled(own)) if len(rows) else np.zeros(0, np.intp)
    same = asked[_equal(own, asked, others, likely[asked])]
    places = np.full(len(wanted), -1, np.int64)
    places[same] = likely[same]
    return places


def _hashes(cells: Any) -> NDArray[np.int64]:
    """Numbers that are the same for the same bytes; few others share one, which `_equal` sees."""
    parts = (np.fromiter(map(hash, chunk.to_pylist()), np.int64) for chunk in cells.chunks)
    return np.concatenate([np.zeros(0, np.int64), *parts])


def _equal(one: Any, rows: Any, other: Any, others: Any) -> NDArray[np.bool_]:
    """Whether the cells at these places are the same bytes."""
    from pyarrow import compute

    return _as_flags(compute.equal(one.take(rows), other.take(others)))


def _filled(cells: Any) -> NDArray[np.bool_]:
    from pyarrow import compute

    return _as_flags(compute.greater(compute.binary_length(cells), 0))


def _as_flags(cells: Any) -> NDArray[np.bool_]:
    from pyarrow import compute

    flags: NDArray[np.bool_] = compute.fill_null(cells, False).to_numpy().astype(bool)
    return flags
