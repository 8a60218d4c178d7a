"""A model that sees just one region of a picture, and says how much of it is left as it was."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from probe import Prober, from_callable

SIDE = 64


class Seeing:
    """score = share of the region's pixels that are as they were; `asked` counts pictures.

    broken: numbers of the pictures that get no score, not when asked again either.
    noise: standard deviation of the score.
    """

    def __init__(self, share: float = 0.25, broken=(), noise: float = 0.0, seed: int = 0) -> None:
        texture = np.random.default_rng(7).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
        self.image = Image.fromarray(texture)
        self.mask = np.zeros((SIDE, SIDE), bool)
        self.mask.ravel()[: round(share * SIDE * SIDE)] = True
        self.truth = self.mask.astype(float)
        self.asked = 0
        self._broken = broken
        self._lost: set[bytes] = set()
        self._noise = noise
        self._rng = np.random.default_rng(seed)

    def __call__(self, images):
        return [self._score(np.asarray(image)) for image in images]

    def _score(self, pixels):
        self.asked += 1
        if self.asked - 1 in self._broken:
            self._lost.add(pixels.tobytes())
        if pixels.tobytes() in self._lost:
            return None
        kept = (pixels == np.asarray(self.image)).all(axis=-1)
        return {"seen": float(kept[self.mask].mean()) + self._noise * self._rng.normal()}

    def prober(self, **options) -> Prober:
        known = {"deterministic": not self._noise, "identity": options.pop("identity", None)}
        return Prober(from_callable(self, labels=["seen"], **known), **options)


@pytest.fixture
def seeing():
    return Seeing
