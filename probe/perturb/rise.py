"""RISE: random grids of covers, smoothed and shifted.

Petsiuk, Das and Saenko, "RISE: Randomized Input Sampling for Explanation of Black-box Models",
BMVC 2018. Every cell of a coarse grid is shown with probability p, the grid is enlarged
bilinearly, and the picture looks at it through a random shift of up to one cell.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import numpy as np

from probe.errors import UsageError
from probe.perturb.fixed import FixedDesign
from probe.types import Mask, Scene


def rise(
    scene: Scene, budget: int, seed: int, *, cells: int = 8, shown: float = 0.5, pairs: bool = True
) -> FixedDesign:
    """`budget` smooth masks; a larger budget goes on where a smaller one ended.

    cells: of the grid along each side of the picture, 1 to 64; one more lies beyond it, for the
    shift. shown: the probability of a cell to be shown, above 0 and below 1. pairs: every second
    mask is the opposite of the one before, which needs `shown` to be a half; else it is ignored.
    Raises UsageError for options out of range.
    """
    if not 1 <= cells <= 64:
        raise UsageError(f"cells must be a whole number from 1 to 64, not {cells}")
    if not 0 < shown < 1:
        raise UsageError(f"shown must be a probability above 0 and below 1, not {shown}")
    masks = _masks(np.random.default_rng(seed), cells, shown, pairs and shown == 0.5)
    return FixedDesign(islice(masks, budget))


def _masks(rng: np.random.Generator, cells: int, shown: float, pairs: bool) -> Iterator[Mask]:
    side = (cells + 1) / cells
    while True:
        x0, y0 = (-rng.random(2) / cells).tolist()
        region = (x0, y0, x0 + side, y0 + side)
        covered = rng.random((cells + 1) ** 2) >= shown
        for one in (covered, ~covered) if pairs else (covered,):
            yield Mask((one * np.uint8(255)).tobytes(), cells + 1, region, smooth=True)
