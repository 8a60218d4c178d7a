"""The covering mean: what the score is, on average, while a pixel is covered (or shown).

Zeiler and Fergus, ECCV 2014, for one window size; the mean over the covering answers instead
of over all of them keeps borders right, and boxes of many sizes weigh area^-1/2, since a small
box that matters says more about its pixels than a large one.
"""

from __future__ import annotations

from array import array
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from probe.estimate.cells import Cells, Sums
from probe.heatmap import Heatmap, Planes
from probe.perturb.geometry import pixels
from probe.types import Canvas, Identity, Keep, Mask, Perturbation, Scores

POOLED = 2.0
"""The spread over all answers counts as so many answers in that of each pixel."""
BATCHES = 8


class CoveringMean:
    """map(p) = sum w v [p in region] / sum w [p in region].

    An answer costs O(1) time and 24 bytes, a snapshot O(HW) at most; the order of the answers
    changes a value by rounding only, and a standard error where they are `even`. The first
    Identity is the reference; its repeats, the full-size picture and answers without the label
    are left out.

    kind: `evidence` (covers): v = reference - score, positive where covering lowers the score.
        `score` (windows): v = score.
    shrink: one box of zero evidence and middling weight (the geometric mean of the weights) in
        every denominator, so that a pixel hit by one lucky box does not outrank a sure one.
    weight: `equal`, or `area` for area^-1/2, the region's share of the picture as sent.
    even: every stretch of the answers is spread evenly, so that the means of batches tell how
        much less the error is than that of random regions.

    The standard error holds what the answers scatter and what shrinkage takes:
    sqrt(f s^2 V / n + (1 - s)^2 mean^2), where s is the shrinkage, n = (sum w)^2 / sum w^2 the
    effective number of answers, and V = (n v + 2 V0) / (n - 1 + 2) their variance v pooled with
    that of all answers, V0, as two answers more: few covers that happen to agree are not sure.
    f is 1, or with `even` the variance of 8 batches of answers in their order over that expected
    of random ones (batch means, for all pixels together; Owen, "Monte Carlo theory, methods and
    examples", chapter 17). NaN with fewer than two answers.
    """

    def __init__(
        self,
        canvas: Canvas,
        label: str,
        *,
        kind: Literal["evidence", "score"] = "evidence",
        shrink: bool = False,
        weight: Literal["equal", "area"] = "equal",
        even: bool = False,
    ) -> None:
        self.canvas = canvas
        self.label = label
        self.kind = kind
        self.shrink = shrink
        self.weight = weight
        self.even = even
        self._reference: float | None = None
        self._regions = array("i")
        self._drops = array("d")

    def update(self, perturbation: Perturbation, scores: Scores) -> None:
        if self.label not in scores:
            return
        score = scores[self.label]
        if isinstance(perturbation, Identity):
            if self._reference is None and not perturbation.full:
                self._reference = score
            return
        if self._reference is None:
            raise ValueError("the reference (an Identity) must come first")
        if isinstance(perturbation, Keep | Mask):
            raise ValueError(f"a covering mean takes boxes and windows, not {perturbation!r}")
        self._regions.extend(pixels(perturbation, self.canvas))
        self._drops.append(self._reference - score)

    def heatmap(self) -> Heatmap:
        """The map so far; raises ValueError before the reference."""
        if self._reference is None:
            raise ValueError("no map before the reference's answer")
        regions = np.frombuffer(self._regions, np.intc).reshape(-1, 4)
        drops = np.frombuffer(self._drops)
        cells, weights = Cells(self.canvas, regions), self._weights(regions)
        coverage, total = cells.sum(np.ones(len(drops))), cells.sum(weights)
        with np.errstate(divide="ignore", invalid="ignore"):
            mean = np.where(coverage > 0, cells.sum(weights * drops) / total, np.nan)
            shrinkage = self._shrinkage(weights, total)
            stderr = self._stderr(cells, weights, drops, total, mean, shrinkage)
        mean_score = self._reference - mean
        values = mean * shrinkage if self.kind == "evidence" else mean_score
        if self.kind == "evidence":
            for plane in (values, stderr, mean_score):
                plane[~cells.seen] = np.nan
        return Heatmap(
            label=self.label,
            unit="score",
            reference=self._reference,
            canvas=self.canvas,
            kind=self.kind,
            answers=len(drops),
            planes=Planes(
                values=cells.enlarged(values, np.float32),
                stderr=cells.enlarged(stderr, np.float32),
                mean_score=cells.enlarged(mean_score, np.float32),
                coverage=cells.enlarged(np.rint(coverage), np.int32),
            ),
        )

    def _weights(self, regions: NDArray[Any]) -> Sums:
        if self.weight == "equal":
            return np.ones(len(regions))
        width, height = self.canvas.send
        x0, y0, x1, y1 = regions.T
        shares: Sums = (x1 - x0) * (y1 - y0) / (width * height)
        return shares**-0.5

    def _shrinkage(self, weights: Sums, total: Sums) -> Sums | float:
        if not self.shrink or not len(weights):
            return 1.0
        middling = float(np.exp(np.log(weights).mean()))
        return total / (total + middling)

    def _stderr(
        self,
        cells: Cells,
        weights: Sums,
        drops: Sums,
        total: Sums,
        mean: Sums,
        shrinkage: Sums | float,
    ) -> Sums:
        if len(drops) < 2:
            return np.full_like(mean, np.nan)
        squares = cells.sum(weights**2)
        effective = total**2 / squares
        local = np.maximum(cells.sum(weights * drops**2) / total - mean**2, 0)
        overall = np.average((drops - np.average(drops, weights=weights)) ** 2, weights=weights)
        overall *= len(drops) / (len(drops) - 1)
        pooled = np.maximum(effective - 1, 0) + POOLED
        variance = (effective * local + POOLED * overall) / pooled / effective
        if self.even:
            variance *= self._evenness(cells, weights, drops, mean, local * squares)
        return np.sqrt(variance * shrinkage**2 + ((1 - shrinkage) * mean) ** 2)

    def _evenness(
        self, cells: Cells, weights: Sums, drops: Sums, mean: Sums, expected: Sums
    ) -> float:
        """The variance of batches of answers over that expected of random ones, at most 1; 1
        where there are too few answers to tell."""
        batches = min(BATCHES, len(drops) // 3)
        covered, found = np.isfinite(mean), 0.0
        if batches < 4:
            return 1.0
        for batch in np.array_split(np.arange(len(drops)), batches):
            w, d = weights[batch], drops[batch]
            off = cells.sum(w * d, batch) - cells.sum(w, batch) * np.where(covered, mean, 0)
            found += float((off**2 * cells.areas)[covered].sum())
        random = float((expected * cells.areas)[covered].sum())
        return min(1.0, found / random) if random > 0 else 1.0
