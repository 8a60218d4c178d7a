"""The variance of the area under a ROC curve, and of differences of such areas.

DeLong, DeLong and Clarke-Pearson, "Comparing the areas under two or more correlated ROC curves",
Biometrics 1988, with sorting instead of all pairs, as Sun and Xu, "Fast implementation of DeLong's
algorithm", IEEE Signal Processing Letters 2014. The interval is taken on the log-odds, where it
holds near 1 and stays below it (Pepe, "The Statistical Evaluation of Medical Tests", 2003).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, log, sqrt

import numpy as np

from probe.evaluate.interval import LEVEL, Estimate, Floats, around
from probe.evaluate.metrics import Truth

MANY = 1e9
"""Degrees of freedom from which on a t distribution is the normal one."""


def influence(truth: Truth, scores: Floats) -> Floats:
    """What each picture moves the area by, (n,), so scaled that the sum of squares is its variance
    and the sum of products with that of other scores of these pictures their covariance.

    truth: bool (n,), scores: (n,). NaN where there is one positive or negative alone.
    """
    positive, negative = scores[truth], scores[~truth]
    found = np.empty(len(scores))
    found[truth] = _centred(_share_below(positive, np.sort(negative)))
    found[~truth] = _centred(1 - _share_below(negative, np.sort(positive)))
    return found


def _share_below(values: Floats, ordered: Floats) -> Floats:
    """For each value the share of `ordered` below it, ties counted half: from midranks."""
    both = sum(np.searchsorted(ordered, values, side=side) for side in ("left", "right"))
    return np.asarray(both / (2 * len(ordered)), np.float64)


def _centred(parts: Floats) -> Floats:
    number = len(parts)
    if number < 2:
        return np.full(number, np.nan)
    return np.asarray((parts - parts.mean()) / sqrt(number * (number - 1)), np.float64)


@dataclass(frozen=True)
class Error:
    """A standard error, NaN where it is not known, and the degrees of freedom behind it."""

    value: float
    freedom: float

    @classmethod
    def of(cls, moved: Floats, truth: Truth) -> Error:
        """From influences, or differences of them, (n,): positives and negatives as two samples of
        unequal variance (Satterthwaite), as Brunner and Munzel do, Biometrical Journal 2000."""
        kinds = [float((moved[kind] ** 2).sum()) for kind in (truth, ~truth)]
        total = sum(kinds)
        if not total > 0:
            return cls(sqrt(total), np.inf)
        sizes = [int(truth.sum()) - 1, int((~truth).sum()) - 1]
        below = sum(part**2 / size for part, size in zip(kinds, sizes, strict=True))
        return cls(sqrt(total), total**2 / below)

    def reach(self, level: float = LEVEL) -> float:
        """Half the width of an interval."""
        from scipy.special import stdtrit

        return float(stdtrit(min(self.freedom, MANY), (1 + level) / 2)) * self.value

    def chance(self, gap: float) -> float | None:
        """The p-value, two-sided, of a gap as large; None where the error is 0 or not known."""
        from scipy.special import stdtr

        if not self.value > 0:
            return 1.0 if gap == 0 else None
        return float(2 * stdtr(min(self.freedom, MANY), -abs(gap) / self.value))


def area_interval(area: float, error: Error, fewer: int) -> Estimate:
    """The area with its interval.

    fewer: how many there are of the rarer kind. A whole area of 1 (or 0) has an error of 0 and yet
    is not sure: so many pairs of a positive and a negative share no picture, each is in order with
    a chance of the true area, and Clopper and Pearson's interval for all of them is taken.
    """
    if not np.isfinite(error.value):
        return Estimate(area)
    if area in (0.0, 1.0):
        least = ((1 - LEVEL) / 2) ** (1 / fewer)
        return around(area, least, 1.0) if area else around(area, 0.0, 1 - least)
    odds, reach = log(area / (1 - area)), error.reach() / (area * (1 - area))
    return around(area, *(1 / (1 + exp(-end)) for end in (odds - reach, odds + reach)))


def gap_on_odds(
    area: float, moved: Floats, whole: float, whole_moved: Floats, truth: Truth, level: float
) -> Estimate:
    """One area minus another, less sure of the first: the interval is that of the difference of
    their log-odds, taken from the second.

    moved, whole_moved: (n,), influences of all pictures on each area. Not known where an area is 0
    or 1.
    """
    if area in (0.0, 1.0) or whole in (0.0, 1.0):
        return Estimate(area - whole)
    slopes = [1 / (one * (1 - one)) for one in (area, whole)]
    reach = Error.of(moved * slopes[0] - whole_moved * slopes[1], truth).reach(level)
    if not np.isfinite(reach):
        return Estimate(area - whole)
    odds = log(area / (1 - area))
    low, high = (1 / (1 + exp(-end)) - whole for end in (odds - reach, odds + reach))
    return around(area - whole, low, high, -1.0, 1.0)


def gap(one: float, other: float, error: Error) -> Estimate:
    """One area minus another."""
    if not np.isfinite(error.value):
        return Estimate(one - other)
    reach = error.reach()
    return around(one - other, one - other - reach, one - other + reach, -1.0, 1.0)
