"""What scores are measured by at every threshold, and at one; by scikit-learn where it has it."""

from __future__ import annotations

from dataclasses import dataclass
from math import floor, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from probe.errors import MissingExtra
from probe.evaluate.interval import Estimate, Floats, normal, wilson

Truth = NDArray[np.bool_]
Counts = NDArray[np.int64]


def library() -> Any:
    """sklearn.metrics; raises MissingExtra without it."""
    try:
        from sklearn import metrics
    except ImportError:
        raise MissingExtra("scikit-learn (to evaluate scores)", "evaluate") from None
    return metrics


@dataclass(frozen=True, eq=False)
class Curve:
    """What is found when all scores at or above a threshold count as found.

    thresholds  (U,): the distinct scores, descending. tp, fp: (U,), pictures found rightly and
                wrongly.
    """

    thresholds: Floats
    tp: Counts
    fp: Counts

    @property
    def positives(self) -> int:
        return int(self.tp[-1])

    @property
    def negatives(self) -> int:
        return int(self.fp[-1])

    @property
    def tpr(self) -> Floats:
        """Share of the positives found, recall, (U,)."""
        return self.tp / self.positives

    @property
    def fpr(self) -> Floats:
        """Share of the negatives found, (U,)."""
        return self.fp / self.negatives

    @property
    def precision(self) -> Floats:
        """Share of the found that is right, (U,)."""
        return self.tp / (self.tp + self.fp)

    def place(self, threshold: float) -> int:
        """Of the last threshold at or above this one; -1 where none is."""
        return int(np.searchsorted(-self.thresholds, -threshold, side="right")) - 1

    def place_at(self, fpr: float) -> int:
        """Of the lowest threshold with a false-positive rate of at most `fpr`; -1 where even the
        highest score has a larger one."""
        return int(np.searchsorted(self.fp, allowed(fpr, self.negatives), side="right")) - 1


def allowed(fpr: float, negatives: int) -> int:
    """How many false positives are no more than a rate of `fpr`, of 0..1."""
    most = floor(fpr * negatives)
    return most + 1 if (most + 1) / negatives <= fpr else most


def curve_of(truth: Truth, scores: Floats) -> Curve:
    """truth: bool (n,) of both kinds. scores: (n,)."""
    fpr, tpr, thresholds = library().roc_curve(truth, scores, drop_intermediate=False)
    positives = int(truth.sum())
    tp = np.rint(tpr[1:] * positives).astype(np.int64)
    fp = np.rint(fpr[1:] * (len(truth) - positives)).astype(np.int64)
    return Curve(thresholds[1:].astype(np.float64), tp, fp)


def area(curve: Curve) -> float:
    """Area under the ROC curve."""
    return float(library().auc(np.append(0, curve.fpr), np.append(0, curve.tpr)))


def average_precision(truth: Truth, scores: Floats) -> float:
    """Precision at each threshold, weighted by how much more is found there."""
    return float(library().average_precision_score(truth, scores))


def brier(truth: Truth, scores: Floats) -> Estimate:
    """Mean squared distance of the score to 1 for positives, 0 for negatives: 0 is best."""
    value = float(library().brier_score_loss(truth, scores))
    squares = (scores - truth) ** 2
    error = float(squares.std(ddof=1)) / sqrt(len(squares)) if len(squares) > 1 else np.nan
    return normal(value, error)


@dataclass(frozen=True)
class Operating:
    """What one threshold does: scores at or above it count as found.

    threshold  its value is None where even the highest score has too many false positives.
    stated     the false-positive rate that it was chosen for, None where it was given.
    tp, fp, fn, tn  pictures. recall, also called true-positive rate; precision, not known where
               nothing is found; fpr; f1: their intervals are Wilson's for a threshold that was
               given (of F1: by its odds tp / (tp + fp + fn)). For a chosen one, those of
               threshold, recall and precision also cover that it was chosen from these pictures.
    """

    threshold: Estimate
    tp: int
    fp: int
    fn: int
    tn: int
    recall: Estimate
    precision: Estimate
    fpr: Estimate
    f1: Estimate
    stated: float | None = None

    def as_dict(self) -> dict[str, Any]:
        names = ("threshold", "recall", "precision", "fpr", "f1")
        counts = {name: getattr(self, name) for name in ("stated", "tp", "fp", "fn", "tn")}
        return counts | {name: getattr(self, name).as_dict() for name in names}


def operating(curve: Curve, place: int, threshold: Estimate) -> Operating:
    """What the threshold at a place of the curve does, -1 being above all scores."""
    tp, fp = (int(curve.tp[place]), int(curve.fp[place])) if place >= 0 else (0, 0)
    fn, tn = curve.positives - tp, curve.negatives - fp
    return Operating(
        threshold=threshold,
        tp=tp,
        fp=fp,
        fn=fn,
        tn=tn,
        recall=wilson(tp, tp + fn),
        precision=wilson(tp, tp + fp),
        fpr=wilson(fp, fp + tn),
        f1=_f1(tp, fp + fn),
    )


def _f1(tp: int, wrong: int) -> Estimate:
    """F1 is 2 x / (1 + x) of the share x of tp in all that was found or should have been, so
    Wilson's interval of x carries over (Lam et al., "Confidence Intervals for the F1 Score: A
    Comparison of Four Methods", 2023)."""
    share = wilson(tp, tp + wrong)
    return Estimate(*(None if x is None else 2 * x / (1 + x) for x in _parts(share)))


def _parts(estimate: Estimate) -> tuple[float | None, float | None, float | None]:
    return estimate.value, estimate.low, estimate.high
