"""The contrast of masks: the mean score while a pixel is shown less that while it is covered."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from probe.estimate.seen import unseen
from probe.heatmap import Heatmap, Planes
from probe.perturb.masks import opacity
from probe.types import Canvas, Identity, Perturbation, Scores

Sums = NDArray[np.float64]
SIDE = 128
"""Longest side of the sums: masks that are smooth need no more, and their cost is their size."""


class Contrast:
    """map(p) = sum m s / sum m - sum (1 - m) s / sum (1 - m), m being how much of pixel p each
    answer showed (0 to 1) and s its score.

    Where RISE (Petsiuk et al., BMVC 2018) divides the sum of m s by the expected sum of m, both
    means are divided by the weights that the pixel really had, so that neither the number of
    answers, nor the border, nor the luck of a pixel shifts its value, and the unit is the
    score's: for a model that adds up its pixels, hard masks and independent cells the map is
    what covering the cell takes from the score; half-covered pixels lower it evenly.

    An answer costs O(SIDE^2) and nothing is kept of it. The standard error is that of a
    difference of two ratios to first order: the root of the summed squares of
    m (s - shown mean) / sum m - (1 - m) (s - covered mean) / sum (1 - m), times n / (n - 1).
    """

    def __init__(self, canvas: Canvas, label: str) -> None:
        self.canvas = canvas
        self.label = label
        width, height = canvas.send
        shrink = min(1.0, SIDE / max(width, height))
        self._small = Canvas(
            canvas.size, (max(1, round(width * shrink)), max(1, round(height * shrink)))
        )
        self._reference: float | None = None
        # over the answers: n, d, d^2 where d = score - reference ...
        self._totals = np.zeros(3)
        # ... and of each pixel m, m d, m d^2, m^2, m^2 d, m^2 d^2
        self._sums = np.zeros((6, *self._small.send[::-1]))
        self._covered = np.zeros(self._small.send[::-1], np.int32)

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
        covered = opacity(perturbation, self._small)
        shown = 1 - covered / 255
        d = score - self._reference
        self._totals += 1, d, d * d
        squares = shown * shown
        for i, factor in enumerate((1, d, d * d)):
            self._sums[i] += factor * shown
            self._sums[3 + i] += factor * squares
        self._covered += covered >= 128

    def heatmap(self) -> Heatmap:
        """The map so far; raises ValueError before the reference."""
        if self._reference is None:
            raise ValueError("no map before the reference's answer")
        n, d, dd = self._totals
        m, md, mdd, mm, mmd, mmdd = self._sums
        with np.errstate(divide="ignore", invalid="ignore"):
            shown, covered = md / m, (d - md) / (n - m)
            variance = (
                (mmdd - 2 * shown * mmd + shown**2 * mm) / m**2
                - 2
                * ((mdd - mmdd) - (shown + covered) * (md - mmd) + shown * covered * (m - mm))
                / (m * (n - m))
                + (
                    (dd - 2 * mdd + mmdd)
                    - 2 * covered * (d - 2 * md + mmd)
                    + covered**2 * (n - 2 * m + mm)
                )
                / (n - m) ** 2
            )
            stderr = np.sqrt(np.maximum(variance, 0) * n / (n - 1))
        known = (m > 0) & (m < n)
        values = np.where(known, shown - covered, np.nan)
        stderr = np.where(known & (n > 1), stderr, np.nan)
        planes = (self._enlarge(p) for p in (values, stderr, self._reference + covered))
        values, stderr, mean_score = planes
        hidden = unseen(self.canvas)
        for plane in (values, stderr, mean_score):
            plane[hidden] = np.nan
        return Heatmap(
            label=self.label,
            unit="score",
            reference=self._reference,
            canvas=self.canvas,
            answers=int(n),
            planes=Planes(values, stderr, mean_score, self._enlarge_counts()),
        )

    def _enlarge(self, plane: Sums) -> NDArray[np.float32]:
        image = Image.fromarray(plane.astype(np.float32))
        large: NDArray[Any] = np.array(image.resize(self.canvas.send, Image.Resampling.BILINEAR))
        return large

    def _enlarge_counts(self) -> NDArray[np.int32]:
        image = Image.fromarray(self._covered)
        return np.array(image.resize(self.canvas.send, Image.Resampling.NEAREST), np.int32)
