"""The black box that every method asks: its calls are counted, and it can be made worse."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Score = Callable[[Image.Image], float]
Pixels = NDArray[np.generic]
"""(n, H, W, 3), 0 to 255."""


class BlackBox:
    """Counts the pictures it is asked about; `seconds` is the clock's time spent in answering.

    The peers hand arrays (`scores`), the package hands pictures (`batch`).
    """

    def __init__(self, score: Score, clock: Callable[[], float] = time.perf_counter) -> None:
        self._score = score
        self._clock = clock
        self.calls = 0
        self.seconds = 0.0

    def batch(self, images: Iterable[Image.Image]) -> list[dict[str, float]]:
        started = self._clock()
        answers = [{"nsfw": self._score(image)} for image in images]
        self.seconds += self._clock() - started
        self.calls += len(answers)
        return answers

    def scores(self, pixels: Pixels) -> NDArray[np.float64]:
        """(n,) of (n, H, W, 3), rounded to whole levels."""
        answers = self.batch(Image.fromarray(_whole(one)) for one in pixels)
        return np.array([answer["nsfw"] for answer in answers])


def _whole(pixels: Pixels) -> NDArray[np.uint8]:
    if pixels.dtype == np.uint8:
        return pixels
    return np.clip(np.rint(pixels), 0, 255).astype(np.uint8)


def words(score: Score) -> Score:
    """Five steps of equal width, as numbers from 0 to 1."""
    return lambda image: min(int(score(image) * 5), 4) / 4


def levels(score: Score) -> Score:
    """0, 2, 4 or 6, as numbers from 0 to 1."""
    return lambda image: min(int(score(image) * 4), 3) / 3


def noisy(score: Score, sigma: float) -> Score:
    """Gaussian noise that is drawn by the pixels, so that a repeat of the benchmark agrees."""

    def worse(image: Image.Image) -> float:
        digest = hashlib.blake2b(image.tobytes(), digest_size=8).digest()
        noise = np.random.default_rng(int.from_bytes(digest, "big")).normal(0, sigma)
        return score(image) + float(noise)

    return worse


WORSE: dict[str, Callable[[Score], Score]] = {
    "words": words,
    "levels": levels,
    "noise 0.02": lambda score: noisy(score, 0.02),
    "noise 0.05": lambda score: noisy(score, 0.05),
}
