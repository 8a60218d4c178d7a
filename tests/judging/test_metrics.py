from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from probe.judging.metrics import ROUGHER, STEPS, area, auroc, pointing, uncertainty, weights

SCORES = st.floats(-1, 2, allow_nan=False)
VALUES = st.sampled_from([float("nan"), -1.0, 0.0, 0.5, 2.0])


@st.composite
def curves(draw):
    steps = sorted(draw(st.sets(st.integers(0, STEPS), min_size=1)))
    return [(step, draw(SCORES)) for step in steps]


@given(curves())
def test_area_is_that_of_the_whole_curve_with_lines_through_the_gaps(nodes):
    steps, scores = zip(*nodes, strict=True)
    whole = np.interp(np.arange(STEPS + 1), steps, scores)
    assert area(nodes) == pytest.approx(np.trapezoid(whole, dx=1 / STEPS), abs=1e-9)
    assert sum(weights(steps)) == pytest.approx(1)


def test_area_of_nothing_is_not_a_number():
    assert np.isnan(area([]))


@given(st.lists(SCORES, min_size=STEPS + 1, max_size=STEPS + 1))
def test_a_whole_curve_has_no_uncertainty(scores):
    assert uncertainty(list(enumerate(scores))) == 0


def test_uncertainty_is_that_of_one_jump_anywhere_in_the_gap():
    at = (np.arange(100_000) + 0.5) / 100_000
    areas = at * 0.5  # 0.5 until the jump, 0 behind it
    assert uncertainty([(0, 0.5), (STEPS, 0.0)]) == pytest.approx(ROUGHER * areas.std(), rel=1e-3)


def test_a_bump_beside_a_gap_makes_it_uncertain():
    flat = [(0, 1.0), (8, 1.0), (16, 1.0), (32, 1.0)]
    bumpy = [(0, 1.0), (8, 1.5), (9, 1.0), (32, 1.0)]
    assert uncertainty(flat) == 0
    assert uncertainty(bumpy) > uncertainty([(0, 1.0), (8, 1.5)])


@given(
    arrays(float, (4, 5), elements=VALUES),
    arrays(bool, (4, 5)).filter(lambda mask: mask.any() and not mask.all()),
)
def test_auroc_and_pointing_are_what_counting_pairs_says(values, mask):
    ranked = np.where(np.isnan(values), -np.inf, values)
    pairs = [
        (inside > out) + 0.5 * (inside == out) for inside in ranked[mask] for out in ranked[~mask]
    ]
    assert auroc(values, mask) == pytest.approx(np.mean(pairs))
    best = [bool(mask[i]) for i in np.ndindex(mask.shape) if ranked[i] == ranked.max()]
    assert pointing(values, mask) == pytest.approx(np.mean(best))
