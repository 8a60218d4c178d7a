"""Covers, trials, p-values and claims, held against what is known or worked out by hand."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from probe import Prober
from probe.audit import effects
from probe.audit.effects import FEWEST, LARGEST, SMALLEST, control, covers, placed, trial
from probe.ledger import Ledger
from probe.testing.planted import Planted, planted_picture
from probe.types import WHOLE, Box, Failure, Identity, Scores
from tests.audit.made import AWAY, BOX, made_trials
from tests.show.conftest import make_result

TINY = 1e-9


@st.composite
def boxes(draw, low=0.0, high=1.0, least=0.01):
    edges = []
    for _ in range(2):
        side = draw(st.floats(least, high - low))
        first = draw(st.floats(low, high - side))
        edges.append((first, first + side))
    return edges[0][0], edges[1][0], edges[0][1], edges[1][1]


SEEN = boxes(least=0.3)


def sides(box):
    return box[2] - box[0], box[3] - box[1]


def is_inside(box, seen):
    return all(
        low - TINY <= start and end <= high + TINY
        for start, end, low, high in zip(box[:2], box[2:], seen[:2], seen[2:], strict=True)
    )


@given(boxes(), SEEN)
def test_a_cover_lies_in_what_the_model_sees_and_is_neither_tiny_nor_huge(box, seen):
    found = placed(box, seen)
    assert is_inside(found, seen)
    for side, own, room in zip(sides(found), sides(box), sides(seen), strict=True):
        assert side == pytest.approx(min(max(own, SMALLEST), LARGEST, room))


@given(boxes())
def test_a_cover_of_fair_size_that_is_seen_stays_where_it_is(box):
    if all(SMALLEST <= side <= LARGEST for side in sides(box)):
        assert placed(box, WHOLE) == pytest.approx(box)
    again = placed(placed(box, WHOLE), WHOLE)
    assert again == pytest.approx(placed(box, WHOLE))


def test_a_small_box_grows_around_its_middle():
    x0, y0, x1, y1 = placed((0.5, 0.5, 0.52, 0.52), WHOLE)
    assert ((x0 + x1) / 2, (y0 + y1) / 2) == pytest.approx((0.51, 0.51))


@given(boxes(), SEEN, st.integers(0, 2**32))
def test_a_control_is_as_large_inside_and_never_over_the_cover(box, seen, seed):
    box = placed(box, seen)
    other = control(box, seen, np.random.default_rng(seed))
    if other is None:
        return
    assert np.prod(sides(other)) == pytest.approx(np.prod(sides(box)))
    assert is_inside(other, seen)
    beside = other[0] >= box[2] - TINY or other[2] <= box[0] + TINY
    assert beside or other[1] >= box[3] - TINY or other[3] <= box[1] + TINY


def test_a_control_has_the_same_shape_where_that_has_room():
    box = (0.4, 0.4, 0.6, 0.55)
    for seed in range(30):
        assert sides(control(box, WHOLE, np.random.default_rng(seed))) == pytest.approx(sides(box))
    wide = control((0.26, 0.3, 0.74, 0.8), WHOLE, np.random.default_rng(0))
    assert sides(wide) != pytest.approx((0.48, 0.5))
    assert np.prod(sides(wide)) == pytest.approx(0.24)


def test_a_control_is_at_random_and_none_where_there_is_no_room():
    found = {control((0.4, 0.4, 0.6, 0.6), WHOLE, np.random.default_rng(n)) for n in range(30)}
    assert None not in found
    assert len(found) == 30
    middles = np.array([(x0 + x1) / 2 < 0.5 for x0, _, x1, _ in found])
    assert 5 < middles.sum() < 25
    assert control((0.1, 0.1, 0.9, 0.9), WHOLE, np.random.default_rng(0)) is None
    assert control((0.15, 0.15, 0.65, 0.65), (0.1, 0.1, 0.7, 0.7), np.random.default_rng(0)) is None


def test_a_run_of_covers_asks_about_them_and_nothing_else():
    target = Planted()
    red, away = (0.25, 0.25, 0.5, 0.625), (0.625, 0.25, 0.875, 0.625)
    prober = Prober(target, ledger=Ledger(None), repeats=0)
    result = prober.probe(planted_picture(), "nsfw", covers(red, away), budget=3)
    assert target.asked == 3
    found = trial(7, "x.png", result, red, away)
    assert (found.index, found.name, found.box, found.control) == (7, "x.png", red, away)
    assert found.score == found.controlled == pytest.approx(0.95)
    assert found.covered == pytest.approx(0.05)
    assert found.drop == pytest.approx(0.9)


def answered(box, other):
    from probe.result import Answer

    reference = Scores({"nsfw": 0.8})
    answers = [
        Answer(Identity(), reference, "sent"),
        Answer(Box(*BOX), box, "sent"),
        Answer(Box(*AWAY), other, "sent"),
    ]
    return make_result(labels=("nsfw",), answers=answers, reference=reference)


def test_a_trial_with_an_answer_that_is_missing_is_none():
    one, lost = Scores({"nsfw": 0.3}), Failure("lost", "no answer")
    assert trial(0, "x", answered(one, one), BOX, AWAY).drop == 0
    assert trial(0, "x", answered(one, lost), BOX, AWAY) is None
    assert trial(0, "x", answered(lost, one), BOX, AWAY) is None
    assert trial(0, "x", answered(one, one), BOX, WHOLE) is None


def effect_of(drops):
    return effects.effects([made_trials(drops)], 0)[0]


DROPS = st.lists(st.integers(-20, 20).map(lambda n: n / 32), min_size=5, max_size=10)


@given(DROPS)
@settings(max_examples=40)
def test_p_is_the_share_of_all_sign_flips_that_drop_as_much(drops):
    own = np.array([one.drop for one in made_trials(drops)])
    signs = np.array(list(itertools.product((1, -1), repeat=len(own))))
    share = ((signs * own).mean(axis=1) >= own.mean() - 1e-12).mean()
    assert effect_of(drops).p == pytest.approx(share)


def test_p_of_many_trials_is_sampled_and_never_nothing():
    found = effect_of([0.5] * 24)
    assert 0 < found.p < 0.001
    assert effect_of([-0.5] * 24).p > 0.99


@given(st.lists(DROPS, min_size=1, max_size=6))
@settings(max_examples=25)
def test_holm_is_holm(several):
    found = effects.effects([made_trials(drops) for drops in several], 0)
    ps = sorted(one.p for one in found)
    steps = [min(1.0, (len(ps) - rank) * p) for rank, p in enumerate(ps)]
    by_hand = [max(steps[: rank + 1]) for rank in range(len(ps))]
    assert sorted(one.adjusted for one in found) == pytest.approx(by_hand)
    assert all(one.adjusted >= one.p for one in found)


@given(DROPS)
@settings(max_examples=25)
def test_the_interval_is_students(drops):
    found = effect_of(drops).drop
    own = [one.drop for one in made_trials(drops)]
    if np.std(own) < 1e-9:
        assert found.low == pytest.approx(found.high)
        return
    low, high = stats.t.interval(0.95, len(own) - 1, np.mean(own), stats.sem(own))
    assert (found.value, found.low, found.high) == pytest.approx((np.mean(own), low, high))


def test_of_fewer_than_five_trials_nothing_is_said_and_they_cost_the_others_nothing():
    assert FEWEST == 5
    few, enough = made_trials([0.5] * 4), made_trials([0.4, 0.5, 0.6, 0.5, 0.5])
    none, one = effects.effects([few, enough], 0)
    assert none is None
    assert one.adjusted == one.p == pytest.approx(1 / 32)
    assert effects.effects([], 0) == []
    assert not effects.is_claimed(none)


def test_a_claim_needs_a_sure_drop_that_is_worth_it():
    assert effects.is_claimed(effect_of([0.4, 0.5, 0.6, 0.5, 0.5, 0.4]))
    assert not effects.is_claimed(effect_of([0.01, 0.012, 0.01, 0.011, 0.01, 0.012]))
    assert not effects.is_claimed(effect_of([-0.4, -0.5, -0.6, -0.5, -0.5, -0.4]))
    assert not effects.is_claimed(effect_of([0.5, -0.4, 0.6, -0.5, 0.1, 0.0]))
    heavy = effect_of([0.02] * 6 + [3.0])
    assert heavy.adjusted < 0.025
    assert heavy.drop.low < 0
    assert not effects.is_claimed(heavy)


@pytest.mark.slow
def test_of_audits_in_which_nothing_matters_one_in_twenty_claims_at_most():
    rng = np.random.default_rng(0)
    claims = 0
    for _ in range(400):
        trials = [made_trials(rng.normal(0, 0.1, 8)) for _ in range(8)]
        claims += any(map(effects.is_claimed, effects.effects(trials, 0)))
    assert claims / 400 <= 0.025 + 2 * np.sqrt(0.025 * 0.975 / 400)


def test_the_interval_holds_the_mean_of_skewed_drops_as_often_as_it_says(monkeypatch):
    monkeypatch.setattr(effects, "_p", lambda drops, rng: 1.0)
    rng = np.random.default_rng(1)
    held = 0
    for _ in range(1500):
        drop = effect_of(rng.gamma(2.0, 0.1, 24)).drop
        held += drop.low <= 0.2 <= drop.high
    assert 0.92 <= held / 1500 <= 0.97
