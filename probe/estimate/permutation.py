"""Does it matter at all which part was changed? A permutation test of a run's answers.

Scores that do not hang on the place can be dealt anew among the variants; a map of shuffled
answers is then as strong as that of the true ones. The statistic is the largest correlation of
the score with how much of a cell is covered, over the cells of a coarse grid (the maximum over all
places, as in Westfall and Young 1993, so that looking at many of them does not make one of them
significant).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from probe.perturb import opacity
from probe.types import Box, Canvas, Perturbation, Window

CELLS = 24
SHUFFLES = 199
FEWEST = 8


def p_value(
    perturbations: Sequence[Perturbation], scores: Sequence[float], canvas: Canvas
) -> float | None:
    """How often shuffled scores hang on the place as much as these do: 0.005 to 1.

    perturbations: of the variants alone, without the unchanged picture. None with fewer than 8
    of them, or where all change the same part.
    """
    if len(scores) < FEWEST:
        return None
    covered = np.stack([_cover(change, canvas) for change in perturbations])
    covered -= covered.mean(axis=0)
    spread = np.linalg.norm(covered, axis=0)
    covered = covered[:, spread > 0] / spread[spread > 0]
    if not covered.size:
        return None
    centred, shuffle = np.asarray(scores) - np.mean(scores), np.random.default_rng(0)
    dealt = [centred, *(shuffle.permutation(centred) for _ in range(SHUFFLES))]
    strength = np.abs(np.stack(dealt) @ covered).max(axis=1)
    return float(np.mean(strength >= strength[0] * (1 - 1e-9)))


def _cover(change: Perturbation, canvas: Canvas) -> NDArray[np.float64]:
    """How much of each cell of a coarse grid is changed, or shown by a window."""
    longest = max(canvas.send)
    width, height = (max(1, round(CELLS * side / longest)) for side in canvas.send)
    if isinstance(change, Window):
        change = Box(change.x0, change.y0, change.x1, change.y1)
    return opacity(change, Canvas(canvas.size, (width, height))).ravel() / 255.0
