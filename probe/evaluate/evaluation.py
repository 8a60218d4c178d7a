"""How good scores are over a set of pictures, with an interval for every number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from probe.errors import UsageError
from probe.evaluate.bootstrap import Replicates, grid_of, resample, share_ends, threshold_ends
from probe.evaluate.calibration import Calibration, calibrate
from probe.evaluate.delong import Error, area_interval, influence
from probe.evaluate.groups import Group, Whole, by_group
from probe.evaluate.interval import LEVEL, Estimate, Floats, around, dicts, estimates, wilson
from probe.evaluate.metrics import (
    Curve,
    Operating,
    Truth,
    area,
    average_precision,
    brier,
    curve_of,
    operating,
)
from probe.evaluate.pairs import Comparison, compare
from probe.evaluate.words import finding, remarks


@dataclass(frozen=True, eq=False)
class Bands:
    """95 % of each point by itself: rows of (fpr, recall's low, high) and (recall, precision's
    low, high), ascending."""

    roc: Floats
    precision: Floats


@dataclass(frozen=True, eq=False, repr=False)
class Service:
    """One column of scores.

    auc, average_precision, brier  0..1; of the Brier score 0 is best.
    at      what the given threshold does; at_fpr: those chosen for the stated rates.
    curve   counts at every threshold. bands: how sure its two curves are.
    """

    name: str
    auc: Estimate
    average_precision: Estimate
    brier: Estimate
    calibration: Calibration
    at: Operating
    at_fpr: Sequence[Operating]
    curve: Curve
    bands: Bands

    def as_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "auc": self.auc.as_dict(),
            "average_precision": self.average_precision.as_dict(),
            "brier": self.brier.as_dict(),
            "ece": self.calibration.ece,
            "ece_by_chance": self.calibration.ece_by_chance,
            "bins": dicts(self.calibration.bins),
            "at_threshold": self.at.as_dict(),
            "at_fpr": dicts(self.at_fpr),
            "bands": {
                "fpr_recall": self.bands.roc.tolist(),
                "recall_precision": self.bands.precision.tolist(),
            },
        }


@dataclass(frozen=True, eq=False, repr=False)
class Evaluation:
    """What was found.

    services    one, or two on the same pictures; comparison: the first against the second.
    groups      of the first service, in their order; empty without groups.
    prevalence  share of the pictures that are positive.
    settings    threshold, fpr, bootstrap, seed and level of the intervals.
    notes       sentences for people.
    """

    label: str
    pictures: int
    positives: int
    prevalence: Estimate
    services: Sequence[Service]
    comparison: Comparison | None
    groups: Sequence[Group]
    settings: dict[str, Any]

    @property
    def negatives(self) -> int:
        return self.pictures - self.positives

    @property
    def finding(self) -> str:
        """What was found, in one or two sentences."""
        return finding(self)

    @property
    def notes(self) -> list[str]:
        return remarks(self)

    def __repr__(self) -> str:
        return f"<Evaluation of {self.pictures:,} pictures: {self.finding}>"

    def as_dict(self) -> dict[str, Any]:
        """For JSON: all but the curves; an interval is `{"value", "low", "high"}`, None for what
        is not known."""
        return {
            "label": self.label,
            "finding": self.finding,
            "pictures": self.pictures,
            "positives": self.positives,
            "negatives": self.negatives,
            "prevalence": self.prevalence.as_dict(),
            "services": dicts(self.services),
            "comparison": None if self.comparison is None else self.comparison.as_dict(),
            "groups": dicts(self.groups),
            "notes": self.notes,
            "settings": self.settings,
        }


def evaluate(
    truth: ArrayLike,
    scores: ArrayLike,
    *,
    label: str = "label",
    names: Sequence[str] = (),
    groups: NDArray[np.integer[Any]] | None = None,
    group_names: Sequence[str] = (),
    fpr: Sequence[float] = (0.01, 0.1),
    threshold: float = 0.5,
    bootstrap: int = 500,
    seed: int = 0,
) -> Evaluation:
    """Measure scores against the truth.

    truth      (n,), whether each picture is positive; both kinds are needed.
    scores     (n,), 0..1, or (2, n) for two services on the same pictures; names: of them.
    groups     (n,), the place of each picture's group in `group_names`.
    fpr        false-positive rates, in 0..1, for each of which a threshold is chosen.
    threshold  scores at or above it count as found; it is judged too.
    bootstrap  replicates, 100 at least.

    The area under the ROC curve has DeLong's interval on the log-odds, shares Wilson's, all else
    that of the bootstrap (see `probe.evaluate.bootstrap`), each of 95 %. Raises UsageError for
    what cannot be measured, MissingExtra without scikit-learn.
    """
    known, table = _checked(truth, scores, fpr, threshold, bootstrap)
    names = tuple(names) or (("first", "second") if len(table) > 1 else (label,))
    rates = sorted(set(map(float, fpr)))
    parts = [np.flatnonzero(groups == n) for n in range(len(group_names))]
    draws = resample(known, table, rates, bootstrap, seed, parts)
    influences = np.array([influence(known, one) for one in table])
    services = [
        _service(name, known, one, moved, drawn, rates, threshold)
        for name, one, moved, drawn in zip(names, table, influences, draws.services, strict=True)
    ]
    comparison = None
    if len(services) > 1:
        aucs, precisions = (
            [getattr(one, name).value for one in services] for name in ("auc", "average_precision")
        )
        comparison = compare(known, table, aucs, influences, precisions, draws.services, threshold)
    chosen = [threshold, *(one.threshold.value for one in services[0].at_fpr)]
    whole = Whole(known, table[0], services[0].auc.value or 0.0, influences[0], chosen)
    return Evaluation(
        label=label,
        pictures=len(known),
        positives=int(known.sum()),
        prevalence=wilson(int(known.sum()), len(known)),
        services=services,
        comparison=comparison,
        groups=by_group(whole, group_names, parts, draws),
        settings={
            "threshold": threshold,
            "fpr": rates,
            "bootstrap": bootstrap,
            "seed": seed,
            "level": LEVEL,
        },
    )


def _checked(
    truth: ArrayLike, scores: ArrayLike, fpr: Sequence[float], threshold: float, bootstrap: int
) -> tuple[Truth, Floats]:
    known, table = np.asarray(truth), np.atleast_2d(np.asarray(scores, np.float64))
    if known.dtype != bool:
        if not np.isin(known, (0, 1)).all():
            raise UsageError("the truth must be true or false of each picture")
        known = known.astype(bool)
    if known.ndim != 1 or table.ndim != 2 or table.shape[1] != len(known) or len(table) > 2:
        raise UsageError(
            f"a truth of shape {known.shape} and scores of {table.shape} do not fit: give (n,), "
            "and (n,) or (2, n)"
        )
    if not 0 < known.sum() < len(known):
        raise UsageError("both kinds are needed: pictures that are positive, and that are not")
    if not ((table >= 0) & (table <= 1)).all():
        raise UsageError("scores must be numbers of 0..1")
    if not all(0 < rate < 1 for rate in fpr) or not 0 <= threshold <= 1:
        raise UsageError("false-positive rates lie between 0 and 1, a threshold in 0..1")
    if bootstrap < 100:
        raise UsageError(f"{bootstrap} replicates are too few for an interval: give 100 or more")
    return known, table


def _service(
    name: str,
    truth: Truth,
    scores: Floats,
    moved: Floats,
    drawn: Replicates,
    rates: Sequence[float],
    threshold: float,
) -> Service:
    curve = curve_of(truth, scores)
    precision, fewer = average_precision(truth, scores), min(curve.positives, curve.negatives)
    ends = share_ends(
        precision, drawn.whole.average_precision, drawn.average_precision, curve.positives
    )
    return Service(
        name=name,
        auc=area_interval(area(curve), Error.of(moved, truth), fewer),
        average_precision=estimates([precision], ends)[0],
        brier=brier(truth, scores),
        calibration=calibrate(truth, scores),
        at=operating(curve, curve.place(threshold), Estimate(threshold)),
        at_fpr=_chosen(curve, drawn, rates),
        curve=curve,
        bands=_bands(curve, drawn),
    )


def _chosen(curve: Curve, drawn: Replicates, rates: Sequence[float]) -> list[Operating]:
    """The lowest threshold that keeps each rate, and how sure it and what it does are."""
    plain = []
    for rate in rates:
        place = curve.place_at(rate)
        value = float(curve.thresholds[place]) if place >= 0 else None
        plain.append(replace(operating(curve, place, Estimate(value)), stated=rate))
    found = np.array([one.tp + one.fp for one in plain], np.float64)
    shares = []
    for name, of in (("recall", curve.positives), ("precision", found)):
        values = [getattr(one, name).value for one in plain]
        values = [np.nan if value is None else value for value in values]
        whole, rows = getattr(drawn.whole, name), getattr(drawn, name)
        shares.append(estimates(values, share_ends(np.array(values), whole, rows, of)))
    lows, highs = threshold_ends(drawn.threshold)
    return [
        replace(one, threshold=_threshold(one, low, high), recall=recall, precision=precision)
        for one, low, high, recall, precision in zip(plain, lows, highs, *shares, strict=True)
    ]


def _threshold(one: Operating, low: float, high: float) -> Estimate:
    value = one.threshold.value
    if value is None or not np.isfinite(high):
        return Estimate(value)
    return around(value, low, high)


def _bands(curve: Curve, drawn: Replicates) -> Bands:
    rates, recalls = grid_of(curve.positives, curve.negatives)
    whole, found = drawn.whole, recalls * curve.positives
    roc = share_ends(whole.roc, whole.roc, drawn.roc, curve.positives)
    for end in roc:
        end[-1] = 1.0  # at a rate of 1 all is found
    precision = share_ends(whole.pr, whole.pr, drawn.pr, found)
    return Bands(np.column_stack([rates, *roc]), np.column_stack([recalls, *precision]))
