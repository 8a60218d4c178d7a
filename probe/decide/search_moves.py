"""Covers worth a thought: boxes around the strongest parts of a field, and changed ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from probe.decide.search_field import Array, Lattice
from probe.perturb.geometry import Pixels

Cover = tuple[Pixels, ...]
"""Boxes in send pixels that do not overlap, in order."""

PRICES = (0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.93, 0.96, 0.98, 0.99)
"""Quantiles of the field's weights that a box may have to pay for every cell."""
STRAY = 0.15
"""How far an edge moves, as a share of its box's side (standard deviation)."""


class Moves:
    """Covers of at most `boxes` boxes, within `seen` and with edges at multiples of `step` send
    pixels, or at the picture's own."""

    def __init__(self, lattice: Lattice, step: int, seen: Pixels, boxes: int) -> None:
        self._lattice = lattice
        self._boxes = boxes
        self._marks = _marks(seen[0], seen[2], step), _marks(seen[1], seen[3], step)
        self.whole: Cover = (seen,)

    def around(self, weights: Array) -> set[Cover]:
        """Covers of one box and more that hold much weight, (rows, columns), for their size."""
        found: set[Cover] = set()
        nothing = -1 - np.abs(weights).sum()
        columns, rows = self._lattice.edges
        for price in np.quantile(np.maximum(weights, 0), PRICES):
            left, cover = weights - price, list[Pixels]()
            for _ in range(self._boxes):
                x0, y0, x1, y1 = _heaviest(left)
                left[y0:y1, x0:x1] = nothing
                cover.append(self._moved((columns[x0], rows[y0], columns[x1], rows[y1])))
                found.add(_apart(cover))
        return found

    def changed(self, cover: Cover, rng: np.random.Generator, times: int) -> Iterator[Cover]:
        """With some edges moved, mostly inwards; moved as a whole; without a box."""
        for _ in range(times):
            boxes = [self._changed(box, rng) for box in cover]
            if len(boxes) > 1 and rng.random() < STRAY:
                boxes.pop(rng.integers(len(boxes)))
            yield _apart(boxes)

    def grown(self, cover: Cover, steps: int) -> Cover:
        """Every edge so many steps further out."""
        return _apart([self._moved(box, (-steps, -steps, steps, steps)) for box in cover])

    def _changed(self, box: Pixels, rng: np.random.Generator) -> Pixels:
        sides = np.array([box[2] - box[0], box[3] - box[1]] * 2) / self._step
        far = np.maximum(1, np.rint(np.abs(rng.normal(size=4)) * STRAY * sides))
        inward = np.where(rng.random(4) < 0.7, 1, -1) * (rng.random(4) < 0.5)
        by = (far * inward * (1, 1, -1, -1)).astype(int)
        if rng.random() < STRAY:
            by += np.tile(rng.integers(-2, 3, 2), 2)
        return self._moved(box, tuple(by.tolist()))

    @property
    def _step(self) -> int:
        return max(marks[1] - marks[0] for marks in self._marks)

    def _moved(self, box: Pixels, by: Pixels = (0, 0, 0, 0)) -> Pixels:
        """The box on the grid, its edges so many steps further; at least one step wide."""
        across, down = self._marks
        x0, x1 = _interval(across, box[0], box[2], by[0], by[2])
        y0, y1 = _interval(down, box[1], box[3], by[1], by[3])
        return x0, y0, x1, y1


def area(cover: Cover) -> int:
    """In send pixels."""
    return sum((x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in cover)


def _marks(low: int, high: int, step: int) -> list[int]:
    return [low, *range(low // step * step + step, high, step), high]


def _interval(marks: list[int], low: int, high: int, by: int, upto: int) -> tuple[int, int]:
    first, second = (int(np.argmin(np.abs(np.subtract(marks, at)))) for at in (low, high))
    last = len(marks) - 1
    start = min(max(0, first + by), last - 1)
    return marks[start], marks[min(max(start + 1, second + upto), last)]


def _apart(boxes: Iterable[Pixels]) -> Cover:
    """The same covered by boxes that do not overlap: those that do become one around both."""
    apart: list[Pixels] = []
    for box in boxes:
        while True:
            touched = [other for other in apart if _overlap(box, other)]
            if not touched:
                break
            apart = [other for other in apart if other not in touched]
            edges = list(zip(box, *touched, strict=True))
            box = (min(edges[0]), min(edges[1]), max(edges[2]), max(edges[3]))
        apart.append(box)
    return tuple(sorted(apart))


def _overlap(one: Pixels, other: Pixels) -> bool:
    across = one[0] < other[2] and other[0] < one[2]
    return across and one[1] < other[3] and other[1] < one[3]


def _heaviest(gain: Array) -> Pixels:
    """The box of cells (x0, y0, x1, y1) with the largest sum."""
    rows, columns = gain.shape
    sums = np.zeros((rows + 1, columns + 1))
    sums[1:, 1:] = gain.cumsum(0).cumsum(1)
    top, bottom = _pairs(rows)
    left, right = _pairs(columns)
    bands = sums[bottom] - sums[top]
    inside = bands[:, right] - bands[:, left]
    i, j = np.unravel_index(int(np.argmax(inside)), inside.shape)
    return int(left[j]), int(top[i]), int(right[j]), int(bottom[i])


def _pairs(count: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    starts, ends = np.triu_indices(count)
    return starts, ends + 1
