"""The crop experiment: windows of one or several scales, each sent by itself.

The map is the mean score of the windows over a pixel: what the model says of the parts when it
does not see the whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

from probe.errors import UsageError
from probe.perturb.fixed import FixedDesign, distinct
from probe.perturb.grid import Lengths, fractions, positions, require
from probe.types import Perturbation, Scene, Window


def windows(
    scene: Scene,
    budget: int,
    seed: int,
    *,
    sizes: Lengths | Sequence[Lengths] = (0.5, 0.25),
    stride: float = 0.5,
) -> FixedDesign:
    """Sliding windows of each scale, the largest first as given; `seed` is not used.

    sizes: one or more window sizes, each a fraction of the side, pixels, or a pair (w, h).
    stride: the step as a fraction of the window, 0 < stride <= 1.
    Raises UsageError for lengths out of range and a budget below the number of windows.
    """
    if isinstance(stride, bool) or not isfinite(stride) or not 0 < stride <= 1:
        raise UsageError(f"stride must be a fraction of the window, above 0 up to 1, not {stride}")
    scales = list(sizes) if isinstance(sizes, Sequence) else [sizes]
    if not scales:
        raise UsageError("sizes is empty: give at least one window size")
    plan: list[Perturbation] = []
    needed = 0
    for scale in scales:
        width, height = fractions("sizes", scale, scene.canvas.size)
        columns, rows = positions(
            Window, (width, height), (width * stride, height * stride), scene.canvas
        )
        needed += len(columns) * len(rows)
        if needed <= budget:
            plan += [Window(x0, y0, x1, y1) for y0, y1 in rows for x0, x1 in columns]
    require(budget, needed, f"windows of {len(scales)} scale{'s' if len(scales) > 1 else ''}")
    return FixedDesign(distinct(plan, scene.canvas))
