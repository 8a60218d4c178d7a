"""Two services on the same pictures: is one better, or was it luck?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from probe.evaluate.bootstrap import Replicates
from probe.evaluate.delong import Error, gap
from probe.evaluate.interval import Estimate, Floats
from probe.evaluate.metrics import Truth


@dataclass(frozen=True)
class Comparison:
    """The first service minus the second; p is the chance of a difference as large, either way,
    between two that are the same. None for what is not known.

    auc                DeLong's test for the same pictures.
    average_precision  from draws of the same pictures for both; normal.
    only_first, only_second  pictures that one service alone has right at the threshold; p_right:
                       McNemar's test, exact.
    """

    auc: Estimate
    p_auc: float | None
    average_precision: Estimate
    p_average_precision: float | None
    only_first: int
    only_second: int
    p_right: float

    def as_dict(self) -> dict[str, Any]:
        return {
            "auc": {**self.auc.as_dict(), "p": self.p_auc},
            "average_precision": {
                **self.average_precision.as_dict(),
                "p": self.p_average_precision,
            },
            "mcnemar": {
                "only_first_right": self.only_first,
                "only_second_right": self.only_second,
                "p": self.p_right,
            },
        }


def compare(
    truth: Truth,
    scores: Floats,
    aucs: Sequence[float],
    influences: Floats,
    precisions: Sequence[float],
    draws: Sequence[Replicates],
    threshold: float,
) -> Comparison:
    """truth: bool (n,), scores and influences (of the areas): (2, n), the rest of two each."""
    error = Error.of(influences[0] - influences[1], truth)
    auc = gap(aucs[0], aucs[1], error)
    apart = draws[0].average_precision - draws[1].average_precision
    drawn = Error(float(apart.std(ddof=1)), np.inf)
    precision = gap(precisions[0], precisions[1], drawn)
    right = (scores >= threshold) == truth
    first, second = int((right[0] & ~right[1]).sum()), int((right[1] & ~right[0]).sum())
    return Comparison(
        auc=auc,
        p_auc=error.chance(aucs[0] - aucs[1]),
        average_precision=precision,
        p_average_precision=drawn.chance(precisions[0] - precisions[1]),
        only_first=first,
        only_second=second,
        p_right=mcnemar(first, second),
    )


def mcnemar(first: int, second: int) -> float:
    """Of pictures that one service alone has right, either is so with a chance of one half."""
    from scipy.stats import binomtest

    return float(binomtest(first, first + second).pvalue) if first + second else 1.0
