from __future__ import annotations

from math import comb

import numpy as np
import pytest

from probe.evaluate import evaluate
from probe.evaluate.pairs import mcnemar
from tests.evaluate.samples import drawn


def two(n, seed, extra=0.5, prevalence=0.3):
    """Two services that are equally good and see the same, each with noise of its own."""
    random = np.random.default_rng(seed)
    truth = random.random(n) < prevalence
    shared = random.normal(size=n) + 2 * truth
    scores = shared + extra * random.normal(size=(2, n))
    return truth, np.round(1 / (1 + np.exp(1 - scores)), 3)


def test_a_better_service_is_ahead():
    truth, scores = drawn(2_000, services=2)
    found = evaluate(truth, scores, bootstrap=200, names=("a", "b"))
    assert found.comparison.auc.low > 0
    assert found.comparison.average_precision.low > 0
    assert found.comparison.p_auc < 0.001
    assert found.finding.endswith("in AUC, p < 0.001.")
    assert "a is ahead by 0." in found.finding
    turned = evaluate(truth, scores[::-1], bootstrap=200, names=("a", "b"))
    assert turned.comparison.auc.value == pytest.approx(-found.comparison.auc.value)
    assert "b is ahead by 0." in turned.finding


def test_each_service_has_the_intervals_that_it_has_alone():
    truth, scores = drawn(500, services=2)
    scores[1] = np.where(np.arange(500) % 2, 0.5, scores[1])
    both = evaluate(truth, scores).services
    alone = [evaluate(truth, one).services[0] for one in scores]
    assert both[0].average_precision == alone[0].average_precision
    assert both[0].at_fpr == alone[0].at_fpr
    for one, other in zip(both, alone, strict=True):
        for name in ("low", "high"):
            ends = [getattr(service.average_precision, name) for service in (one, other)]
            assert ends[0] == pytest.approx(ends[1], abs=0.01)
    widths = [one.average_precision.high - one.average_precision.low for one in both]
    assert widths[1] > 1.3 * widths[0]


def test_the_same_pictures_make_the_difference_surer_than_two_intervals():
    truth, scores = two(2_000, 0)
    found = evaluate(truth, scores, bootstrap=200)
    alone = [one.auc.high - one.auc.low for one in found.services]
    paired = found.comparison.auc.high - found.comparison.auc.low
    assert paired < 0.7 * np.hypot(*alone)
    precise = [one.average_precision.high - one.average_precision.low for one in found.services]
    both = found.comparison.average_precision
    assert both.high - both.low < 0.8 * np.hypot(*precise)


@pytest.mark.parametrize(
    ("sets", "least", "most"),
    [(100, 0.01, 0.11), pytest.param(600, 0.03, 0.075, marks=pytest.mark.slow)],
)
def test_equal_services_are_told_apart_one_time_in_twenty(sets, least, most):
    found = np.zeros(4)
    for seed in range(sets):
        truth, scores = two(150, seed)
        one = evaluate(truth, scores, bootstrap=100).comparison
        found += [
            one.p_auc < 0.05,
            not one.auc.low <= 0 <= one.auc.high,
            one.p_average_precision < 0.05,
            one.p_right < 0.05,
        ]
    assert found[0] == found[1]
    assert (found[:3] / sets <= most).all()
    assert (found[:3] / sets >= least).all()
    assert found[3] / sets <= most  # exact tests are careful


@pytest.mark.parametrize(("first", "second"), [(0, 0), (3, 0), (5, 9), (40, 41)])
def test_mcnemar_counts_coins(first, second):
    n, least = first + second, min(first, second)
    tail = sum(comb(n, k) for k in range(least + 1)) / 2**n
    assert mcnemar(first, second) == pytest.approx(min(1.0, 2 * tail))


def test_only_pictures_that_one_alone_has_right_count():
    truth = np.array([True, True, False, False, True, False])
    scores = np.array([[0.9, 0.9, 0.1, 0.9, 0.2, 0.9], [0.9, 0.1, 0.9, 0.1, 0.1, 0.1]])
    found = evaluate(truth, scores, bootstrap=100).comparison
    assert (found.only_first, found.only_second) == (2, 2)
    assert found.p_right == 1
