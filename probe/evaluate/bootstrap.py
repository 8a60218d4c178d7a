"""Intervals by resampling pictures, without sorting them anew.

Each picture is drawn a Poisson(1) number of times (Hanley and MacGibbon, "Creating non-parametric
bootstrap samples using Poisson frequencies", 2006), independent of the others, both kinds alike.
Scores are sorted once, into cells: one for each distinct score, or, where there are more than
EXACT, so that a cell is a quarter of a standard error of the rank wide or less, among positives and
among negatives; that widens an interval by half a percent. A replicate is sums over cells. All
services get the same draws, so differences are paired.

Intervals of shares (average precision, recall, precision) come from the replicates' standard
deviation on the log-odds; those of thresholds are quantiles.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, factorial

import numpy as np
from numpy.typing import NDArray

from probe.evaluate.interval import Floats, logistic, wilson_ends
from probe.evaluate.metrics import Counts, Truth, allowed

EXACT = 4096
STEP = 0.25
FEW = 5
DRAWS = 2**16


def grid_of(positives: int, negatives: int) -> tuple[Floats, Floats]:
    """False-positive rates and recalls at which the curves get a band: (F,) and (R,), ascending."""
    least = 1 / max(10, min(negatives, 10_000))
    rates = np.unique(np.append(np.geomspace(least, 1, 40), np.linspace(0.02, 1, 50)))
    return rates, np.linspace(0.01, 1, 100)


@dataclass(frozen=True, eq=False)
class Measures:
    """What one set of weights says of one service.

    precision, recall, threshold: at each stated false-positive rate; NaN, 0 and infinity where no
    threshold keeps it. roc: recall at each rate of the grid. pr: precision at each recall of it.
    """

    average_precision: float
    recall: Floats
    precision: Floats
    threshold: Floats
    roc: Floats
    pr: Floats


@dataclass(frozen=True, eq=False)
class Replicates:
    """Measures of one service: `whole`, all pictures once, and arrays with a row a replicate."""

    whole: Measures
    average_precision: Floats
    recall: Floats
    precision: Floats
    threshold: Floats
    roc: Floats
    pr: Floats


class Cells:
    """Pictures sorted into cells of falling scores; sums of weights over them."""

    def __init__(self, truth: Truth, scores: Floats, rows: NDArray[np.intp] | None = None) -> None:
        """rows: only these pictures, places in `truth` and `scores`."""
        rows = np.arange(len(truth)) if rows is None else rows
        cells, self.thresholds = _cells(truth[rows], scores[rows])
        keys = 2 * cells + truth[rows]
        order = np.argsort(keys, kind="stable")
        self.order, ordered = rows[order], keys[order]
        self._starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
        self._there = ordered[self._starts]

    def sums(self, weights: NDArray[np.uint8]) -> tuple[Counts, Counts]:
        """Positives and negatives in each cell, from weights in `order`."""
        total = np.zeros(2 * len(self.thresholds), np.int64)
        total[self._there] = np.add.reduceat(weights, self._starts, dtype=np.uint32)
        return total[1::2], total[::2]


def _cells(truth: Truth, scores: Floats) -> tuple[NDArray[np.int64], Floats]:
    """The cell of each picture, 0 that of the highest scores, and each cell's lowest score."""
    falling, place = np.unique(-scores, return_inverse=True)
    if len(falling) <= EXACT:
        return place.astype(np.int64), -falling
    new = np.zeros(len(falling), bool)
    for kind in (truth, ~truth):
        if not kind.any():
            continue
        here = np.bincount(place[kind], minlength=len(falling))
        before = np.cumsum(here) - here
        steps = np.arcsin(np.sqrt(before / here.sum())) * 2 * np.sqrt(here.sum()) / STEP
        new[1:] |= np.diff(np.floor(steps)) > 0
    cell = np.cumsum(new)
    last = np.append(np.flatnonzero(new) - 1, len(falling) - 1)
    return cell[place], -falling[last]


@dataclass(frozen=True, eq=False)
class Draws:
    """services: what they say of each other's pictures, replicate by replicate.

    parts: average precision of the first service in each part, (replicates, parts), and `whole`,
    (parts,), of all its pictures once; NaN where a part has pictures of one kind only.
    """

    services: Sequence[Replicates]
    parts: Floats
    whole: Floats


