"""What a map is measured by: the area of a curve, AUROC and the pointing game.

Petsiuk, Das and Saenko, "RISE", BMVC 2018 (deletion, insertion); Zhang et al., "Top-down Neural
Attention by Excitation Backprop", ECCV 2016 (pointing game).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import hypot, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

STEPS = 32
"""Intervals of a whole curve: 33 equally spaced points."""

ROUGHER = 1.25
"""How much further off than by one jump in each gap areas were (tests/benchmarks)."""

Nodes = Sequence[tuple[int, float]]
"""Known points of a curve, ascending: step of 0 to STEPS, and the score there."""


def weights(steps: Sequence[int]) -> list[float]:
    """What each known step adds to the area: the trapezoid rule, the missing steps on a line
    between their neighbours; before the first known one and behind the last the score is held."""
    edges = [0.0, *((a + b) / 2 for a, b in pairwise(steps)), float(STEPS)]
    return [(after - before) / STEPS for before, after in pairwise(edges)]


def area(nodes: Nodes) -> float:
    """Mean height of the curve; NaN where nothing is known."""
    if not nodes:
        return float("nan")
    steps, scores = zip(*nodes, strict=True)
    return float(sum(w * score for w, score in zip(weights(steps), scores, strict=True)))


def uncertainty(nodes: Nodes) -> float:
    """Standard deviation of the area for the steps that were left out.

    A curve that jumps somewhere in a gap has an area spread evenly over the height of the jump
    times the width of the gap. The jump is the difference of the gap's ends, or how far the ends
    stand off the line between their neighbours, whichever is more: a curve so rough may have a
    bump there. Real curves do more than to jump once, hence ROUGHER.
    """
    bends = [0.0] * len(nodes)
    for n, ((a, left), (at, score), (b, right)) in enumerate(
        zip(nodes, nodes[1:], nodes[2:], strict=False), 1
    ):
        bends[n] = abs(score - (left + (right - left) * (at - a) / (b - a)))
    total = 0.0
    for n, ((a, left), (b, right)) in enumerate(pairwise(nodes)):
        if b - a > 1:
            total = hypot(total, (b - a) / STEPS * max(abs(right - left), *bends[n : n + 2]))
    return ROUGHER * total / sqrt(12)


def auroc(values: NDArray[Any], mask: NDArray[np.bool_]) -> float:
    """Probability that a pixel inside the mask ranks above one outside, ties counted half.

    values: (H, W), NaN ranks last. mask: bool (H, W), with True and False in it.
    """
    _, places, counts = np.unique(_ranked(values), return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[places.ravel()]
    inside = int(mask.sum())
    wins = float(ranks[mask.ravel()].sum()) - inside * (inside + 1) / 2
    return wins / (inside * (mask.size - inside))


def pointing(values: NDArray[Any], mask: NDArray[np.bool_]) -> float:
    """Share of the map's maximal pixels inside the mask."""
    ranked = _ranked(values).reshape(mask.shape)
    return float(mask[ranked == ranked.max()].mean())


def _ranked(values: NDArray[Any]) -> NDArray[np.float64]:
    return np.where(np.isnan(values), -np.inf, values).astype(np.float64).ravel()
