"""How often the intervals of `probe evaluate` hold the true value, and how often its tests call
what is the same different.

    python -m tests.benchmarks.intervals [--sets 500]

Scores are those of tests/evaluate/samples.py: normal log-odds, rounded to three digits; true values
are those of a million pictures. The AUC, which takes no draws, gets eight times as many sets.
"""

from __future__ import annotations

import argparse
from collections import Counter

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from probe.evaluate import evaluate
from probe.evaluate.delong import Error, area_interval, influence
from probe.evaluate.interval import Estimate, normal
from probe.evaluate.metrics import area, average_precision, curve_of
from tests.evaluate.samples import drawn

DESIGNS = ((60, 0.3, 1.5), (100, 0.5, 1.0), (200, 0.2, 3.5), (400, 0.05, 2.0), (1000, 0.3, 2.5))
Truth = NDArray[np.bool_]
Floats = NDArray[np.float64]


def true_values(prevalence: float, apart: float) -> dict[str, float]:
    truth, scores = drawn(1_000_000, 10**6, prevalence, apart)
    curve = curve_of(truth, scores)
    place, half = curve.place_at(0.1), curve.place(0.5)
    return {
        "AUC": area(curve),
        "average precision": average_precision(truth, scores),
        "recall at 10%": float(curve.tpr[place]),
        "precision there": float(curve.precision[place]),
        "threshold": float(curve.thresholds[place]),
        "F1": float(2 * curve.tp[half] / (curve.tp[half] + curve.fp[half] + curve.positives)),
        "Brier": float(((scores - truth) ** 2).mean()),
    }


def intervals(truth: Truth, scores: Floats) -> dict[str, Estimate]:
    one = evaluate(truth, scores, fpr=(0.1,), bootstrap=200).services[0]
    (at,) = one.at_fpr
    return {
        "average precision": one.average_precision,
        "recall at 10%": at.recall,
        "precision there": at.precision,
        "threshold": at.threshold,
        "F1": one.at.f1,
        "Brier": one.brier,
    }


def of_area(truth: Truth, scores: Floats) -> dict[str, Estimate]:
    """The interval as it is, with the normal quantile instead of t, and on the plain scale."""
    error = Error.of(influence(truth, scores), truth)
    value, fewer = area(curve_of(truth, scores)), int(min(truth.sum(), (~truth).sum()))
    return {
        "AUC": area_interval(value, error, fewer),
        "AUC, normal": area_interval(value, Error(error.value, np.inf), fewer),
        "AUC, plain": normal(value, error.value),
    }


def held(design: tuple[int, float, float], sets: int) -> dict[str, float]:
    pictures, prevalence, apart = design
    true, hits, tries = true_values(prevalence, apart), Counter[str](), Counter[str]()
    for seed in range(8 * sets):
        truth, scores = drawn(pictures, seed, prevalence, apart)
        found = of_area(truth, scores) | (intervals(truth, scores) if seed < sets else {})
        for name, one in found.items():
            value = true[name.split(",")[0]]
            low, high = (
                edge if end is None else end
                for edge, end in ((-np.inf, one.low), (np.inf, one.high))
            )
            hits[name] += low <= value <= high
            tries[name] += 1
    return {"true AUC": true["AUC"]} | {name: hits[name] / tries[name] for name in tries}


def called_different(sets: int) -> dict[str, float]:
    """Two equally good services that see much the same, 150 pictures; p below 0.05."""
    found = Counter[str]()
    for seed in range(sets):
        random = np.random.default_rng(seed)
        truth = random.random(150) < 0.3
        odds = random.normal(size=150) + 2 * truth + 0.5 * random.normal(size=(2, 150))
        one = evaluate(truth, np.round(expit(odds - 1), 3), bootstrap=200).comparison
        assert one is not None
        chances = (one.p_auc, one.p_average_precision, one.p_right)
        for name, chance in zip(("AUC", "average precision", "McNemar"), chances, strict=True):
            found[name] += chance is not None and chance < 0.05
    return {name: number / sets for name, number in found.items()}


def stood_out(sets: int, pictures: int, groups: int) -> float:
    """How often any of equal groups did."""
    found = 0
    for seed in range(sets):
        truth, scores = drawn(pictures, seed)
        places, names = np.arange(pictures) % groups, [str(n) for n in range(groups)]
        one = evaluate(truth, scores, groups=places, group_names=names, bootstrap=100)
        found += any(group.stands_out for group in one.groups)
    return found / sets


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", type=int, default=500)
    sets = parser.parse_args().sets
    for design in DESIGNS:
        said = ", ".join(f"{name} {share:.3f}" for name, share in held(design, sets).items())
        print(f"{design[0]:,} pictures, {design[1]:.0%} positive: {said}", flush=True)
    print("equal services called different:", called_different(sets), flush=True)
    for pictures, groups in ((1000, 8), (1000, 2), (4000, 8)):
        print(f"{groups} equal groups of {pictures:,}: {stood_out(sets, pictures, groups):.3f}")


if __name__ == "__main__":
    main()
