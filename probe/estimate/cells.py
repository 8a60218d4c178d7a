"""Sums over the regions that hold a pixel, on the cells between their edges."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from probe.estimate.seen import seen_pixels
from probe.types import Canvas

Sums = NDArray[np.float64]


class Cells:
    """The picture as sent, cut at every edge of the regions: between two edges all sums are
    constant, so few regions cost little on a large picture.

    regions: int (n, 4), x0, y0, x1, y1 in send pixels. areas: pixels in each cell (rows,
    columns). seen: bool (rows, columns), the cells that the model looks at.
    """

    def __init__(self, canvas: Canvas, regions: NDArray[Any]) -> None:
        width, height = canvas.send
        x0, y0, x1, y1 = seen_pixels(canvas)
        self._columns = np.unique(np.r_[0, x0, x1, width, regions[:, 0], regions[:, 2]])
        self._rows = np.unique(np.r_[0, y0, y1, height, regions[:, 1], regions[:, 3]])
        self._left, self._right = (np.searchsorted(self._columns, regions[:, i]) for i in (0, 2))
        self._top, self._bottom = (np.searchsorted(self._rows, regions[:, i]) for i in (1, 3))
        self.areas = np.outer(np.diff(self._rows), np.diff(self._columns))
        rows, columns = self._rows[:-1], self._columns[:-1]
        self.seen = ((y0 <= rows) & (rows < y1))[:, None] & ((x0 <= columns) & (columns < x1))

    def sum(self, numbers: Sums, chosen: Any = slice(None)) -> Sums:
        """For each cell the sum of the numbers of the regions that hold it.

        numbers: one for each chosen region; kept as 2-D differences, O(1) a region.
        """
        differences = np.zeros((len(self._rows), len(self._columns)))
        left, right = self._left[chosen], self._right[chosen]
        top, bottom = self._top[chosen], self._bottom[chosen]
        for y, x, sign in (
            (top, left, 1),
            (bottom, right, 1),
            (top, right, -1),
            (bottom, left, -1),
        ):
            np.add.at(differences, (y, x), sign * numbers)
        np.cumsum(differences, axis=0, out=differences)
        np.cumsum(differences, axis=1, out=differences)
        return differences[:-1, :-1]

    def enlarged(self, plane: NDArray[Any], dtype: type[Any]) -> NDArray[Any]:
        """The plane as it is for each pixel that is sent, (h, w)."""
        tall = np.repeat(plane.astype(dtype), np.diff(self._rows), axis=0)
        return np.repeat(tall, np.diff(self._columns), axis=1)
