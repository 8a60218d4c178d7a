"""The covering mean: what the score is, on average, while a pixel is covered (or shown).

Zeiler and Fergus, ECCV 2014, for one window size; the mean over the covering answers instead
of over all of them keeps borders right, and boxes of many sizes weigh area^-1/2, since a small
box that matters says more about its pixels than a large one.
"""

from __future__ import annotations

from math import exp, log
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from probe.estimate.seen import seen_pixels
from probe.heatmap import Heatmap, Planes
from probe.perturb.geometry import pixels
from probe.types import Canvas, Identity, Keep, Mask, Perturbation, Scores

Sums = NDArray[np.float64]


class CoveringMean:
    """map(p) = sum w v [p in region] / sum w [p in region], kept as 2-D difference arrays.

    An answer costs O(1), a snapshot at most O(HW), the memory does not depend on the number of
    answers, and their order changes the sums by rounding only. The first Identity is the
    reference; its repeats, the full-size picture and answers without the label are left out.

    kind: `evidence` (covers): v = reference - score, positive where covering lowers the score.
        `score` (windows): v = score.
    shrink: one box of zero evidence and middling weight (the geometric mean of the weights) in
        every denominator, so that a pixel hit by one lucky box does not outrank a sure one.
    weight: `equal`, or `area` for area^-1/2, the region's share of the picture as sent.

    The standard error is sqrt(weighted variance / (n - 1)), n = (sum w)^2 / sum w^2 being the
    effective number of answers, times the shrinkage of the value; NaN where fewer than two
    answers cover the pixel.
    """

    def __init__(
        self,
        canvas: Canvas,
        label: str,
        *,
        kind: Literal["evidence", "score"] = "evidence",
        shrink: bool = False,
        weight: Literal["equal", "area"] = "equal",
    ) -> None:
        self.canvas = canvas
        self.label = label
        self.kind = kind
        self.shrink = shrink
        self.weight = weight
        width, height = canvas.send
        self._reference: float | None = None
        self._answers = 0
        self._log_weights = 0.0
        # differences of the sums of 1, w, w d, w d^2 and w^2, where d = reference - score
        self._sums = np.zeros((height + 1, width + 1, 5))
        # rows and columns where a region may begin or end: between them the map is constant
        self._rows, self._columns = np.zeros(height + 1, bool), np.zeros(width + 1, bool)
        x0, y0, x1, y1 = seen_pixels(canvas)
        self._rows[[0, y0, y1]] = self._columns[[0, x0, x1]] = True

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
        x0, y0, x1, y1 = pixels(perturbation, self.canvas)
        width, height = self.canvas.send
        area = (x1 - x0) * (y1 - y0) / (width * height)
        w = area**-0.5 if self.weight == "area" else 1.0
        drop = self._reference - score
        step = np.array([1, w, w * drop, w * drop * drop, w * w])
        self._sums[[y0, y1], [x0, x1]] += step
        self._sums[[y0, y1], [x1, x0]] -= step
        self._rows[[y0, y1]] = self._columns[[x0, x1]] = True
        self._answers += 1
        self._log_weights += log(w)

    def heatmap(self) -> Heatmap:
        """The map so far; raises ValueError before the reference."""
        if self._reference is None:
            raise ValueError("no map before the reference's answer")
        rows, columns = np.flatnonzero(self._rows[:-1]), np.flatnonzero(self._columns[:-1])
        differences = self._sums[rows[:, None], columns]
        sums = differences.cumsum(0).cumsum(1)
        coverage, total, drops, squares, weights2 = np.moveaxis(sums, 2, 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            mean = np.where(coverage > 0, drops / total, np.nan)
            variance = np.maximum(squares / total - mean * mean, 0)
            freedom = np.where(coverage > 1, total * total / weights2 - 1, np.nan)
            stderr = np.sqrt(variance / freedom)
        shrinkage = self._shrinkage(total)
        mean_score = self._reference - mean
        values = mean * shrinkage if self.kind == "evidence" else mean_score
        if self.kind == "evidence":
            x0, y0, x1, y1 = seen_pixels(self.canvas)
            seen = (y0 <= rows[:, None]) & (rows[:, None] < y1) & (x0 <= columns) & (columns < x1)
            for plane in (values, stderr, mean_score):
                plane[~seen] = np.nan

        def enlarge(cells: NDArray[Any], dtype: type[Any]) -> NDArray[Any]:
            width, height = self.canvas.send
            tall = np.repeat(cells.astype(dtype), np.diff(rows, append=height), axis=0)
            return np.repeat(tall, np.diff(columns, append=width), axis=1)

        return Heatmap(
            label=self.label,
            unit="score",
            reference=self._reference,
            canvas=self.canvas,
            kind=self.kind,
            answers=self._answers,
            planes=Planes(
                values=enlarge(values, np.float32),
                stderr=enlarge(stderr * shrinkage, np.float32),
                mean_score=enlarge(mean_score, np.float32),
                coverage=enlarge(coverage, np.int32),
            ),
        )

    def _shrinkage(self, total: Sums) -> Sums | float:
        if not self.shrink or not self._answers:
            return 1.0
        prior = exp(self._log_weights / self._answers)
        return total / (total + prior)
