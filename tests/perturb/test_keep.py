import pytest

from probe.errors import UsageError
from probe.perturb import canonical, cover_and_keep, keep, multiscale
from probe.testing.samplers import check_sampler
from probe.types import Box, Canvas, Keep, Scene

CANVAS = Canvas((224, 224), (224, 224), 8)
SCENE = Scene(CANVAS)
EMPTY = Box(0, 0, 1, 1)


@pytest.mark.parametrize("make", [keep, cover_and_keep])
@pytest.mark.parametrize("size", [(224, 224), (3, 2), (1, 1), (5000, 1)])
def test_they_keep_the_contract_of_samplers(make, size):
    scene = Scene(Canvas(size, (min(size[0], 512), size[1]), 8))
    check_sampler(lambda seed: make(scene, 63, seed), budget=63)


def test_the_empty_picture_comes_first_and_keeps_follow():
    plan = keep(SCENE, 63, 0).ask(999)
    assert plan[0] == EMPTY
    assert len(plan) == 63
    assert all(isinstance(change, Keep) for change in plan[1:])
    assert len({canonical(change, CANVAS) for change in plan}) == 63


def test_keeps_have_the_sides_asked_for():
    plan = keep(SCENE, 63, 0, sides=(0.5, 0.5), aspect=0.0).ask(999)[1:]
    assert [one.x1 - one.x0 for one in plan] == pytest.approx([0.5] * 62)


def test_a_larger_budget_goes_on_where_a_smaller_one_ended():
    for make in (keep, cover_and_keep):
        assert make(SCENE, 255, 3).ask(999)[:63] == make(SCENE, 63, 3).ask(999)


@pytest.mark.parametrize("share", [0.1, 1 / 3, 0.5, 0.9])
def test_any_beginning_has_the_share_of_keeps(share):
    plan = cover_and_keep(SCENE, 255, 0, share=share).ask(999)
    assert plan[0] == EMPTY
    assert len(plan) == 255
    for n in range(1, 255):
        kept = sum(isinstance(change, Keep) for change in plan[1 : 1 + n])
        assert abs(kept - share * n) < 1


def test_the_first_covers_are_those_of_multiscale_so_that_their_answers_are_shared():
    plan = cover_and_keep(SCENE, 63, 5).ask(999)[1:]
    covers = [change for change in plan if isinstance(change, Box)]
    assert covers[:32] == multiscale(SCENE, 63, 5).ask(32)
    assert len(covers) > 32


def test_covers_become_smaller_earlier_than_those_of_multiscale_and_keeps_do_not():
    plan = cover_and_keep(SCENE, 255, 5, sides=(0.4, 0.4), keep_sides=(0.3, 0.3)).ask(999)[1:]
    covers = [change.x1 - change.x0 for change in plan if isinstance(change, Box)]
    keeps = [change.x1 - change.x0 for change in plan if isinstance(change, Keep)]
    assert max(covers[127:]) < 0.6 * max(covers[:32])
    assert max(keeps[40:]) == pytest.approx(max(keeps[:40]), rel=0.05)


def test_covers_and_keeps_are_of_different_places():
    plan = cover_and_keep(SCENE, 63, 5).ask(999)[1:]
    covers = {(one.x0, one.y0) for one in plan if isinstance(one, Box)}
    keeps = {(one.x0, one.y0) for one in plan if isinstance(one, Keep)}
    assert not covers & keeps


@pytest.mark.parametrize("make", [keep, cover_and_keep])
@pytest.mark.parametrize(
    ("budget", "options", "message"),
    [
        (1, {}, "needs 2 answers beside the reference .* leaves 1: raise it by 1"),
        (0, {}, "raise it by 2"),
        (63, {"aspect": -1}, "aspect"),
        (63, {"overshoot": 1}, "overshoot"),
    ],
)
def test_what_cannot_be_planned_is_refused(make, budget, options, message):
    with pytest.raises(UsageError, match=message):
        make(SCENE, budget, 0, **options)


@pytest.mark.parametrize(
    ("make", "options"),
    [
        (keep, {"sides": (0, 0.5)}),
        (cover_and_keep, {"sides": (0.5, 0.2)}),
        (cover_and_keep, {"keep_sides": (0.5, 1.2)}),
        (cover_and_keep, {"share": 0.0}),
        (cover_and_keep, {"share": 1.0}),
    ],
)
def test_sides_and_shares_out_of_range_are_refused(make, options):
    with pytest.raises(UsageError, match="share" if "share" in options else "sides"):
        make(SCENE, 63, 0, **options)
