"""Whether 0.8 means that 8 of 10 are: the share of positives among pictures of like scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import pi, sqrt
from typing import Any

import numpy as np

from probe.evaluate.interval import Estimate, Floats, wilson
from probe.evaluate.metrics import Truth

BINS = 15


@dataclass(frozen=True)
class Bin:
    """Pictures of like scores: from `low` to `high`, `score` on average; `share` are positive."""

    low: float
    high: float
    pictures: int
    score: float
    share: Estimate

    def as_dict(self) -> dict[str, Any]:
        about = {name: getattr(self, name) for name in ("low", "high", "pictures", "score")}
        return about | {"share": self.share.as_dict()}


@dataclass(frozen=True)
class Calibration:
    """bins: as many pictures in each as ties allow, ascending.

    ece  expected calibration error: |score - share| of the bins, weighted by pictures (Naeini,
         Cooper and Hauskrecht, AAAI 2015, here with bins of equal mass). 0 is best.
    ece_by_chance  what it would be on average for perfect scores, of so many pictures.
    """

    bins: Sequence[Bin]
    ece: float
    ece_by_chance: float


def calibrate(truth: Truth, scores: Floats, bins: int = BINS) -> Calibration:
    """truth: bool (n,), scores: (n,) in 0..1. Equal scores are never parted, so that there may be
    fewer bins."""
    edges = np.quantile(scores, np.linspace(0, 1, bins + 1)[1:-1])
    places = np.searchsorted(edges, scores)
    number = np.bincount(places, minlength=bins)
    total = np.bincount(places, scores, minlength=bins)
    hits = np.bincount(places, truth, minlength=bins)
    lows, highs = np.full(bins, np.inf), np.full(bins, -np.inf)
    np.minimum.at(lows, places, scores)
    np.maximum.at(highs, places, scores)
    found = [
        Bin(
            float(lows[n]),
            float(highs[n]),
            int(number[n]),
            float(np.clip(total[n] / number[n], lows[n], highs[n])),
            wilson(int(hits[n]), int(number[n])),
        )
        for n in np.flatnonzero(number)
    ]
    return Calibration(found, _ece(found), _by_chance(found))


def _ece(bins: Sequence[Bin]) -> float:
    pictures = sum(one.pictures for one in bins)
    return sum(one.pictures * abs(one.score - (one.share.value or 0)) for one in bins) / pictures


def _by_chance(bins: Sequence[Bin]) -> float:
    """The mean distance of a share to its own score is sqrt(2 / pi) of its standard error."""
    pictures = sum(one.pictures for one in bins)
    errors = (sqrt(max(0, one.score * (1 - one.score)) * one.pictures) for one in bins)
    return sqrt(2 / pi) * sum(errors) / pictures
