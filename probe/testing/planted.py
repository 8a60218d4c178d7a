"""A backend with known answers, and the picture that it knows."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np
from PIL import Image

from probe.limits import Limits
from probe.types import Codec, Failure, Scores, Variant

RED = (255, 0, 0)


def planted_picture(
    size: tuple[int, int] = (96, 64), box: tuple[int, int, int, int] = (24, 16, 48, 40)
) -> Image.Image:
    """A grey ramp with a pure red box (x0, y0, x1, y1 in pixels)."""
    width, height = size
    ramp = np.add.outer(np.arange(height), np.arange(width)) % 200 + 20
    image = Image.fromarray(np.stack([ramp] * 3, axis=-1).astype(np.uint8))
    image.paste(RED, box)
    return image


class Planted:
    """Scores a picture by how much of the planted red it shows.

    nsfw = floor + (1 - 2 floor) * red pixels / `red`, sfw = 1 - nsfw: exact for any cover or
    window that is sent without loss. `asked` counts the pictures scored, over all threads.
    """

    def __init__(
        self,
        red: int = 24 * 24,
        *,
        floor: float = 0.05,
        identity: str | None = "planted 1",
        limits: Limits | None = None,
    ) -> None:
        self.red = red
        self.floor = floor
        self.identity = identity
        self.limits = limits or Limits(
            batch=8,
            formats=("pixels",),
            labels=("sfw", "nsfw"),
            question="nsfw",
            deterministic=True,
        )
        self.asked = 0
        self._lock = threading.Lock()

    def score(self, variants: Sequence[Variant], codec: Codec) -> Sequence[Scores | Failure]:
        with self._lock:
            self.asked += len(variants)
        return [self.answer(variant.pixels()) for variant in variants]

    def answer(self, image: Image.Image) -> Scores:
        pixels = np.asarray(image)
        share = min(1.0, int((pixels == RED).all(axis=-1).sum()) / self.red)
        nsfw = self.floor + (1 - 2 * self.floor) * share
        return Scores({"sfw": 1 - nsfw, "nsfw": nsfw})
