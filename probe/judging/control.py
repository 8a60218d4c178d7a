"""A map against maps that mean nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import nan, sqrt
from statistics import mean, stdev
from typing import Any, Literal

from probe.judging.curve import Curve
from probe.judging.ranking import Kind

LUCK = 0.2
"""A map is ahead where luck does as well no more often; of four controls it must beat all."""
SMALL = 0.01
"""Of the reference: less is next to nothing."""


@dataclass(frozen=True)
class Control:
    """The map and its controls at the same few steps, so that what the steps miss is alike.

    what: `moved` (copies of the map in other places) or `given` (another map, of the user's).
    own: the map's curves at these steps. curves: those of each control.
    """

    what: Literal["moved", "given"]
    own: Mapping[Kind, Curve]
    curves: Mapping[Kind, Sequence[Curve]]

    @cached_property
    def gains(self) -> list[float]:
        """How far the map is ahead of each control whose answers all came: less deletion and more
        insertion, summed, in shares of the reference."""
        pairs = zip(self.curves["deletion"], self.curves["insertion"], strict=True)
        every = [
            self._ahead("deletion", deletion) + self._ahead("insertion", insertion)
            for deletion, insertion in pairs
        ]
        return [gain for gain in every if gain == gain]

    def _ahead(self, kind: Kind, control: Curve) -> float:
        own = self.own[kind]
        if own.holes or control.holes:
            return nan
        return control.area - own.area if kind == "deletion" else own.area - control.area

    @property
    def gain(self) -> float:
        """Mean of the gains, NaN without any."""
        return mean(self.gains) if self.gains else nan

    @property
    def spread(self) -> float | None:
        """Standard deviation of the gains, None with fewer than two."""
        return stdev(self.gains) if len(self.gains) > 1 else None

    @property
    def noise(self) -> float:
        """Standard error of the mean gain from the service's noise alone; 0.0 where unknown."""
        own = sum(self.own[kind].noise_error ** 2 for kind in self.own)
        theirs = [one.noise_error**2 for kind in self.curves for one in self.curves[kind]]
        return sqrt(own + sum(theirs) / max(1, len(theirs) // 2) ** 2)

    @property
    def beaten(self) -> int:
        """How many of the controls with a gain the map is ahead of."""
        return sum(gain > 0 for gain in self.gains)

    @property
    def chance(self) -> float:
        """How often a map without a meaning would be ahead of as many by luck: its rank among
        them is anything with equal chances."""
        return (1 + len(self.gains) - self.beaten) / (1 + len(self.gains))

    @property
    def ahead(self) -> bool | None:
        """Ahead of all controls, or of so many that luck does it 1 time in 5 at most, by more than
        next to nothing and beyond the noise; None where nothing was measured."""
        if not self.gains:
            return None
        best = 1 / (1 + len(self.gains))
        return self.chance <= max(LUCK, best) and self.gain > max(SMALL, 2 * self.noise)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "what": self.what,
            "count": len(self.gains),
            "beaten": self.beaten,
            "ahead": self.ahead,
            "chance": self.chance if self.gains else None,
            "gain": self.gain if self.gains else None,
            "spread": self.spread,
            "noise": self.noise,
            "deletion": [one.as_dict() for one in self.curves["deletion"]],
            "insertion": [one.as_dict() for one in self.curves["insertion"]],
        }
