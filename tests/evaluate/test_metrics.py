"""scikit-learn's numbers, and what must hold whatever the scores are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk

from probe.evaluate import evaluate
from probe.evaluate.metrics import area, average_precision, brier, curve_of, operating
from probe.evaluate.thinning import thinned
from tests.evaluate.samples import drawn

CASES = [
    pytest.param(5_000, 3, id="few digits, many ties"),
    pytest.param(5_000, 16, id="no ties"),
    pytest.param(428_271, 4, id="428,271 with ties", marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("n", "digits"), CASES)
def test_the_numbers_are_those_of_scikit_learn(n, digits):
    truth, scores = drawn(n, digits=digits)
    found = evaluate(truth, scores, fpr=(0.001, 0.01, 0.1), bootstrap=100)
    (one,) = found.services
    assert one.auc.value == pytest.approx(sk.roc_auc_score(truth, scores), abs=1e-12)
    assert one.average_precision.value == sk.average_precision_score(truth, scores)
    assert one.brier.value == sk.brier_score_loss(truth, scores)
    yes = scores >= 0.5
    assert [one.at.tn, one.at.fp, one.at.fn, one.at.tp] == sk.confusion_matrix(
        truth, yes
    ).ravel().tolist()
    assert one.at.precision.value == pytest.approx(sk.precision_score(truth, yes))
    assert one.at.recall.value == pytest.approx(sk.recall_score(truth, yes))
    assert one.at.f1.value == pytest.approx(sk.f1_score(truth, yes))
    fpr, tpr, thresholds = sk.roc_curve(truth, scores, drop_intermediate=False)
    np.testing.assert_array_equal(one.curve.fpr, fpr[1:])
    np.testing.assert_array_equal(one.curve.tpr, tpr[1:])
    np.testing.assert_array_equal(one.curve.thresholds, thresholds[1:])
    precision, recall, levels = sk.precision_recall_curve(truth, scores)
    np.testing.assert_array_equal(one.curve.precision[::-1], precision[:-1])
    np.testing.assert_array_equal(one.curve.tpr[::-1], recall[:-1])
    np.testing.assert_array_equal(one.curve.thresholds[::-1], levels)


@st.composite
def samples(draw):
    """Truth of both kinds and scores with many ties."""
    truth = draw(st.lists(st.booleans(), min_size=2, max_size=40))
    truth = np.array([True, False, *truth])
    grid = st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.500001, 0.75, 1.0])
    cells = st.one_of(grid, st.floats(0, 1, allow_nan=False))
    scores = draw(st.lists(cells, min_size=len(truth), max_size=len(truth)))
    return truth, np.array(scores)


@given(samples())
def test_a_stretch_that_keeps_the_order_keeps_the_area(sample):
    truth, scores = sample
    _, order = np.unique(scores, return_inverse=True)
    stretched = np.sqrt(0.1 + order / (len(scores) + 1))
    assert area(curve_of(truth, scores)) == pytest.approx(area(curve_of(truth, stretched)))
    assert average_precision(truth, scores) == pytest.approx(average_precision(truth, stretched))


@given(samples())
def test_the_other_question_has_the_other_area(sample):
    truth, scores = sample
    assert area(curve_of(~truth, scores)) == pytest.approx(1 - area(curve_of(truth, scores)))
    turned = -np.unique(scores, return_inverse=True)[1] / len(scores) + 1
    assert area(curve_of(~truth, turned)) == pytest.approx(area(curve_of(truth, scores)))


@given(samples(), st.one_of(st.floats(0.001, 0.999), st.sampled_from([0.1, 0.25, 1 / 3, 0.5])))
def test_a_threshold_keeps_its_rate_and_is_the_lowest_that_does(sample, rate):
    truth, scores = sample
    curve = curve_of(truth, scores)
    place = curve.place_at(rate)
    negatives = scores[~truth]
    if place >= 0:
        assert (negatives >= curve.thresholds[place]).mean() <= rate
    lower = np.unique(scores)[::-1][place + 1 :]
    assert all((negatives >= threshold).mean() > rate for threshold in lower[:1])


@given(samples(), st.floats(0, 1))
def test_counts_at_a_threshold_are_counts(sample, threshold):
    truth, scores = sample
    curve = curve_of(truth, scores)
    at = operating(curve, curve.place(threshold), None)
    yes = scores >= threshold
    assert (at.tp, at.fp) == ((yes & truth).sum(), (yes & ~truth).sum())
    assert (at.fn, at.tn) == ((~yes & truth).sum(), (~yes & ~truth).sum())
    for one in (at.recall, at.precision, at.fpr, at.f1):
        assert one.value is None or 0 <= one.low <= one.value <= one.high <= 1


def test_nothing_is_found_above_all_scores():
    curve = curve_of(np.array([True, False]), np.array([0.5, 0.4]))
    at = operating(curve, curve.place(0.9), None)
    assert (at.tp, at.fp, at.fn, at.tn) == (0, 0, 1, 1)
    assert at.precision.value is None
    assert at.recall.value == 0


def test_the_brier_score_is_a_mean_with_its_error():
    truth, scores = drawn(4_000)
    found = brier(truth, scores)
    squares = (scores - truth) ** 2
    assert found.value == pytest.approx(squares.mean())
    assert found.high - found.low == pytest.approx(2 * 1.96 * squares.std() / 4_000**0.5, rel=1e-3)


@pytest.mark.parametrize("apart", [0.5, 2.0, 4.0])
@pytest.mark.parametrize("n", [3_000, 100_000])
def test_few_points_say_the_same(n, apart):
    truth, scores = drawn(n, digits=16, apart=apart)
    curve = curve_of(truth, scores)
    places = thinned(curve)
    assert len(places) <= 2000
    assert (places[0], places[-1]) == (0, len(curve.thresholds) - 1)
    assert (np.diff(places) > 0).all()
    x, y = np.append(0, curve.fpr[places]), np.append(0, curve.tpr[places])
    assert sk.auc(x, y) == pytest.approx(area(curve), abs=1e-6)
    near = np.interp(curve.fpr + curve.tpr, x + y, y)  # both rise, so their sum has no steps
    assert np.abs(near - curve.tpr).max() < 0.01


def test_a_short_curve_is_left_whole():
    truth, scores = drawn(500)
    curve = curve_of(truth, scores)
    assert thinned(curve).tolist() == list(range(len(curve.thresholds)))
