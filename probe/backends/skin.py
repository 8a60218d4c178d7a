"""The skin filter of Fleck, Forsyth and Bregler, "Finding Naked People" (ECCV 1996).

The oldest nudity detector in wide use, as a baseline without weights: skin has hues between red
and yellow, is somewhat saturated, and has little texture. Only the first stage, the filter of
colour and texture with the authors' later thresholds; the grouping of limbs is left out, and
so is their growing of the found regions.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from probe.limits import Limits
from probe.types import Codec, Failure, Scores, Variant

LONGEST = 128
"""Pixels of the longer side: the pictures of the paper were 128 x 192, its radii hold there."""
THRESHOLD = 0.3
"""The share of skin from which the paper passes a picture on to the search for limbs."""
TEXTURE = 5.0
RANGES = ((110, 150, 20, 60), (130, 170, 30, 130))
"""Hue in degrees from, to; saturation from, to."""


class Skin:
    """Scores `nsfw` by the share s of skin pixels: s / (s + 0.3), so that the share at which
    the paper calls a picture suspect scores 0.5 and no score saturates; `sfw` is 1 - `nsfw`."""

    identity = "skin filter (Fleck, Forsyth, Bregler 1996) v1"
    limits = Limits(
        batch=8,
        formats=("pixels",),
        labels=("sfw", "nsfw"),
        question="nsfw",
        deterministic=True,
    )

    def __repr__(self) -> str:
        return "Skin()"

    def score(self, variants: Sequence[Variant], codec: Codec) -> list[Scores | Failure]:
        answers: list[Scores | Failure] = []
        for variant in variants:
            share = float(skin_mask(variant.pixels()).mean())
            nsfw = share / (share + THRESHOLD)
            answers.append(Scores({"sfw": 1 - nsfw, "nsfw": nsfw}))
        return answers


def skin_mask(image: Image.Image) -> NDArray[np.bool_]:
    """Which pixels of the RGB picture, brought to at most 128 pixels a side, look like skin."""
    from scipy import ndimage

    shrink = min(1.0, LONGEST / max(image.size))
    if shrink < 1:
        small = (max(1, round(image.width * shrink)), max(1, round(image.height * shrink)))
        image = image.resize(small, Image.Resampling.BOX)
    red, green, blue = (_logarithms()[np.asarray(band)] for band in image.split())
    rough = np.abs(green - ndimage.median_filter(green, size=9)) >= TEXTURE
    # The median of a window is below a bound when most of its pixels are.
    smooth = ndimage.uniform_filter(rough.astype(np.float32), size=13) < 0.5
    rg = ndimage.median_filter(red - green, size=5)
    by = ndimage.median_filter(blue - (green + red) / 2, size=5)
    hue = np.degrees(np.arctan2(rg, by))
    saturation = np.hypot(rg, by)
    coloured = np.zeros(hue.shape, dtype=bool)
    for low, high, dull, vivid in RANGES:
        coloured |= (low < hue) & (hue < high) & (dull < saturation) & (saturation < vivid)
    mask: NDArray[np.bool_] = smooth & coloured
    return mask


@lru_cache(maxsize=1)
def _logarithms() -> NDArray[np.float32]:
    table: NDArray[np.float32] = (105 * np.log10(np.arange(256) + 1)).astype(np.float32)
    return table
