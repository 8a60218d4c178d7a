"""Deletion, insertion, AUROC and pointing: one definition for all comparisons."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter, ImageStat
from scipy.stats import rankdata

Score = Callable[[Image.Image], float]
Values = NDArray[np.floating]

STEPS = 33


def deletion(score: Score, image: Image.Image, values: Values) -> float:
    """Mean score / reference while the most evident pixels turn into the mean colour first."""
    mean = tuple(round(level) for level in ImageStat.Stat(image).mean)
    return _curve(score, image, Image.new("RGB", image.size, mean), values) / score(image)


def insertion(score: Score, image: Image.Image, values: Values) -> float:
    """The same while a Gaussian blur (sigma 5 % of the side) turns into the picture."""
    blurred = image.filter(ImageFilter.GaussianBlur(0.05 * max(image.size)))
    return _curve(score, blurred, image, values) / score(image)


def _curve(score: Score, start: Image.Image, end: Image.Image, values: Values) -> float:
    """Mean over 33 equally spaced steps (trapezoid) while `end` replaces `start`."""
    order = np.argsort(-_filled(values), axis=None, kind="stable")
    pixels, target = np.array(start).reshape(-1, 3), np.array(end).reshape(-1, 3)
    shape = (start.height, start.width, 3)
    scores, done = [], 0
    for upto in np.linspace(0, len(order), STEPS).round().astype(int):
        chosen = order[done:upto]
        pixels[chosen] = target[chosen]
        scores.append(score(Image.fromarray(pixels.reshape(shape))))
        done = upto
    return float(np.trapezoid(scores, dx=1 / (STEPS - 1)))


def auroc(values: Values, mask: NDArray[np.bool_]) -> float:
    """Probability that a pixel inside the mask ranks above one outside, ties counted half."""
    ranks = rankdata(_filled(values).ravel())
    inside = int(mask.sum())
    wins = ranks[mask.ravel()].sum() - inside * (inside + 1) / 2
    return float(wins / (inside * (mask.size - inside)))


def pointing(values: Values, mask: NDArray[np.bool_]) -> float:
    """Share of the map's maximal pixels inside the mask."""
    return float(mask[values == np.nanmax(values)].mean())


def _filled(values: Values) -> Values:
    """What nothing covered ranks last."""
    return np.where(np.isnan(values), -np.inf, values)
