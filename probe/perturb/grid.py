"""The sliding window: boxes of one size at regular steps.

Zeiler and Fergus, "Visualizing and Understanding Convolutional Networks", ECCV 2014. The last
position of a row and a column is moved to the border, so every pixel is covered.
"""

from __future__ import annotations

from math import ceil, isfinite
from typing import Any

from probe.errors import UsageError
from probe.perturb.fixed import FixedDesign
from probe.perturb.geometry import pixels
from probe.types import Box, Canvas, Scene, Window

Length = int | float
Lengths = Length | tuple[Length, Length]
"""A fraction of the side (float, up to 1.0) or pixels of the picture (int); one, or (w, h)."""


def grid(
    scene: Scene, budget: int, seed: int, *, size: Lengths = 0.25, stride: Lengths = 0.125
) -> FixedDesign:
    """All positions of a box of `size` at steps of `stride`, row by row; `seed` is not used.

    Raises UsageError for lengths outside the picture, a stride that leaves gaps, and a budget
    below the number of positions.
    """
    sizes = fractions("size", size, scene.canvas.size)
    strides = fractions("stride", stride, scene.canvas.size)
    columns, rows = positions(Box, sizes, strides, scene.canvas)
    require(budget, len(columns) * len(rows), f"a grid of {len(columns)} x {len(rows)} positions")
    return FixedDesign(Box(x0, y0, x1, y1) for y0, y1 in rows for x0, x1 in columns)


def fractions(name: str, value: Any, sides: tuple[int, int]) -> tuple[float, float]:
    """`value` as fractions of width and height, each in (0, 1]; at least one pixel."""
    both = tuple(value) if isinstance(value, tuple | list) else (value, value)
    if len(both) != 2:
        raise UsageError(f"{name} must be one length or two (width, height), not {value!r}")
    width, height = (_fraction(name, one, side) for one, side in zip(both, sides, strict=True))
    return width, height


def _fraction(name: str, value: Any, side: int) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        raise UsageError(f"{name} must be a number, not {value!r}")
    pixels = isinstance(value, int)
    if not 0 < value <= (side if pixels else 1.0):
        allowed = f"1 to {side} pixels" if pixels else "above 0, up to 1.0 (of the side)"
        raise UsageError(
            f"{name} {value!r} is out of range: {allowed}; whole numbers are pixels of the picture"
        )
    return max(value / side if pixels else float(value), 1 / side)


Interval = tuple[float, float]


def positions(
    kind: type[Box] | type[Window],
    sizes: tuple[float, float],
    strides: tuple[float, float],
    canvas: Canvas,
) -> tuple[list[Interval], list[Interval]]:
    """Columns and rows of a sliding window; those that snap to the same pixels are one."""
    if any(step > size * (1 + 1e-9) for size, step in zip(sizes, strides, strict=True)):
        raise UsageError(
            f"stride {_show(strides)} is larger than the window {_show(sizes)} and would leave"
            " gaps: make it at most as large"
        )
    columns = {
        pixels(kind(a, 0, b, 1), canvas)[::2]: (a, b) for a, b in _slide(sizes[0], strides[0])
    }
    rows = {pixels(kind(0, a, 1, b), canvas)[1::2]: (a, b) for a, b in _slide(sizes[1], strides[1])}
    return list(columns.values()), list(rows.values())


def _slide(size: float, stride: float) -> list[Interval]:
    last = 1 - size
    steps = ceil(last / stride)
    return [(start, start + size) for start in (min(i * stride, last) for i in range(steps + 1))]


def _show(pair: tuple[float, float]) -> str:
    return f"({pair[0]:.3g}, {pair[1]:.3g})"


def require(budget: int, needed: int, what: str) -> None:
    if needed > budget:
        raise UsageError(
            f"{what} needs {needed} answers beside the reference and the budget leaves {budget}:"
            f" raise it by {needed - budget}, or take a larger size or stride"
        )
