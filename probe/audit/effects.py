"""How much the score hangs on a feature: covered, against boxes of equal size elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from probe.audit.records import Effect, Trial
from probe.estimate import CoveringMean
from probe.evaluate.interval import Estimate
from probe.methods import Method
from probe.perturb import FixedDesign
from probe.result import Result
from probe.types import Box, Region, Scores, region_of

FEWEST = 5
"""Trials without which nothing is said."""
WORTH = 0.02
"""A smaller drop is no reason to speak of a feature, however sure it is."""
ALPHA = 0.025
"""For all features together, one-sided: the same as a 95 % interval that leaves zero out."""
TRIES = 200
LONGER = 1.2
"""Logarithm of how much longer than it is a control may be, where it has to fit in elsewhere."""
SMALLEST, LARGEST = 0.08, 0.5
"""Sides of a cover, in shares of the picture's."""


def placed(box: Region, seen: Region) -> Region:
    """The box, neither tiny nor huge, moved into what the model sees."""
    edges = []
    for start, end, low, high in zip(box[:2], box[2:], seen[:2], seen[2:], strict=True):
        side = min(max(end - start, SMALLEST), LARGEST, high - low)
        first = min(max((start + end - side) / 2, low), high - side)
        edges.append((first, first + side))
    (x0, x1), (y0, y1) = edges
    return x0, y0, x1, y1


def control(box: Region, seen: Region, rng: np.random.Generator) -> Region | None:
    """A box of the same size at random, beside it; where that has no room, of the same area in
    another shape; None where none of them has."""
    width, height = box[2] - box[0], box[3] - box[1]
    left, top, right, bottom = seen
    for attempt in range(2 * TRIES):
        stretch = 1.0 if attempt < TRIES else float(np.exp(rng.uniform(-LONGER, LONGER)))
        across, down = width * stretch, height / stretch
        if stretch != 1.0 and (across > right - left or down > bottom - top):
            continue
        last_x, last_y = max(left, right - across), max(top, bottom - down)
        x, y = float(rng.uniform(left, last_x)), float(rng.uniform(top, last_y))
        if stretch > 1.0:  # at an edge, where there is the most room
            y = float(rng.choice([top, last_y]))
        elif stretch < 1.0:
            x = float(rng.choice([left, last_x]))
        if x >= box[2] or x + across <= box[0] or y >= box[3] or y + down <= box[1]:
            return x, y, x + across, y + down
    return None


def covers(*boxes: Region) -> Method:
    """The method that asks about these covers, in this order."""
    return Method(
        "covers",
        "given boxes",
        lambda scene, budget, seed: FixedDesign([Box(*box) for box in boxes]),
        partial(CoveringMean, kind="evidence"),
    )


def trial(index: int, name: str, result: Result, box: Region, other: Region) -> Trial | None:
    """What a run of `covers(box, other)` says; None where an answer is missing."""
    found = {}
    for answer in result.answers:
        outcome = result.outcome(answer)
        if isinstance(outcome, Scores) and isinstance(answer.perturbation, Box):
            found[region_of(answer.perturbation)] = outcome[result.label]
    if box not in found or other not in found:
        return None
    score = result.reference[result.label]
    return Trial(index, name, score, box, other, found[box], found[other])


def effects(trials: Sequence[Sequence[Trial]], seed: int) -> list[Effect | None]:
    """One of each feature's trials, the p-values adjusted for all of them by Holm's method
    ("A simple sequentially rejective multiple test procedure", 1979)."""
    drops = [np.array([one.drop for one in feature]) for feature in trials]
    tested = [n for n, one in enumerate(drops) if len(one) >= FEWEST]
    ps = {n: _p(drops[n], np.random.default_rng((seed, n))) for n in tested}
    adjusted, worst = {}, 0.0
    for rank, n in enumerate(sorted(tested, key=lambda n: ps[n])):
        worst = max(worst, min(1.0, (len(tested) - rank) * ps[n]))
        adjusted[n] = worst
    return [
        Effect(_mean(drops[n]), ps[n], adjusted[n], trials[n]) if n in ps else None
        for n in range(len(trials))
    ]


def is_claimed(effect: Effect | None) -> bool:
    return (
        effect is not None
        and effect.adjusted < ALPHA
        and (effect.drop.value or 0.0) >= WORTH
        and (effect.drop.low or 0.0) > 0
    )


def _p(drops: np.ndarray[tuple[int], np.dtype[np.float64]], rng: np.random.Generator) -> float:
    """One-sided: where the feature does not matter, either of the two boxes is as likely to be
    the one that costs more. Exact, or of 9,999 random sign flips."""
    from scipy.stats import permutation_test

    found = permutation_test(
        (drops, np.zeros_like(drops)),
        lambda one, other, axis: np.mean(one - other, axis=axis),
        permutation_type="samples",
        vectorized=True,
        alternative="greater",
        n_resamples=9999,
        rng=rng,
    )
    return float(found.pvalue)


def _mean(drops: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Estimate:
    from scipy.stats import t

    mean = float(drops.mean())
    half = float(t.ppf(0.975, len(drops) - 1) * drops.std(ddof=1) / np.sqrt(len(drops)))
    return Estimate(mean, mean - half, mean + half)
