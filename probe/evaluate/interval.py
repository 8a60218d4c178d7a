"""95 % intervals, and what people read of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, log10
from typing import Any

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.95
Z = 1.959963984540054
"""The normal distribution's quantile for LEVEL."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A number and its 95 % interval, low <= value <= high; None for what is not known."""

    value: float | None
    low: float | None = None
    high: float | None = None

    def as_dict(self) -> dict[str, float | None]:
        return {"value": self.value, "low": self.low, "high": self.high}

    def said(self) -> str:
        """`0.941 (0.939 to 0.943)`, with the digits that the interval leaves a meaning."""
        if self.value is None:
            return "not known"
        if self.low is None or self.high is None:
            return f"{self.value:.3f} (interval not known)"
        digits = _digits(self.high - self.low)
        if any(one and not round(one, digits) for one in (self.low, self.high)):
            digits += 1  # an end near 0 keeps its side
        return f"{self.value:.{digits}f} ({self.low:.{digits}f} to {self.high:.{digits}f})"

    def percent(self) -> str:
        """`61% (58 to 64)`."""
        if self.value is None:
            return "not known"
        if self.low is None or self.high is None:
            return f"{100 * self.value:.3g}%"
        digits = max(0, _digits(self.high - self.low) - 2)
        low, high = 100 * self.low, 100 * self.high
        return f"{100 * self.value:.{digits}f}% ({low:.{digits}f} to {high:.{digits}f})"


def _digits(width: float) -> int:
    return min(5, max(2, ceil(-log10(width / 2)) if width > 0 else 3))


def wilson(hits: int, of: int) -> Estimate:
    """A share, `hits` of `of`, and Wilson's score interval (Brown, Cai and DasGupta, "Interval
    Estimation for a Binomial Proportion", 2001); not known of nothing."""
    if of == 0:
        return Estimate(None)
    share = hits / of
    low, high = wilson_ends(np.array([share]), np.array([of]))
    return around(share, low[0], high[0])


def wilson_ends(shares: Floats, of: Floats | NDArray[np.integer[Any]]) -> tuple[Floats, Floats]:
    """Ends of Wilson's intervals for shares of so many, (m,) each."""
    spread = Z * Z / of
    centre = (shares + spread / 2) / (1 + spread)
    half = Z / (1 + spread) * np.sqrt(shares * (1 - shares) / of + spread / (4 * of))
    return centre - half, centre + half


def around(
    value: float, low: float, high: float, least: float = 0.0, most: float = 1.0
) -> Estimate:
    """The interval within `least` and `most`, and never beside its value."""
    return Estimate(
        float(value), float(min(max(low, least), value)), float(max(min(high, most), value))
    )


def normal(value: float, error: float, least: float = 0.0, most: float = 1.0) -> Estimate:
    """`value` ± Z standard errors, within its range; NaN for an error that is not known."""
    if not np.isfinite(error):
        return Estimate(float(value))
    return around(value, value - Z * error, value + Z * error, least, most)


def logistic(values: Floats, errors: Floats) -> tuple[Floats, Floats]:
    """Ends of intervals for shares, from standard errors of their log-odds."""
    centre = np.log(values) - np.log1p(-values)
    low, high = (1 / (1 + np.exp(-(centre + side * Z * errors))) for side in (-1, 1))
    return low, high


def estimates(values: Sequence[float], ends: tuple[Floats, Floats]) -> list[Estimate]:
    """One for each value; those that are NaN are not known."""
    return [
        Estimate(None)
        if np.isnan(value)
        else Estimate(float(value))
        if np.isnan(low)
        else around(value, low, high)
        for value, low, high in zip(values, *ends, strict=True)
    ]


def dicts(found: Sequence[Any]) -> list[dict[str, Any]]:
    return [one.as_dict() for one in found]
