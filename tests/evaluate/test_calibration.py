from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from sklearn.calibration import calibration_curve

from probe.evaluate.calibration import calibrate
from tests.evaluate.samples import drawn


@pytest.mark.parametrize("digits", [1, 3, 16])
def test_the_bins_are_those_of_scikit_learn(digits):
    truth, scores = drawn(5_000, digits=digits)
    shares, means = calibration_curve(truth, scores, n_bins=15, strategy="quantile")
    bins = calibrate(truth, scores).bins
    np.testing.assert_allclose([one.share.value for one in bins], shares)
    np.testing.assert_allclose([one.score for one in bins], means)
    assert sum(one.pictures for one in bins) == 5_000
    assert all(one.low <= one.score <= one.high for one in bins)


def test_bins_hold_equally_many_and_never_part_a_tie():
    truth, scores = drawn(15_000, digits=16)
    assert {one.pictures for one in calibrate(truth, scores).bins} == {1_000}
    bins = calibrate(truth, np.round(scores, 1)).bins
    assert all(one.high < other.low for one, other in pairwise(bins))


def test_perfect_scores_are_off_by_chance_alone():
    random = np.random.default_rng(0)
    found = []
    for _ in range(40):
        scores = random.random(3_000)
        found.append(calibrate(random.random(3_000) < scores, scores))
    mean = np.mean([one.ece for one in found])
    assert mean == pytest.approx(found[0].ece_by_chance, rel=0.05)


def test_scores_that_are_off_by_a_tenth_are_found_to_be():
    random = np.random.default_rng(0)
    scores = random.uniform(0.2, 0.8, 100_000)
    assert calibrate(random.random(100_000) < scores - 0.1, scores).ece == pytest.approx(
        0.1, abs=0.01
    )


def test_one_score_for_all_is_one_bin():
    (one,) = calibrate(np.array([True, False, False, False]), np.full(4, 0.25)).bins
    assert (one.pictures, one.score, one.share.value) == (4, 0.25, 0.25)
