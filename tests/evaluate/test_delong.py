"""DeLong's variance against its definition over all pairs, and the intervals that come of it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from probe.evaluate import evaluate
from probe.evaluate.delong import Error, area_interval, gap, influence
from probe.evaluate.metrics import area, curve_of
from tests.evaluate.samples import drawn
from tests.evaluate.test_metrics import samples


def by_pairs(truth, scores):
    """DeLong, DeLong and Clarke-Pearson 1988, equations 3 to 6, as they stand: the areas and their
    covariance, from psi of every positive and every negative. scores: (k, n)."""
    positive, negative = scores[:, truth], scores[:, ~truth]
    above = positive[:, :, None] - negative[:, None, :]
    psi = (above > 0) + 0.5 * (above == 0)
    areas, v10, v01 = psi.mean((1, 2)), psi.mean(2), psi.mean(1)
    s10, s01 = (np.atleast_2d(np.cov(v)) for v in (v10, v01))
    return areas, s10 / truth.sum() + s01 / (~truth).sum()


@pytest.mark.parametrize("n", [12, 60, 300])
def test_variance_and_covariance_are_those_of_the_definition(n):
    truth, scores = drawn(n, seed=n, digits=1, services=2)
    areas, covariance = by_pairs(truth, scores)
    moved = np.array([influence(truth, one) for one in scores])
    np.testing.assert_allclose(moved @ moved.T, covariance, atol=1e-15)
    for one, wanted in zip(scores, areas, strict=True):
        assert area(curve_of(truth, one)) == pytest.approx(wanted)


def test_a_paired_difference_has_the_variance_of_the_definition():
    truth, scores = drawn(200, digits=1, services=2)
    _, covariance = by_pairs(truth, scores)
    wanted = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    apart = influence(truth, scores[0]) - influence(truth, scores[1])
    assert Error.of(apart, truth).value ** 2 == pytest.approx(wanted)


@given(samples())
def test_influences_add_up_to_nothing(sample):
    truth, scores = sample
    moved = influence(truth, scores)
    for kind in (truth, ~truth):
        assert kind.sum() == 1 or moved[kind].sum() == pytest.approx(0, abs=1e-12)


def test_degrees_of_freedom_are_those_of_the_smaller_kind_where_it_says_all():
    truth = np.array([True] * 5 + [False] * 1000)
    moved = np.where(truth, [0.1, -0.1, 0.2, -0.2, 0.0, *[0.0] * 1000], 0)
    assert Error.of(moved, truth).freedom == pytest.approx(4)
    assert Error.of(moved, truth).reach() == pytest.approx(2.776445 * 0.1**0.5)


def test_an_area_of_one_is_not_sure():
    found = area_interval(1.0, Error(0.0, np.inf), 8)
    assert (found.value, found.high) == (1.0, 1.0)
    assert found.low == pytest.approx(0.025 ** (1 / 8))
    assert found.low**8 == pytest.approx(0.025)
    turned = area_interval(0.0, Error(0.0, np.inf), 8)
    assert (turned.low, turned.high) == (0.0, pytest.approx(1 - found.low))


def test_one_positive_alone_has_no_error():
    truth, scores = np.array([True, False, False]), np.array([0.5, 0.4, 0.6])
    found = evaluate(truth, scores, bootstrap=100).services[0].auc
    assert (found.value, found.low, found.high) == (0.5, None, None)


def test_the_same_scores_twice_do_not_differ():
    truth, scores = drawn(100)
    error = Error.of(influence(truth, scores) * 0, truth)
    assert gap(0.8, 0.8, error).as_dict() == {"value": 0, "low": 0, "high": 0}
    assert error.chance(0.0) == 1
    assert error.chance(0.1) is None


def covered(n, prevalence, apart, sets):
    """Shares of the intervals that are below, and above, the true area."""
    truth, scores = drawn(1_000_000, seed=99, prevalence=prevalence, apart=apart)
    true = area(curve_of(truth, scores))
    beside = np.zeros(2)
    for seed in range(sets):
        truth, scores = drawn(n, seed, prevalence, apart)
        error = Error.of(influence(truth, scores), truth)
        fewer = min(truth.sum(), (~truth).sum())
        found = area_interval(area(curve_of(truth, scores)), error, fewer)
        beside += found.high < true, found.low > true
    return beside / sets


@pytest.mark.parametrize(
    ("n", "prevalence", "apart"),
    [(60, 0.3, 1.5), (200, 0.5, 3.0), (400, 0.1, 1.0), (1000, 0.3, 2.5)],
)
def test_the_interval_holds_the_area_as_often_as_it_says(n, prevalence, apart):
    below, above = covered(n, prevalence, apart, sets=600)
    assert 0.92 <= 1 - below - above <= 0.98
    assert max(below, above) < 0.05
