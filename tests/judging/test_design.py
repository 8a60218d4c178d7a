from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.errors import UsageError
from probe.judging.design import LEAST, MOST, Steps, controls_for
from probe.judging.ranking import cells_of, moved, ranking
from probe.testing.samplers import check_sampler
from probe.types import Identity, Scores

CELLS = np.random.default_rng(0).normal(size=(9, 12))


def steps(kind, budget, copies=2):
    return Steps(kind, [ranking(one) for one in (CELLS, *moved(CELLS, copies, 0))], budget, "nsfw")


@pytest.mark.parametrize("kind", ["deletion", "insertion"])
@pytest.mark.parametrize("budget", [LEAST, 17, MOST])
def test_steps_keep_the_contract_of_samplers(kind, budget):
    check_sampler(lambda seed: steps(kind, budget, controls_for(budget)), budget)


def answered(kind, budget, jump):
    """Steps asked about a score that jumps there, and after how many rounds."""
    order = ranking(-np.arange(2048.0).reshape(32, 64))
    masks = {order.mask(kind, step): step for step in range(33)}
    sampler, asked, rounds = Steps(kind, [order], budget, "x"), {0, 32}, 0
    sampler.tell(Identity(), Scores({"x": 1.0}))
    while proposals := sampler.ask(budget):
        rounds += 1
        for mask in proposals:
            asked.add(masks[mask])
            below = (masks[mask] < jump) == (kind == "deletion")
            sampler.tell(mask, Scores({"x": float(below)}))
    return sorted(asked), rounds


@pytest.mark.parametrize("kind", ["deletion", "insertion"])
@pytest.mark.parametrize("jump", [5, 13, 22, 27])
def test_steps_close_in_on_a_jump_in_few_rounds(kind, jump):
    asked, rounds = answered(kind, 8, jump)
    (gap,) = (after - before for before, after in pairwise(asked) if before < jump <= after)
    assert gap <= 3
    assert rounds <= 4


def test_nothing_is_asked_twice_of_a_tiny_picture():
    cells = np.arange(6.0).reshape(2, 3)
    sampler = Steps("deletion", [ranking(cells), *map(ranking, moved(cells, 4, 0))], 40, "x")
    sampler.tell(Identity(), Scores({"x": 1.0}))
    asked = []
    while proposals := sampler.ask(40):
        asked += proposals
        for mask in proposals:
            sampler.tell(mask, Scores({"x": 1 - sum(mask.cells) / 255 / 6}))
    assert len(asked) == len(set(asked)) < 20


def test_equal_cells_stay_in_their_order():
    values = np.random.default_rng(0).integers(0, 3, (40, 50)).astype(float)
    by_hand = sorted(range(2000), key=lambda index: -values.ravel()[index])
    assert ranking(values).order.tolist() == by_hand


def test_cells_of_different_sizes_are_flat_together():
    with pytest.raises(UsageError, match=r"flat, 0\.1 everywhere"):
        cells_of(np.full((10, 10), 0.1), 3, 3)


@given(st.integers(LEAST, 10 * MOST))
def test_controls_leave_the_map_half_of_the_answers(budget):
    controls = controls_for(budget)
    assert 1 <= controls <= 19
    assert budget - 2 * controls >= LEAST - 2


def test_masks_change_the_first_cells_and_no_others():
    order = ranking(CELLS)
    before = np.zeros(CELLS.size, bool)
    for step in range(33):
        covered = np.frombuffer(order.mask("deletion", step).cells, np.uint8)
        shown = np.frombuffer(order.mask("insertion", step).cells, np.uint8)
        np.testing.assert_array_equal(covered, 255 - shown)
        changed = covered == 255
        assert changed.sum() == round(step / 32 * CELLS.size)
        assert (changed | ~before).all()
        if changed.any() and not changed.all():
            assert CELLS.ravel()[changed].min() >= CELLS.ravel()[~changed].max()
        before = changed
    assert changed.all()


@given(st.integers(1, 20), st.integers(1, 20), st.integers(1, 4), st.integers(1, 4), st.data())
def test_cells_are_the_means_of_what_is_known(columns, rows, wide, tall, data):
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    values = rng.normal(size=(rows * tall, columns * wide)).astype(np.float32)
    values[rng.random(values.shape) < 0.5] = np.nan
    by_hand = np.full((rows, columns), np.nan)
    for y, x in np.ndindex(rows, columns):
        part = values[y * tall : (y + 1) * tall, x * wide : (x + 1) * wide]
        if np.isfinite(part).any():
            by_hand[y, x] = np.nanmean(part.astype(float))
    if len(np.unique(by_hand[np.isfinite(by_hand)])) < 2:
        with pytest.raises(UsageError):
            cells_of(values, columns, rows)
    else:
        np.testing.assert_allclose(cells_of(values, columns, rows), by_hand, rtol=1e-5, atol=1e-6)


@given(st.integers(0, 99))
def test_copies_are_the_map_in_other_places(seed):
    cells = np.full((11, 14), np.nan)
    cells[2:9, 3:13] = np.arange(70).reshape(7, 10)
    for copy in moved(cells, 5, seed):
        np.testing.assert_array_equal(np.isnan(copy), np.isnan(cells))
        np.testing.assert_array_equal(np.sort(copy, axis=None), np.sort(cells, axis=None))


def test_every_place_is_alike_likely():
    cells = np.eye(6, 8)
    cells[0, 0] = 2
    places = [np.argmax(copy) for copy in moved(cells, 9600, 0)]
    counts = np.bincount(places, minlength=48)
    assert (abs(counts - 200) < 5 * 200**0.5).all()


def test_a_map_without_meaning_is_ahead_as_often_as_luck_says():
    evidence, rng = np.zeros((16, 16)), np.random.default_rng(1)
    evidence[2:8, 3:9] = 1

    def found(cells):
        return evidence.ravel()[ranking(cells).order[:64]].sum() + rng.uniform(0, 1e-3)

    ahead = 0
    for trial in range(500):
        (meaningless,) = moved(evidence, 1, 10_000 + trial)
        ahead += all(found(meaningless) > found(copy) for copy in moved(meaningless, 4, trial))
    assert 0.14 < ahead / 500 < 0.26
