"""Relative regions to pixels: one `snap` before key, rendering and estimating.

Covers snap to the codec's grid, because a JPEG (4:4:4) changes whole 8-pixel blocks: a cover on
that grid changes no pixel outside itself. Windows snap to single pixels, as each is cut out and
encoded as a picture of its own.
"""

from __future__ import annotations

from hashlib import sha256
from math import floor, isfinite
from typing import assert_never

from probe.errors import UsageError
from probe.types import Box, Canvas, Identity, Keep, Mask, Perturbation, Rectangle, Window

Pixels = tuple[int, int, int, int]
"""x0, y0, x1, y1 in pixels of the send size; x1 and y1 are the first ones outside."""


def pixels(perturbation: Identity | Rectangle, canvas: Canvas) -> Pixels:
    """The region in send pixels, snapped, within the picture, at least one cell of the grid.

    Every edge goes to the nearest multiple of the grid; the picture's own right and bottom edge
    are legal too. An Identity is the whole picture. Raises UsageError for a region whose edges
    are not numbers or in the wrong order.
    """
    width, height = canvas.send
    if isinstance(perturbation, Identity):
        return 0, 0, width, height
    r = perturbation
    if not all(map(isfinite, (r.x0, r.y0, r.x1, r.y1))) or r.x1 < r.x0 or r.y1 < r.y0:
        raise UsageError(f"{r} is no region: give x0 <= x1 and y0 <= y1 as fractions")
    grid = 1 if isinstance(r, Window) else canvas.grid
    x0, x1 = _interval(r.x0, r.x1, width, grid)
    y0, y1 = _interval(r.y0, r.y1, height, grid)
    return x0, y0, x1, y1


def _interval(low: float, high: float, side: int, grid: int) -> tuple[int, int]:
    low, high = (min(max(edge, 0.0), 1.0) * side for edge in (low, high))
    start, end = nearest_edge(low, side, grid), nearest_edge(high, side, grid)
    if start == end:
        start = min(floor((low + high) / 2 / grid), (side - 1) // grid) * grid
        end = min(start + grid, side)
    return start, end


def nearest_edge(position: float, side: int, grid: int) -> int:
    """The multiple of the grid, or the picture's own edge, that is nearest to a position."""
    edge = floor(position / grid + 0.5) * grid
    return side if abs(side - position) <= abs(min(edge, side) - position) else edge


def snap(perturbation: Perturbation, canvas: Canvas) -> Perturbation:
    """The same perturbation with its edges on whole pixels; snapping again changes nothing."""
    if isinstance(perturbation, Identity | Mask):
        return perturbation
    x0, y0, x1, y1 = pixels(perturbation, canvas)
    width, height = canvas.send
    return type(perturbation)(x0 / width, y0 / height, x1 / width, y1 / height)


def kind(perturbation: Perturbation) -> str:
    """What it is called in tables and files: identity, repeat, full, box, window, keep or mask."""
    match perturbation:
        case Identity(repeat, full):
            return "full" if full else "repeat" if repeat else "identity"
        case Box():
            return "box"
        case Window():
            return "window"
        case Keep():
            return "keep"
        case Mask():
            return "mask"
        case _:
            assert_never(perturbation)


def name(perturbation: Perturbation) -> str:
    """Its kind, and of a mask the beginning of its digest: what tables hold beside the region."""
    if isinstance(perturbation, Mask):
        return f"mask {sha256(perturbation.cells).hexdigest()[:12]}"
    return kind(perturbation)


def canonical(perturbation: Perturbation, canvas: Canvas) -> str:
    """What the ledger's key holds: `box 16 24 48 64`, `window 0 0 9 9`, `identity 0 full`,
    `mask 16x12 0.0 0.0 1.0 1.0 smooth DIGEST`."""
    if isinstance(perturbation, Identity):
        return f"identity {perturbation.repeat}{' full' if perturbation.full else ''}"
    if isinstance(perturbation, Mask):
        mask = perturbation
        edges = " ".join(repr(float(edge)) for edge in mask.region)
        smooth = " smooth" if mask.smooth else ""
        digest = sha256(mask.cells).hexdigest()
        return f"mask {mask.columns}x{mask.rows} {edges}{smooth} {digest}"
    return " ".join([kind(perturbation), *map(str, pixels(perturbation, canvas))])
