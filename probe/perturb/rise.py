"""RISE: random grids of covers, smoothed and shifted.

Petsiuk, Das and Saenko, "RISE: Randomized Input Sampling for Explanation of Black-box Models",
BMVC 2018. Every cell of a coarse grid is shown with probability p, the grid is enlarged
bilinearly, and the picture looks at it through a random shift of up to one cell.

Masks in pairs with their opposites tell nothing twice as dearly: what an opposite says of the
shown mean its mask has said of the covered one, and the map's error is 1.4 times that of masks
drawn one by one.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import numpy as np

from probe.errors import UsageError
from probe.perturb.fixed import FixedDesign
from probe.types import Mask, Scene

MOST = 32


def rise(
    scene: Scene, budget: int, seed: int, *, cells: int = 8, shown: float = 0.5
) -> FixedDesign:
    """`budget` smooth masks; a larger budget goes on where a smaller one ended.

    cells: of the grid along each side of the picture, 1 to 32; one more lies beyond it, for the
    shift. shown: the probability of a cell to be shown, above 0 and below 1.
    Raises UsageError for options out of range.
    """
    if not isinstance(cells, int) or not 1 <= cells <= MOST:
        raise UsageError(f"cells must be a whole number from 1 to {MOST}, not {cells}")
    if not 0 < shown < 1:
        raise UsageError(f"shown must be a probability above 0 and below 1, not {shown}")
    return FixedDesign(islice(_masks(np.random.default_rng(seed), cells, shown), budget))


def _masks(rng: np.random.Generator, cells: int, shown: float) -> Iterator[Mask]:
    side = (cells + 1) / cells
    while True:
        x0, y0 = (-rng.random(2) / cells).tolist()
        covered = rng.random((cells + 1) ** 2) >= shown
        opacities = np.where(covered, 255, 0).astype(np.uint8)
        yield Mask(opacities.tobytes(), cells + 1, (x0, y0, x0 + side, y0 + side), smooth=True)
