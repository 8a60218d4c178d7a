"""Replicates against scikit-learn with weights, and how often the intervals hold the truth."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as sk

from probe.evaluate import evaluate
from probe.evaluate.bootstrap import (
    EXACT,
    Cells,
    _poisson_table,
    grid_of,
    measure,
    resample,
    share_ends,
    threshold_ends,
)
from probe.evaluate.metrics import average_precision, curve_of
from tests.evaluate.samples import drawn


def measured(truth, scores, weights, rates=(0.01, 0.1)):
    cells = Cells(truth, scores)
    grid = grid_of(int(truth.sum()), int((~truth).sum()))
    return measure(*cells.sums(weights[cells.order]), cells.thresholds, rates, grid), grid


@pytest.mark.parametrize("digits", [1, 3, 16])
def test_a_replicate_says_what_scikit_learn_says_with_these_weights(digits):
    truth, scores = drawn(3_000, digits=digits)
    assert len(np.unique(scores)) <= EXACT
    weights = np.random.default_rng(1).poisson(1, len(truth)).astype(np.uint8)
    found, (rates, recalls) = measured(truth, scores, weights)
    assert found.average_precision == pytest.approx(
        sk.average_precision_score(truth, scores, sample_weight=weights)
    )
    truth, scores = (np.repeat(one, weights) for one in (truth, scores))
    fpr, tpr, thresholds = sk.roc_curve(truth, scores, drop_intermediate=False)
    for n, rate in enumerate((0.01, 0.1)):
        place = np.flatnonzero(fpr <= rate)[-1]
        assert found.recall[n] == pytest.approx(tpr[place])
        if place:
            yes = scores >= found.threshold[n]
            assert found.precision[n] == pytest.approx(truth[yes].mean())
            assert (yes == (scores >= thresholds[place])).all()
    for rate, recall in zip(rates, found.roc, strict=True):
        assert recall == pytest.approx(tpr[fpr <= rate + 1e-9].max())
    ranked = np.unique(scores)[::-1]
    for recall, precision in zip(recalls[::9], found.pr[::9], strict=True):
        yes = scores >= next(t for t in ranked if truth[scores >= t].sum() >= recall * truth.sum())
        assert precision == pytest.approx(truth[yes].mean())


def test_cells_lose_little_of_many_scores():
    truth, scores = drawn(100_000, digits=16)
    cells = Cells(truth, scores)
    assert len(cells.thresholds) < 12_000
    weights = np.random.default_rng(1).poisson(1, len(truth)).astype(np.uint8)
    found, whole = (measured(truth, scores, one)[0] for one in (weights, np.ones_like(weights)))
    exact = sk.average_precision_score(truth, scores, sample_weight=weights)
    apart = exact - average_precision(truth, scores)
    assert abs(apart) > 5e-4
    assert found.average_precision - whole.average_precision == pytest.approx(apart, abs=1e-5)
    pieces = np.add.reduceat(truth[cells.order], cells._starts)
    ranks = np.cumsum(pieces) / truth.sum()
    wide = pieces / np.sqrt(truth.sum() * np.clip(ranks * (1 - ranks), 1e-9, None))
    assert np.median(wide) < 0.3


def test_weights_are_poisson():
    table = _poisson_table().astype(float)
    assert table.mean() == pytest.approx(1, abs=1e-4)
    assert table.var() == pytest.approx(1, abs=2e-3)
    assert (table == 0).mean() == pytest.approx(np.exp(-1), abs=1e-4)


def test_the_same_seed_is_the_same_result_and_another_is_near():
    truth, scores = drawn(500)
    one, again, other = (
        evaluate(truth, scores, bootstrap=200, seed=seed).services[0] for seed in (0, 0, 1)
    )
    assert one.as_dict() == again.as_dict()
    assert one.average_precision.low != other.average_precision.low
    assert one.average_precision.low == pytest.approx(other.average_precision.low, abs=0.01)


def test_both_services_get_the_same_draws():
    truth, scores = drawn(300)
    draws = resample(truth, np.array([scores, scores**2]), (0.1,), 100, 0)
    first, second = draws.services
    np.testing.assert_allclose(first.average_precision, second.average_precision)
    np.testing.assert_allclose(first.recall, second.recall)
    found = evaluate(truth, [scores, scores**2], bootstrap=100).comparison
    assert found.average_precision.as_dict() == {"value": 0, "low": 0, "high": 0}


def test_a_part_is_what_it_would_be_by_itself():
    truth, scores = drawn(2_000)
    rows = np.arange(0, 2_000, 3)
    draws = resample(truth, scores[None], (), 400, 0, [rows, np.flatnonzero(truth)[:50]])
    alone = resample(truth[rows], scores[None, rows], (), 400, 1)
    assert draws.whole[0] == pytest.approx(average_precision(truth[rows], scores[rows]))
    spreads = draws.parts[:, 0].std(), alone.services[0].average_precision.std()
    assert spreads[0] == pytest.approx(spreads[1], rel=0.15)
    assert np.isnan(draws.parts[:, 1]).all()


def test_draws_without_a_kind_are_drawn_again():
    truth = np.array([True] + [False] * 5)
    draws = resample(truth, np.linspace(0, 1, 6)[None], (0.5,), 200, 0)
    assert len(draws.services[0].average_precision) == 200
    assert np.isfinite(draws.services[0].average_precision).all()


def test_nothing_missing_is_no_proof_of_perfection():
    low, high = share_ends(1.0, 1.0, np.ones((100, 1)), 20)
    assert low[0] == pytest.approx(0.8389, abs=1e-4)  # Wilson's of 20 of 20
    assert high[0] > 0.99
    low, high = share_ends(np.array([np.nan]), np.array([np.nan]), np.full((100, 1), np.nan), 20)
    assert np.isnan(low).all()


def test_draws_around_another_value_are_moved_to_the_true_one():
    drawn_ = 0.5 + 0.01 * np.random.default_rng(0).normal(size=(4000, 1))
    low, high = share_ends(0.9, 0.5, drawn_, 1000)
    assert high[0] - low[0] == pytest.approx(2 * 1.96 * 0.01, rel=0.03)


def test_thresholds_that_some_draws_lack_have_no_upper_end():
    drawn_ = np.array([[0.5]] * 95 + [[np.inf]] * 5)
    assert threshold_ends(drawn_)[1] == np.inf
    truth = np.array([True, True, False, False, False, False] * 3)
    scores = np.array([0.9, 0.8, 0.9, 0.2, 0.1, 0.3] * 3)
    (at,) = evaluate(truth, scores, fpr=(0.26,), bootstrap=200).services[0].at_fpr
    assert at.threshold.value == pytest.approx(0.8)
    assert at.threshold.high is None


def coverage(n, sets, prevalence, apart):
    """How often the intervals hold average precision, recall, precision and the threshold."""
    truth, scores = drawn(1_000_000, 99, prevalence, apart)
    curve = curve_of(truth, scores)
    place = curve.place_at(0.1)
    true = [
        average_precision(truth, scores),
        *(float(one[place]) for one in (curve.tpr, curve.precision, curve.thresholds)),
    ]
    held = np.zeros(4)
    for seed in range(sets):
        truth, scores = drawn(n, seed, prevalence, apart)
        one = evaluate(truth, scores, fpr=(0.1,), bootstrap=150).services[0]
        (at,) = one.at_fpr
        found = [one.average_precision, at.recall, at.precision, at.threshold]
        held += [a.low <= value <= a.high for a, value in zip(found, true, strict=True)]
    return held / sets


def test_intervals_hold_the_truth_as_often_as_they_say():
    held = coverage(n=300, sets=100, prevalence=0.3, apart=2.0)
    assert (held >= 0.89).all(), held  # 95 ± 2.2 of 100
    assert held[0] <= 0.99


@pytest.mark.slow
@pytest.mark.parametrize(
    ("n", "prevalence", "apart"),
    [(100, 0.5, 1.0), (400, 0.05, 2.0), (1000, 0.3, 2.5), (6000, 0.3, 2.0)],
)
def test_intervals_hold_the_truth_in_many_sets(n, prevalence, apart):
    held = coverage(n, 500, prevalence, apart)
    assert (held >= 0.92).all(), held
    assert held[0] <= 0.98
