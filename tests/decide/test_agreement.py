import numpy as np
import pytest
from scipy.stats import spearmanr

from probe.decide.agreement import agreement
from probe.errors import UsageError
from probe.judging import as_map


def test_ranks_over_pixels_and_over_parts():
    rng = np.random.default_rng(0)
    one, other = rng.random((48, 64)), rng.random((48, 64))
    other[:24] += 1
    one[:24] += 1
    other[5:9, 7] = np.nan
    found = agreement(as_map(one), as_map(other))
    known = np.isfinite(other)
    assert found["rank_correlation"] == pytest.approx(spearmanr(one[known], other[known])[0])
    parts = [
        np.nanmean(np.where(known, values, np.nan).reshape(16, 3, 16, 4), axis=(1, 3)).ravel()
        for values in (one, other)
    ]
    assert found["rank_correlation_of_parts"] == pytest.approx(spearmanr(*parts)[0], abs=1e-6)
    assert found["rank_correlation_of_parts"] > found["rank_correlation"]


def test_the_same_map_agrees_and_its_opposite_does_not():
    values = np.arange(1200.0).reshape(30, 40)
    assert agreement(as_map(values), as_map(values**3))["rank_correlation"] == pytest.approx(1)
    assert agreement(as_map(values), as_map(-values))["rank_correlation"] == pytest.approx(-1)


def test_a_flat_map_agrees_with_nothing():
    flat, other = np.ones((20, 20)), np.arange(400.0).reshape(20, 20)
    assert set(agreement(as_map(flat), as_map(other)).values()) == {None}


def test_maps_of_different_pictures_are_refused():
    with pytest.raises(UsageError, match="of 20 x 10 and 10 x 20 px"):
        agreement(as_map(np.eye(10, 20)), as_map(np.eye(20, 10)))
