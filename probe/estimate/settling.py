"""When to stop asking: the map is settled when two halves of the answers tell the same story."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from probe.text import count
from probe.types import Estimator, Failure, Identity, Perturbation, Sampler, Scores

CHECKS = (32, 48, 64, 96, 128, 192, 256)
"""After so many variants the map is looked at; they are rounds, asked in parallel."""
RELIABLE = 0.75
STRETCH = 8
FLAT = 48
"""So many variants that leave the score where it was are enough."""
STILL = 1e-3
PIXELS = 64


class Settling:
    """A sampler that stops another one when the map of its answers is settled.

    The answers are dealt in stretches of eight to two halves (a stretch of a low-discrepancy
    design is spread evenly; every other point is not). The correlation r of the two maps over
    the pixels, stepped up to the whole by Spearman and Brown's formula 2 r / (1 + r) (1910), is
    how reliable the map is. From 0.75 on it is settled. A label that 48 variants move no further
    than the reference itself moved, twice over, has no map to wait for.

    estimator: makes a new estimator of the label's map. reason: why it stopped, "" if it did not.
    """

    def __init__(
        self, sampler: Sampler, estimator: Callable[[], Estimator], label: str, most: int
    ) -> None:
        self._sampler = sampler
        self._halves: tuple[Estimator, ...] = (estimator(), estimator())
        self._label = label
        self._checks = [*(check for check in CHECKS if check < most), most]
        self._asked = self._told = 0
        self._unchanged: list[float] = []
        self._largest = 0.0
        self.reason = ""

    def ask(self, n: int) -> Sequence[Perturbation]:
        if self._asked == self._told and self._told == self._checks[0]:
            self._look()
        room = self._checks[0] - self._asked if self._checks else 0
        if self.reason or room <= 0:
            return []
        proposals = self._sampler.ask(min(n, room))
        self._asked += len(proposals)
        return proposals

    def tell(self, perturbation: Perturbation, answer: Scores | Failure) -> None:
        self._sampler.tell(perturbation, answer)
        chosen = self._halves
        if not isinstance(perturbation, Identity):
            chosen = (self._halves[self._told // STRETCH % 2],)
            self._told += 1
        if isinstance(answer, Failure) or self._label not in answer:
            return
        for half in chosen:
            half.update(perturbation, answer)
        score = answer[self._label]
        if isinstance(perturbation, Identity):
            self._unchanged += [] if perturbation.full else [score]
        else:
            self._largest = max(self._largest, abs(score - self._unchanged[0]))

    def _look(self) -> None:
        if len(self._checks) > 1:
            self._checks.pop(0)
        answers = count(self._told, "variant")
        spread = max(self._unchanged) - min(self._unchanged)
        if self._told >= FLAT and self._largest <= max(STILL, 2 * spread):
            self.reason = f"Stopped after {answers}: none moved the score beyond its noise."
            return
        reliability = self._reliability()
        if reliability >= RELIABLE:
            self.reason = (
                f"Stopped after {answers}: the map is settled (two halves of the answers draw "
                f"it alike, reliability {reliability:.2f})."
            )

    def _reliability(self) -> float:
        one, other = (_sample(half.heatmap().planes.values) for half in self._halves)
        both = np.isfinite(one) & np.isfinite(other)
        if both.sum() < 3 or np.ptp(one[both]) == 0 or np.ptp(other[both]) == 0:
            return 0.0
        r = float(np.corrcoef(one[both], other[both])[0, 1])
        return 2 * r / (1 + r) if r > 0 else 0.0


def _sample(plane: NDArray[np.float32]) -> NDArray[np.float32]:
    """At most 64 x 64 of its values, evenly."""
    rows, columns = (
        np.linspace(0, side - 1, min(side, PIXELS)).round().astype(int) for side in plane.shape
    )
    sample: NDArray[np.float32] = plane[rows[:, None], columns].ravel()
    return sample
