"""The same by group: where the service is worse, and whether that is more than luck."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from probe.evaluate.bootstrap import Draws, share_ends
from probe.evaluate.delong import Error, area_interval, gap_on_odds, influence
from probe.evaluate.interval import LEVEL, Estimate, Floats, dicts, estimates, wilson
from probe.evaluate.metrics import Truth, area, average_precision, curve_of

Rows = NDArray[np.intp]


@dataclass(frozen=True)
class At:
    """What one threshold of the whole does in a group; None above all scores."""

    threshold: float | None
    recall: Estimate
    fpr: Estimate

    def as_dict(self) -> dict[str, Any]:
        about: dict[str, Any] = {"threshold": self.threshold}
        return about | {"recall": self.recall.as_dict(), "fpr": self.fpr.as_dict()}


@dataclass(frozen=True)
class Group:
    """A part of the pictures.

    auc, average_precision  not known where all are of one kind. The latter hangs on the share of
                positives, so it does not compare groups.
    difference  the group's auc minus that of all pictures, the group among them. Its interval is
                wider than that of one group by itself: it holds for all groups at once
                (Bonferroni).
    at          thresholds of the whole, the given one and then those of the stated rates.
    """

    name: str
    pictures: int
    positives: int
    auc: Estimate
    difference: Estimate
    average_precision: Estimate
    at: Sequence[At]

    @property
    def stands_out(self) -> bool:
        """Whether its auc differs from the whole's by more than luck explains."""
        low, high = self.difference.low, self.difference.high
        return low is not None and high is not None and (low > 0 or high < 0)

    def as_dict(self) -> dict[str, Any]:
        return {
            "group": self.name,
            "pictures": self.pictures,
            "positives": self.positives,
            "auc": self.auc.as_dict(),
            "difference": self.difference.as_dict(),
            "average_precision": self.average_precision.as_dict(),
            "at": dicts(self.at),
        }


@dataclass(frozen=True, eq=False)
class Whole:
    """All pictures, and what is known of them: scores (n,), influence of the area (n,)."""

    truth: Truth
    scores: Floats
    auc: float
    influence: Floats
    thresholds: Sequence[float | None]


def by_group(
    whole: Whole, names: Sequence[str], parts: Sequence[Rows], draws: Draws
) -> list[Group]:
    """parts: the places of each group's pictures; draws: made with these."""
    both = [0 < whole.truth[rows].sum() < len(rows) for rows in parts]
    return [
        _group(whole, name, rows, sum(both), n, draws)
        for n, (name, rows) in enumerate(zip(names, parts, strict=True))
    ]


def _group(whole: Whole, name: str, rows: Rows, groups: int, n: int, draws: Draws) -> Group:
    truth, scores = whole.truth[rows], whole.scores[rows]
    positives = int(truth.sum())
    auc = apart = precision = Estimate(None)
    if 0 < positives < len(rows):
        own = influence(truth, scores)
        value = area(curve_of(truth, scores))
        fewer = min(positives, len(rows) - positives)
        auc = area_interval(value, Error.of(own, truth), fewer)
        apart = _difference(value, own, rows, whole, groups)
        value = average_precision(truth, scores)
        ends = share_ends(value, draws.whole[n], draws.parts[:, n], positives)
        precision = estimates([value], ends)[0]
    return Group(
        name=name,
        pictures=len(rows),
        positives=positives,
        auc=auc,
        difference=apart,
        average_precision=precision,
        at=[_at(truth, scores, threshold) for threshold in whole.thresholds],
    )


def _difference(value: float, own: Floats, rows: Rows, whole: Whole, groups: int) -> Estimate:
    moved = np.zeros(len(whole.truth))
    moved[rows] = own
    level = 1 - (1 - LEVEL) / groups
    return gap_on_odds(value, moved, whole.auc, whole.influence, whole.truth, level)


def _at(truth: Truth, scores: Floats, threshold: float | None) -> At:
    found = scores >= (np.inf if threshold is None else threshold)
    positives = int(truth.sum())
    return At(
        threshold,
        wilson(int((found & truth).sum()), positives),
        wilson(int((found & ~truth).sum()), len(truth) - positives),
    )
