"""Regions of maps whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.audit.regions import LARGEST, LEAST, MOST, regions
from tests.show.conftest import make_heatmap

CELLS = 28


def plane(*blocks, size=(40, 60)):
    """Zeros, and blocks (x0, y0, x1, y1, value) in pixels."""
    values = np.zeros(size, np.float32)
    for x0, y0, x1, y1, value in blocks:
        values[y0:y1, x0:x1] = value
    return values


def found(values, **about):
    return regions(make_heatmap(values, **about), CELLS)


def test_a_block_becomes_its_box_with_its_strength():
    (one,) = found(plane((15, 10, 30, 20, 0.5)))
    assert one.box == (0.25, 0.25, 0.5, 0.5)
    assert one.strength == pytest.approx(0.5)


def test_the_strongest_comes_first_and_there_are_no_more_than_three():
    blocks = [(0, 0, 5, 5, 0.3), (10, 0, 15, 5, 0.5), (20, 0, 25, 5, 0.4), (30, 0, 35, 5, 0.45)]
    several = found(plane(*blocks))
    assert [round(one.strength, 2) for one in several] == [0.5, 0.45, 0.4]
    assert len(several) == MOST == 3
    assert [one.box[0] for one in several] == [10 / 60, 30 / 60, 20 / 60]


def test_what_is_below_half_of_the_peak_is_no_region():
    assert len(found(plane((0, 0, 5, 5, 1.0), (20, 20, 30, 30, 0.49)))) == 1
    assert len(found(plane((0, 0, 5, 5, 1.0), (20, 20, 30, 30, 0.51)))) == 2


def test_weak_evidence_and_evidence_against_the_label_are_none():
    assert found(plane((0, 0, 5, 5, LEAST - 0.001))) == []
    assert len(found(plane((0, 0, 5, 5, LEAST + 0.001)))) == 1
    assert found(plane((0, 0, 20, 20, -0.5))) == []
    assert found(plane()) == []


def test_a_peak_within_its_own_error_is_none():
    values = plane((0, 0, 5, 5, 0.5), (30, 30, 40, 40, 0.4))
    errors = np.zeros_like(values)
    errors[:5, :5] = 0.6
    (one,) = found(values, stderr=errors)
    assert one.strength == pytest.approx(0.4)
    assert found(values, stderr=np.nan) == []


def test_what_nobody_looked_at_is_none():
    assert found(np.full((40, 60), np.nan)) == []
    values = plane((15, 10, 30, 20, 0.5))
    values[:, :20] = np.nan
    (one,) = found(values)
    assert one.box == (20 / 60, 0.25, 0.5, 0.5)
    assert np.isfinite(one.core).all()


def test_a_region_of_most_of_the_picture_is_no_place():
    assert found(np.full((40, 60), 0.5)) == []
    assert found(plane((0, 0, 60, 22, 0.5))) == []
    assert len(found(plane((0, 0, 60, int(40 * LARGEST), 0.5)))) == 1


def test_the_core_is_where_the_peak_is_and_only_of_its_own_region():
    values = plane((0, 0, 20, 20, 0.5), (0, 0, 10, 10, 0.9), (45, 30, 60, 40, 0.9))
    one, other = sorted(found(values), key=lambda part: part.box[0])
    rows, columns = np.nonzero(one.core)
    assert columns.max() <= 28 * 10 / 60 + 1
    assert rows.max() <= 28 * 10 / 40 + 1
    assert np.nonzero(other.core)[1].min() >= 28 * 45 / 60 - 1


@given(
    st.integers(0, 2**32 - 1), st.integers(1, 90), st.integers(1, 90), st.sampled_from([0.0, 0.3])
)
def test_whatever_the_map_boxes_lie_in_the_picture_and_cores_sum_to_one(seed, width, height, holes):
    rng = np.random.default_rng(seed)
    values = rng.normal(0, 0.3, (height, width))
    values[rng.random(values.shape) < holes] = np.nan
    several = regions(make_heatmap(values), CELLS)
    assert len(several) <= 3
    assert [one.strength for one in several] == sorted(
        (one.strength for one in several), reverse=True
    )
    for one in several:
        x0, y0, x1, y1 = one.box
        assert 0 <= x0 < x1 <= 1
        assert 0 <= y0 < y1 <= 1
        assert one.core.shape == (CELLS, CELLS)
        assert one.core.min() >= 0
        assert one.core.sum() == pytest.approx(1, abs=1e-4)
