import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probe.errors import UsageError
from probe.perturb import canonical, opacity, rise
from probe.testing.samplers import check_sampler
from probe.types import Canvas, Scene

CANVAS = Canvas((96, 64), (96, 64), 8)
SCENE = Scene(CANVAS)


def test_it_keeps_the_contract_of_samplers():
    check_sampler(lambda seed: rise(SCENE, 63, seed), budget=63)


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 32), st.floats(0.01, 0.99), st.integers(0, 1000))
def test_masks_reach_over_the_whole_picture_by_one_shifted_cell(cells, shown, seed):
    for mask in rise(SCENE, 3, seed, cells=cells, shown=shown).ask(3):
        x0, y0, x1, y1 = mask.region
        assert -1 / cells <= x0 <= 0
        assert -1 / cells <= y0 <= 0
        assert x1 - x0 == pytest.approx(1 + 1 / cells)
        assert y1 - y0 == pytest.approx(1 + 1 / cells)
        assert mask.columns == mask.rows == cells + 1
        assert mask.smooth
        assert set(mask.cells) <= {0, 255}


@pytest.mark.parametrize("shown", [0.2, 0.5, 0.8])
def test_every_pixel_is_shown_as_often_as_asked_the_border_too(shown):
    masks = rise(SCENE, 2000, 0, shown=shown).ask(2000)
    mean = np.mean([1 - opacity(mask, CANVAS) / 255 for mask in masks], axis=0)
    assert mean == pytest.approx(np.full((64, 96), shown), abs=0.06)


def test_the_shift_is_spread_over_one_cell():
    corners = np.array([mask.region[:2] for mask in rise(SCENE, 1000, 0, cells=4).ask(1000)])
    assert corners.mean(0) == pytest.approx([-0.125, -0.125], abs=0.01)
    assert corners.min() < -0.245
    assert corners.max() > -0.005


def test_a_larger_budget_goes_on_where_a_smaller_one_ended():
    assert rise(SCENE, 255, 3).ask(999)[:63] == rise(SCENE, 63, 3).ask(999)


def test_no_mask_twice_and_another_seed_is_another_plan():
    plans = [
        {canonical(mask, CANVAS) for mask in rise(SCENE, 63, seed).ask(63)} for seed in range(3)
    ]
    assert len(set.union(*plans)) == 3 * 63


def test_a_thousand_masks_are_held_as_their_grids():
    tracemalloc.start()
    try:
        masks = rise(Scene(Canvas((2000, 2000), (2000, 2000))), 1023, 0).ask(1023)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(masks) == 1023
    assert held < 1_000_000


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cells": 0}, "cells must be a whole number from 1 to 32, not 0"),
        ({"cells": 33}, "cells"),
        ({"cells": 4.5}, "cells"),
        ({"shown": 0.0}, "shown must be a probability"),
        ({"shown": 1.0}, "shown"),
        ({"shown": float("nan")}, "shown"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(UsageError, match=message):
        rise(SCENE, 63, 0, **options)
