"""What two services said of the same variants, and where they differ."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from probe.errors import UsageError
from probe.estimate.permutation import p_value
from probe.heatmap import Heatmap, Planes
from probe.notes import CHANCE
from probe.result import Answer, Result
from probe.text import printable
from probe.types import Identity, Scores

if TYPE_CHECKING:
    from PIL import Image

Unit = Literal["score", "share"]
ERRORS = 2
"""So many standard errors of both apart, two values are said to differ."""


@dataclass(frozen=True, eq=False, repr=False)
class Comparison:
    """Two maps of one picture from the same variants, and their difference.

    names      what the two are called. results: all that each answered, with calls and cost.
    unit       `score`: the maps as they are. `share`: each divided by the score that its service
               gives the whole picture, for scores of different services are not on one scale.
    pairs      the variants that both scored; the maps rest on these alone.
    maps       the two maps, in `unit`.
    difference the first map minus the second, with the standard error hypot(first, second); NaN
               where either is. Beyond two of these the services are said to differ.
    plan       a digest, the same for the same comparison.

    Raises UsageError where there are no shares: a picture that scores 0 has none.
    """

    names: tuple[str, str]
    results: tuple[Result, Result]
    unit: Unit = "score"
    plan: str = ""

    def __post_init__(self) -> None:
        for name, label, whole in zip(self.names, self.labels, self.references, strict=True):
            if self.unit == "share" and whole <= 0:
                raise UsageError(
                    f"{name}: {printable(label, 60)!r} scores {whole:.3g} for the whole picture, "
                    "and there are no shares of that: compare in scores"
                )

    def __repr__(self) -> str:
        return f"<Comparison of {self.names[0]} and {self.names[1]}, {len(self.pairs)} variants>"

    @property
    def labels(self) -> tuple[str, str]:
        return self.results[0].label, self.results[1].label

    @property
    def references(self) -> tuple[float, float]:
        """The score of the unchanged picture at each."""
        first, second = (result.reference[result.label] for result in self.results)
        return first, second

    @cached_property
    def pairs(self) -> list[tuple[Answer, Answer]]:
        first, second = (_variants(result) for result in self.results)
        return [(answer, second[key]) for key, answer in first.items() if key in second]

    @cached_property
    def maps(self) -> tuple[Heatmap, Heatmap]:
        shared = {pair[0].perturbation for pair in self.pairs}
        first, second = (self._map(result, shared) for result in self.results)
        return first, second

    def _map(self, result: Result, shared: set[Any]) -> Heatmap:
        kept = [
            answer
            for answer in result.answers
            if isinstance(answer.perturbation, Identity) or answer.perturbation in shared
        ]
        heatmap = replace(result, answers=kept).heatmap()
        return heatmap if self.unit == "score" else in_shares(heatmap)

    @cached_property
    def difference(self) -> Heatmap:
        one, other = self.maps
        seen = one.canvas.seen if one.canvas.seen == other.canvas.seen else (0.0, 0.0, 1.0, 1.0)
        return Heatmap(
            label=f"{self.names[0]} - {self.names[1]}",
            unit=one.unit,
            reference=one.reference - other.reference,
            canvas=replace(one.canvas, seen=seen),
            planes=Planes(
                values=one.planes.values - other.planes.values,
                stderr=np.hypot(one.planes.stderr, other.planes.stderr),
                mean_score=one.planes.mean_score - other.planes.mean_score,
                coverage=np.minimum(one.planes.coverage, other.planes.coverage),
            ),
            calls=one.calls + other.calls,
            answers=len(self.pairs),
            image=one.image,
            p_value=p_value(
                [pair[0].perturbation for pair in self.pairs], self._gaps(), one.canvas
            ),
        )

    @property
    def agreement(self) -> float | None:
        """The share of the pixels known to both that are not shown to differ: those within two
        standard errors, and all of them where shuffled differences give as strong a map (see
        `Heatmap.p_value`). None where no pixel is known to both."""
        planes = self.difference.planes
        known = np.isfinite(planes.values)
        if not known.any():
            return None
        if (self.difference.p_value or 0) > CHANCE:
            return 1.0
        differs = np.abs(planes.values[known]) > ERRORS * planes.stderr[known]
        return float(1 - differs.mean())

    @property
    def rank_correlation(self) -> float | None:
        """Spearman's, of the two maps over the pixels known to both: 1 where they rank them alike,
        -1 where in opposite order; None where one of them is flat."""
        one, other = (heatmap.planes.values for heatmap in self.maps)
        known = np.isfinite(one) & np.isfinite(other)
        return spearman(one[known], other[known])

    @property
    def rank_correlation_of_scores(self) -> float | None:
        """Spearman's, of the scores of the variants that both answered."""
        scores = np.array([self._scores(pair) for pair in self.pairs]).reshape(-1, 2)
        return spearman(scores[:, 0], scores[:, 1])

    @property
    def strongest(self) -> dict[str, Any] | None:
        """The variant on whose effect they differ most: its region, as of `Result.describe`, and
        `scores` of the two."""
        if not self.pairs:
            return None
        pair = self.pairs[int(np.argmax(np.abs(self._gaps())))]
        described = self.results[0].describe(pair[0])
        del described["score"]
        return described | {"scores": [*self._scores(pair)]}

    def _gaps(self) -> list[float]:
        """For each variant how much more it takes from the first than from the second."""
        whole = self.references
        scale = whole if self.unit == "share" else (1.0, 1.0)
        scores = [self._scores(pair) for pair in self.pairs]
        return [
            (whole[0] - one) / scale[0] - (whole[1] - other) / scale[1] for one, other in scores
        ]

    def _scores(self, pair: tuple[Answer, Answer]) -> tuple[float, float]:
        first, second = (
            outcome[result.label]
            for result, answer in zip(self.results, pair, strict=True)
            if isinstance(outcome := result.outcome(answer), Scores)
        )
        return first, second

    @property
    def notes(self) -> list[str]:
        """What people should know, each with the name of whom it is about."""
        return [
            f"{name}: {note}"
            for name, result in zip(self.names, self.results, strict=True)
            for note in result.notes
        ]

    def figure(self) -> Image.Image:
        """The picture, both maps on one scale, and where they differ beyond both errors."""
        from probe.show.comparison import comparison_figure

        return comparison_figure(self)

    def _repr_png_(self) -> bytes:
        buffer = BytesIO()
        self.figure().save(buffer, "png")
        return buffer.getvalue()

    def save(self, folder: str | Path) -> list[Path]:
        """Write compare.png, a.npz, b.npz, pairs.csv and compare.json into `folder`."""
        from probe.show.comparison import save_comparison

        return save_comparison(self, Path(folder))


def _variants(result: Result) -> dict[Any, Answer]:
    """Perturbation -> the answer that scores the label."""
    return {
        answer.perturbation: answer
        for answer in result.answers
        if not isinstance(answer.perturbation, Identity)
        and isinstance(result.outcome(answer), Scores)
    }


def in_shares(heatmap: Heatmap) -> Heatmap:
    """The map divided by the score of the whole picture: 1 is all of it.

    Raises UsageError for a map that is not in scores.
    """
    if heatmap.unit != "score":
        raise UsageError(f"a map in {heatmap.unit} has no shares: compare in scores")
    planes, whole = heatmap.planes, np.float32(heatmap.reference)
    scaled = replace(planes, values=planes.values / whole, stderr=planes.stderr / whole)
    return replace(heatmap, unit="share", planes=scaled)


def spearman(one: NDArray[Any], other: NDArray[Any]) -> float | None:
    """The correlation of ranks, ties averaged; None where one side is constant or too short."""
    from scipy.stats import rankdata

    if one.size < 2 or np.ptp(one) == 0 or np.ptp(other) == 0:
        return None
    return float(np.corrcoef(rankdata(one), rankdata(other))[0, 1])
