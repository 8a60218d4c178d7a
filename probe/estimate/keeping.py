"""What keeping a region brings, and both sides of a region: covered and kept."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from probe.estimate.covering import CoveringMean
from probe.heatmap import Heatmap, Planes
from probe.perturb.geometry import pixels
from probe.types import Box, Canvas, Identity, Keep, Perturbation, Scores, region_of


class KeepingMean:
    """map(p) = the weighted mean score of the keeps that show p, less the score of the empty
    picture, in the score's unit; the sums, weights, shrinkage and errors of `CoveringMean`.

    The empty picture is the Box over everything, asked before the keeps. Where it has no answer,
    zero stands in its place.
    """

    def __init__(self, canvas: Canvas, label: str) -> None:
        self.canvas = canvas
        self.label = label
        self._reference: float | None = None
        self._empty: float | None = None
        self._kept: CoveringMean | None = None

    def update(self, perturbation: Perturbation, scores: Scores) -> None:
        if self.label not in scores:
            return
        if isinstance(perturbation, Identity):
            if self._reference is None and not perturbation.full:
                self._reference = scores[self.label]
        elif isinstance(perturbation, Keep):
            self._kept = self._kept or self._begun()
            x0, y0, x1, y1 = region_of(perturbation)
            self._kept.update(Box(x0, y0, x1, y1), scores)
        elif isinstance(perturbation, Box) and is_whole(perturbation, self.canvas):
            self._empty = scores[self.label]

    def _begun(self) -> CoveringMean:
        """The mean of no keeps yet: a keep is to the empty picture what a cover is to the
        unchanged one, but for the sign."""
        mean = CoveringMean(self.canvas, self.label, shrink=True, weight="area", even=True)
        mean.update(Identity(), Scores({self.label: self._empty or 0.0}))
        return mean

    def heatmap(self) -> Heatmap:
        """The map so far; raises ValueError before the reference."""
        if self._reference is None:
            raise ValueError("no map before the reference's answer")
        kept = (self._kept or self._begun()).heatmap()
        planes = replace(kept.planes, values=-kept.planes.values)
        answers = kept.answers + (self._empty is not None)
        return replace(kept, planes=planes, reference=self._reference, answers=answers)


class CoverAndKeep:
    """map(p) = (2 covering + keeping) / 3: what covering p takes and what keeping it brings, in
    the score's unit.

    The two are a part's contribution when it is the last to be added and when it is the first:
    the ends of the average over all orders that a Shapley value is. Covering counts double
    because keeping, which shows a whole region at once, says less of a single pixel. A pixel
    that one side never touched has zero evidence there, as shrinkage has it; a side without any
    answer leaves the other one alone. The standard error is that of two independent maps.
    """

    def __init__(self, canvas: Canvas, label: str) -> None:
        self.canvas = canvas
        self._covered = CoveringMean(canvas, label, shrink=True, weight="area", even=True)
        self._kept = KeepingMean(canvas, label)

    def update(self, perturbation: Perturbation, scores: Scores) -> None:
        self._kept.update(perturbation, scores)
        empty = isinstance(perturbation, Box) and is_whole(perturbation, self.canvas)
        if isinstance(perturbation, Identity | Box) and not empty:
            self._covered.update(perturbation, scores)

    def heatmap(self) -> Heatmap:
        """The map so far; raises ValueError before the reference."""
        covered, kept = self._covered.heatmap(), self._kept.heatmap()
        one, other = covered.planes, kept.planes
        if np.isnan(other.values).all():
            values, stderr = one.values, one.stderr
        elif np.isnan(one.values).all():
            values, stderr = other.values, other.stderr
        else:
            known = 2 * np.nan_to_num(one.values) + np.nan_to_num(other.values)
            neither = np.isnan(one.values) & np.isnan(other.values)
            values = np.where(neither, np.nan, known / 3).astype(np.float32)
            stderr = (np.hypot(2 * one.stderr, other.stderr) / 3).astype(np.float32)
        planes = Planes(
            values=values,
            stderr=stderr,
            mean_score=one.mean_score,
            coverage=one.coverage + other.coverage,
        )
        return replace(covered, planes=planes, answers=covered.answers + kept.answers)


def is_whole(box: Box, canvas: Canvas) -> bool:
    return pixels(box, canvas) == (0, 0, *canvas.send)
