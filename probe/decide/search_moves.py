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
HALVES = (0.25, 0.5)
"""Quantiles of the field's weights, and shares of the largest, that a box may have to pay for every
cell."""
STRAY = 0.15
"""How far an edge moves, as a share of its box's side (standard deviation)."""
INWARD, SELDOM = 0.7, 0.15
"""How often it moves inwards; how often a box is moved as a whole, or left out."""


class Moves:
    """Covers of at most `boxes` boxes, within `seen` and with edges at multiples of `step` send
    pixels, or at the picture's own."""

    def __init__(self, lattice: Lattice, step: int, seen: Pixels, boxes: int) -> None:
        self._lattice = lattice
        self.boxes = boxes
        self._marks = _marks(seen[0], seen[2], step), _marks(seen[1], seen[3], step)
        self.whole: Cover = (seen,)

    def around(self, weights: Array) -> set[Cover]:
        """Covers of one box and more that hold much weight, (rows, columns), for their size."""
        found: set[Cover] = set()
        nothing = -1 - np.abs(weights).sum()
        columns, rows = self._lattice.edges
        positive = np.maximum(weights, 0)
        prices = *np.quantile(positive, PRICES), *np.multiply(positive.max(), HALVES)
        for price in prices:
            left, cover = weights - price, list[Pixels]()
            for _ in range(self.boxes):
                x0, y0, x1, y1 = _heaviest(left)
                left[y0:y1, x0:x1] = nothing
                box = np.array([[columns[x0], rows[y0], columns[x1], rows[y1]]])
                cover += self._moved(box, np.zeros((1, 1, 4)))[0]
                found.add(_apart(cover))
        return found

    def changed(self, cover: Cover, rng: np.random.Generator, times: int) -> Iterator[Cover]:
        """With some edges moved, mostly inwards; moved as a whole; without a box."""
        boxes = np.array(cover)
        sides = np.tile(boxes[:, 2:] - boxes[:, :2], 2) / self._step
        shape = times, *boxes.shape
        far = np.maximum(1, np.rint(np.abs(rng.normal(size=shape)) * STRAY * sides))
        inward = np.where(rng.random(shape) < INWARD, 1, -1) * (rng.random(shape) < 0.5)
        by = far * inward * (1, 1, -1, -1)
        slid = rng.random(shape[:2]) < SELDOM
        by += slid[..., None] * np.tile(rng.integers(-2, 3, (*shape[:2], 2)), 2)
        left_out = np.where(rng.random(times) < SELDOM, rng.integers(0, len(cover), times), -1)
        for new, without in zip(self._moved(boxes, by), left_out, strict=True):
            kept = [box for n, box in enumerate(new) if n != without or len(new) == 1]
            yield _apart(kept)

    def cut(self, cover: Cover, rng: np.random.Generator, times: int) -> Iterator[Cover]:
        """With a band cut out of the middle of a box, across or down: what two places hold
        together shows itself only in covers of both."""
        for n, band in zip(rng.integers(0, len(cover), times), rng.random((times, 3)), strict=True):
            axis = int(band[2] < 0.5)
            box = cover[n]
            start, end = sorted(box[axis] + band[:2] * (box[axis + 2] - box[axis]))
            before, after = list(box), list(box)
            before[axis + 2], after[axis] = start, end
            (parts,) = self._moved(np.array([before, after]), np.zeros((1, 2, 4)))
            yield _apart([*cover[:n], *parts, *cover[n + 1 :]])

    def grown(self, cover: Cover, steps: int) -> Cover:
        """Every edge so many steps further out."""
        (boxes,) = self._moved(np.array(cover), np.multiply((-1, -1, 1, 1), steps)[None])
        return _apart(boxes)

    @property
    def _step(self) -> int:
        return max(int(marks[1] - marks[0]) for marks in self._marks)

    def _moved(self, boxes: Array, by: Array) -> list[list[Pixels]]:
        """The boxes (n, 4) on the grid, their edges so many steps further: (times, 1 or n, 4).

        None gets narrower than a step.
        """
        edges = np.empty((len(by), len(boxes), 4), int)
        for axis, marks in enumerate(self._marks):
            nearest = np.abs(boxes[:, axis::2, None] - marks).argmin(2)
            low, high = np.moveaxis(nearest + by[..., axis::2].astype(int), -1, 0)
            last = len(marks) - 1
            low = np.clip(low, 0, last - 1)
            edges[..., axis] = marks[low]
            edges[..., axis + 2] = marks[np.clip(high, low + 1, last)]
        return [[(x0, y0, x1, y1) for x0, y0, x1, y1 in boxes] for boxes in edges.tolist()]


def area(cover: Cover) -> int:
    """In send pixels."""
    return sum((x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in cover)


def _marks(low: int, high: int, step: int) -> NDArray[np.intp]:
    return np.array([low, *range(low // step * step + step, high, step), high])


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
    inside = np.round(bands[:, right] - bands[:, left], 9)
    i, j = np.unravel_index(int(np.argmax(inside)), inside.shape)
    return int(left[j]), int(top[i]), int(right[j]), int(bottom[i])


def _pairs(count: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    starts, ends = np.triu_indices(count)
    return starts, ends + 1
