"""A map as an order of cells, and masks that change the first of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from probe.errors import UsageError
from probe.judging.metrics import STEPS
from probe.types import Mask

Kind = Literal["deletion", "insertion"]


@dataclass(frozen=True, eq=False)
class Ranking:
    """The cells of a picture, the most evident first.

    order: indexes of cells, row by row; equal ones stay in that order. columns: of the grid.
    """

    order: NDArray[np.intp]
    columns: int

    def mask(self, kind: Kind, step: int) -> Mask:
        """The picture with the first `step` of STEPS parts changed: covered by the fill (deletion),
        or shown while the fill stands on the others (insertion)."""
        changed, rest = (255, 0) if kind == "deletion" else (0, 255)
        cells = np.full(self.order.size, rest, np.uint8)
        cells[self.order[: round(step / STEPS * self.order.size)]] = changed
        return Mask(cells.tobytes(), self.columns)


def ranking(cells: NDArray[Any]) -> Ranking:
    """cells: (rows, columns); NaN ranks last."""
    filled = np.where(np.isnan(cells), -np.inf, cells)
    return Ranking(np.argsort(-filled, axis=None, kind="stable"), cells.shape[1])


def cells_of(values: NDArray[Any], columns: int, rows: int) -> NDArray[np.float64]:
    """The mean of each cell's known values: (rows, columns), NaN where there are none.

    values: (H, W); of a map smaller than the grid, the value at the cell. Raises UsageError for a
    map without an order.
    """
    # short numbers in long sums: a cell of equal values has just that mean
    values = np.asarray(values, np.float32).astype(np.float64)
    height, width = values.shape
    across = np.arange(columns) * width // columns
    down = np.arange(rows) * height // rows
    known = np.isfinite(values)

    def sums(plane: NDArray[Any]) -> NDArray[np.float64]:
        found: NDArray[np.float64] = np.add.reduceat(
            np.add.reduceat(plane, down, axis=0), across, axis=1
        )
        return found

    with np.errstate(invalid="ignore"):
        found = sums(np.where(known, values, 0.0)) / sums(known.astype(float))
    finite = found[np.isfinite(found)]
    if not finite.size:
        raise UsageError("the map is empty, it knows no pixel: there is no order to judge")
    if finite.min() == finite.max():
        raise UsageError(
            f"the map is flat, {finite[0]:.3g} everywhere: there is no order to judge. The score "
            "moves with no cover, or the map needs more answers"
        )
    return found


def moved(cells: NDArray[np.float64], copies: int, seed: int) -> list[NDArray[np.float64]]:
    """Copies of a map in other places: the same shapes, without a meaning.

    Each is mirrored or not and rolled by anything at all within the known part, so that what the
    model does not see stays where it is. All places are alike likely: a map without a meaning is
    one more of these copies, and its rank among them is pure chance. A check after Adebayo et
    al., "Sanity Checks for Saliency Maps", NeurIPS 2018, with the place instead of the weights at
    random.
    """
    rng = np.random.default_rng(seed)
    rows, columns = (np.flatnonzero(~np.isnan(cells).all(axis)) for axis in (1, 0))
    part = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    found = []
    for number in range(copies):
        copy = cells.copy()
        mirrored = cells[part][:: (1, -1)[number % 2], :: (1, -1)[number // 2 % 2]]
        copy[part] = np.roll(mirrored, [int(rng.integers(n)) for n in mirrored.shape], (0, 1))
        found.append(copy)
    return found