def resample(
    truth: Truth,
    scores: Floats,
    rates: Sequence[float],
    replicates: int,
    seed: int,
    parts: Sequence[NDArray[np.intp]] = (),
) -> Draws:
    """truth: bool (n,), scores: (services, n), rates: stated false-positive rates, parts: places of
    pictures. A draw without positives or negatives is drawn again."""
    grid = grid_of(int(truth.sum()), int((~truth).sum()))
    first = Cells(truth, scores[0]).order
    places = np.argsort(first)
    truth, scores = truth[first], scores[:, first]
    cells = [Cells(truth, one) for one in scores]
    pieces = [Cells(truth, scores[0], np.sort(places[rows])) for rows in parts]

    def measured(drawn: NDArray[np.uint8]) -> tuple[list[Measures], list[float]] | None:
        sums = [one.sums(drawn[one.order] if n else drawn) for n, one in enumerate(cells)]
        if not all(kind.any() for kind in sums[0]):
            return None
        found = [
            measure(*sum_, one.thresholds, rates, grid)
            for one, sum_ in zip(cells, sums, strict=True)
        ]
        return found, [average(*one.sums(drawn[one.order])) for one in pieces]

    table, random = _poisson_table(), np.random.default_rng(seed)
    rows: list[tuple[list[Measures], list[float]]] = []
    while len(rows) < replicates:
        drawn = table.take(random.integers(0, DRAWS, len(truth), dtype=np.uint16))
        if (row := measured(drawn)) is not None:
            rows.append(row)
    whole = measured(np.ones(len(truth), np.uint8))
    assert whole is not None
    services = [_stacked(whole[0][n], [found[n] for found, _ in rows]) for n in range(len(cells))]
    return Draws(services, np.array([of for _, of in rows]), np.array(whole[1]))


def average(positive: Counts, negative: Counts) -> float:
    """Average precision from weights of cells, falling scores; NaN with one kind only."""
    tp, found = np.cumsum(positive), np.cumsum(positive + negative)
    if not 0 < tp[-1] < found[-1]:
        return np.nan
    return float(positive @ (tp / np.maximum(found, 1))) / float(tp[-1])


def _poisson_table() -> NDArray[np.uint8]:
    """Quantiles of Poisson(1): to be looked up by a number of 16 bits."""
    below = np.cumsum([exp(-1) / factorial(number) for number in range(16)])
    return np.searchsorted(below, (np.arange(DRAWS) + 0.5) / DRAWS).astype(np.uint8)


def measure(
    positive: Counts,
    negative: Counts,
    thresholds: Floats,
    rates: Sequence[float],
    grid: tuple[Floats, Floats],
) -> Measures:
    """positive, negative: (cells,), weights of each, falling scores."""
    tp, fp = np.cumsum(positive), np.cumsum(negative)
    found = tp + fp
    precision = tp / np.maximum(found, 1)
    recall = tp / tp[-1]
    most = [allowed(rate, int(fp[-1])) for rate in rates]
    places = np.searchsorted(fp, most, side="right") - 1
    nothing = (places < 0) | (found[places] == 0)
    lines = np.searchsorted(fp, np.floor(grid[0] * fp[-1] + 1e-9), side="right") - 1
    wanted = np.searchsorted(tp, np.ceil(grid[1] * tp[-1] - 1e-9))
    return Measures(
        average_precision=float(positive @ precision) / float(tp[-1]),
        recall=np.where(nothing, 0.0, recall[places]),
        precision=np.where(nothing, np.nan, precision[places]),
        threshold=np.where(nothing, np.inf, thresholds[places]),
        roc=np.where(lines < 0, 0.0, recall[lines]),
        pr=precision[wanted],
    )


def _stacked(whole: Measures, rows: Sequence[Measures]) -> Replicates:
    names = ("average_precision", "recall", "precision", "threshold", "roc", "pr")
    return Replicates(whole, **{n: np.array([getattr(row, n) for row in rows]) for n in names})


def share_ends(
    values: Floats | float, whole: Floats | float, drawn: Floats, of: Floats | int
) -> tuple[Floats, Floats]:
    """Ends of the intervals of shares: values (m,), drawn (replicates, m).

    values: as they are in truth; whole: as the cells have them, which the draws are around.
    of: of how many pictures each is a share; 0 or 1 counts as half a picture away from it. Where
    fewer than FEW pictures are missing to 0 or to 1, draws see too little of what might be, and the
    interval is no narrower than Wilson's.
    """
    of = np.broadcast_to(np.maximum(of, 1), np.shape(np.atleast_1d(values)))
    edge = 0.5 / of
    values = np.atleast_1d(np.asarray(values, np.float64))
    drawn = drawn.reshape(len(drawn), -1) + (values - np.atleast_1d(whole))
    drawn = np.clip(drawn, edge, 1 - edge)
    odds = np.log(drawn) - np.log1p(-drawn)
    known = np.isfinite(odds)
    number = np.maximum(known.sum(0), 1)
    mean = np.where(known, odds, 0).sum(0) / number
    spread = np.where(known, (odds - mean) ** 2, 0).sum(0)
    errors = np.sqrt(spread / np.maximum(number - 1, 1))
    low, high = logistic(np.clip(values, edge, 1 - edge), errors)
    least, most = wilson_ends(values, of)
    rare = np.minimum(values, 1 - values) * of < FEW
    return np.where(rare, np.minimum(low, least), low), np.where(rare, np.maximum(high, most), high)


def threshold_ends(drawn: Floats) -> tuple[Floats, Floats]:
    """Quantiles of thresholds, (replicates, m); infinite where there was none."""
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0, method="inverted_cdf")
    return low, high
