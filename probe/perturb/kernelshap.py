"""Kernel SHAP: coalitions of superpixels, as likely as the Shapley kernel weighs them.

Lundberg and Lee, "A Unified Approach to Interpreting Model Predictions", NeurIPS 2017; coalitions
in pairs with their complements after Covert and Lee, "Improving KernelSHAP: Practical Shapley
Value Estimation via Linear Regression", AISTATS 2021.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice

import numpy as np
from numpy.typing import NDArray

from probe.perturb.fixed import FixedDesign, distinct
from probe.perturb.keep import EMPTY
from probe.perturb.superpixels import mask, parts
from probe.types import Mask, Scene

Shown = NDArray[np.bool_]


def kernelshap(
    scene: Scene,
    budget: int,
    seed: int,
    *,
    segments: int | None = None,
    compactness: float = 10.0,
) -> FixedDesign:
    """The empty picture, then pairs of a coalition and its complement, no coalition twice.

    segments: how many superpixels at most; a quarter of the budget by default, up to 50.
    compactness: how regular they are against how even in colour; that of SLIC, at least.
    Where the budget bears all coalitions the plan ends with them, and the map is exact.
    Raises UsageError for a budget below twice their number, MissingExtra without scikit-image.
    """
    labels = parts(scene, budget, segments, compactness, needed)
    count = int(labels.max()) + 1
    masks: Iterator[Mask] = (mask(labels, shown) for shown in _coalitions(count, seed, budget))
    return FixedDesign(chain([EMPTY], islice(distinct(masks, scene.canvas), budget - 1)))


def needed(count: int) -> int:
    """The empty picture, and a pair for each superpixel but one: their sum is known."""
    return 2 * count - 1


def _coalitions(count: int, seed: int, budget: int) -> Iterator[Shown]:
    """Coalitions and their complements; all of them in a random order where the budget bears
    them, else drawn by the Shapley kernel: sizes by 1 / (k (count - k)), members evenly."""
    rng = np.random.default_rng(seed)
    if count <= 20 and 2**count - 1 <= budget:
        halves = rng.permutation(np.arange(1, 2 ** (count - 1)))
        draws: Iterator[Shown] = (
            np.array([n >> i & 1 for i in range(count)], bool) for n in halves
        )
    else:
        draws = _drawn(count, rng)
    for shown in draws:
        yield shown
        yield ~shown


def _drawn(count: int, rng: np.random.Generator) -> Iterator[Shown]:
    sizes = np.arange(1, count)
    chances = 1 / (sizes * (count - sizes))
    while True:
        size = rng.choice(sizes, p=chances / chances.sum())
        yield np.isin(np.arange(count), rng.choice(count, size, replace=False))
