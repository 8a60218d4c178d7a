"""Perturbations as opacities of the fill: a pixel for each of the picture as sent."""

from __future__ import annotations

from math import isfinite
from typing import Any, assert_never

import numpy as np
from numpy.typing import NDArray

from probe.errors import UsageError
from probe.perturb.geometry import nearest_edge, pixels
from probe.types import Box, Canvas, Identity, Keep, Mask, Perturbation, Window

Opacity = NDArray[np.uint8]


def opacity(perturbation: Perturbation, canvas: Canvas) -> Opacity:
    """How much of the fill stands at each pixel: uint8 (h, w) at send size, 0 to 255.

    A Window covers nothing of what it shows: it has no opacity, and raises ValueError.
    """
    width, height = canvas.send
    match perturbation:
        case Identity():
            return np.zeros((height, width), np.uint8)
        case Box() | Keep():
            inside, outside = (255, 0) if isinstance(perturbation, Box) else (0, 255)
            found = np.full((height, width), outside, np.uint8)
            x0, y0, x1, y1 = pixels(perturbation, canvas)
            found[y0:y1, x0:x1] = inside
            return found
        case Mask():
            return (
                _smooth(perturbation, canvas)
                if perturbation.smooth
                else _hard(perturbation, canvas)
            )
        case Window():
            raise ValueError("a window is a picture of its own, without a cover")
        case _:
            assert_never(perturbation)


def cells(canvas: Canvas, limit: int = 128) -> tuple[int, int]:
    """Columns and rows of the finest grid of hard cells that fit the codec's blocks, at most
    `limit` on the longer side."""
    step = max(canvas.grid, -(-max(canvas.send) // limit))
    step = -(-step // canvas.grid) * canvas.grid
    columns, rows = (max(1, -(-side // step)) for side in canvas.send)
    return columns, rows


def _grid(mask: Mask) -> NDArray[np.uint8]:
    if not all(map(isfinite, mask.region)) or not (
        mask.region[0] < mask.region[2] and mask.region[1] < mask.region[3]
    ):
        raise UsageError(f"{mask.region} is no region: give x0 < x1 and y0 < y1 as fractions")
    return np.frombuffer(mask.cells, np.uint8).reshape(mask.rows, mask.columns)


def _hard(mask: Mask, canvas: Canvas) -> Opacity:
    """Every pixel in the cell that its snapped edges give it; 0 outside of the region."""
    grid = np.pad(_grid(mask), 1)
    x0, y0, x1, y1 = mask.region
    columns = _cells_of(x0, x1, mask.columns, canvas.send[0], canvas.grid)
    rows = _cells_of(y0, y1, mask.rows, canvas.send[1], canvas.grid)
    found: Opacity = grid[rows[:, None], columns]
    return found


def _cells_of(low: float, high: float, count: int, side: int, grid: int) -> NDArray[Any]:
    """The cell of each pixel of an axis, counted from 1; 0 before and count + 1 behind them."""
    step = (high - low) / count
    edges = [nearest_edge((low + step * n) * side, side, grid) for n in range(count + 1)]
    return np.searchsorted(edges, np.arange(side), side="right")


def _smooth(mask: Mask, canvas: Canvas) -> Opacity:
    x0, y0, x1, y1 = mask.region
    grid = _grid(mask).astype(np.float64)
    columns = _weights(x0, x1, mask.columns, canvas.send[0])
    rows = _weights(y0, y1, mask.rows, canvas.send[1])
    found: Opacity = np.rint(rows @ grid @ columns.T).astype(np.uint8)
    return found


def _weights(low: float, high: float, count: int, side: int) -> NDArray[np.float64]:
    """(side, count): how much of each cell a pixel takes, linear between their centres."""
    centre = (np.arange(side) + 0.5) / side
    place = (centre - low) / (high - low) * count - 0.5
    inside = (low <= centre) & (centre < high)
    place = np.clip(place, 0, count - 1)
    left = np.minimum(place.astype(int), max(0, count - 2))
    weights = np.zeros((side, count))
    at = np.arange(side)
    weights[at, left] = 1 - (place - left)
    weights[at, np.minimum(left + 1, count - 1)] += place - left
    weights[~inside] = 0
    return weights
