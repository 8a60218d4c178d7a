"""A deletion or insertion curve, as far as it was asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import hypot, isnan, nan, sqrt
from typing import Any

from probe.judging.metrics import STEPS, area, uncertainty, weights
from probe.judging.ranking import Kind


@dataclass(frozen=True)
class Curve:
    """The score while a map's most evident pixels are changed first.

    points: (share of the picture changed, 0 to 1; score of the label, None where no answer came),
        ascending. reference: the mean score of the unchanged picture.
    noise: standard deviation of one score, None where it was not measured.
    reference_error: standard error of the reference, its drift included.
    """

    kind: Kind
    points: Sequence[tuple[float, float | None]]
    reference: float
    noise: float | None = None
    reference_error: float = 0.0

    @property
    def area(self) -> float:
        """Mean of score / reference; the 33-step trapezoid, with missing steps on a line between
        their neighbours. NaN where nothing but the reference is known."""
        return area(self._nodes()) if len(self._nodes()) > 1 else nan

    @property
    def stderr(self) -> float:
        """Standard error of the area: of the steps left out and of the service's noise."""
        return hypot(uncertainty(self._nodes()), self.noise_error)

    @property
    def noise_error(self) -> float:
        """Standard error of the area from the service's noise alone; 0.0 where it is unknown.

        The reference is in every ratio, and is the curve's own point where nothing differs from it.
        """
        steps = [step for step, _ in self._nodes()]
        shares = dict(zip(steps, weights(steps), strict=True))
        fixed = shares.pop(0 if self.kind == "deletion" else STEPS, 0.0)
        through = (area(self._nodes()) - fixed) * self.reference_error
        own = (self.noise or 0.0) * sqrt(sum(w * w for w in shares.values()))
        return hypot(through, own) / self.reference

    @property
    def holes(self) -> int:
        return sum(score is None for _, score in self.points)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "area": None if isnan(self.area) else self.area,
            "stderr": None if isnan(self.area) else self.stderr,
            "points": [list(point) for point in self.points],
        }

    def _nodes(self) -> list[tuple[int, float]]:
        return [
            (round(share * STEPS), score / self.reference)
            for share, score in self.points
            if score is not None
        ]
