"""LIME: superpixels switched on and off at random.

Ribeiro, Singh and Guestrin, "Why Should I Trust You?: Explaining the Predictions of Any
Classifier", KDD 2016.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import numpy as np

from probe.perturb.fixed import FixedDesign, distinct
from probe.perturb.superpixels import mask, parts
from probe.types import Mask, Scene


def lime(
    scene: Scene,
    budget: int,
    seed: int,
    *,
    segments: int | None = None,
    compactness: float = 10.0,
) -> FixedDesign:
    """Up to `budget` masks of superpixels, each shown with probability 1/2.

    segments: how many superpixels at most; a quarter of the budget by default, up to 50.
    compactness: how regular they are against how even in colour; that of SLIC, at least.
    Raises UsageError for a budget below their number, MissingExtra without scikit-image.
    """
    labels = parts(scene, budget, segments, compactness, lambda n: n)
    count = int(labels.max()) + 1
    rng = np.random.default_rng(seed)

    def masks() -> Iterator[Mask]:
        while True:
            yield mask(labels, rng.random(count) < 0.5)

    return FixedDesign(islice(distinct(masks(), scene.canvas), budget))
