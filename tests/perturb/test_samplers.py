import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probe.errors import UsageError
from probe.perturb import canonical, grid, multiscale, pixels, windows
from probe.testing.samplers import check_sampler
from probe.types import Box, Canvas, Scene, Window

SQUARE = Canvas((224, 224), (224, 224), 8)
sides = st.integers(1, 300)


def all_of(sampler):
    return sampler.ask(10**6)


def coverage(plan, canvas):
    covered = np.zeros(canvas.send[::-1], int)
    for perturbation in plan:
        x0, y0, x1, y1 = pixels(perturbation, canvas)
        covered[y0:y1, x0:x1] += 1
    return covered


def names(plan, canvas):
    return [canonical(perturbation, canvas) for perturbation in plan]


@pytest.mark.parametrize("make", [multiscale, grid, windows])
@pytest.mark.parametrize(
    "canvas",
    [SQUARE, Canvas((3000, 1000), (512, 171)), Canvas((1, 1), (1, 1), 8), Canvas((2, 3), (2, 3))],
)
def test_the_designs_keep_the_contract_of_samplers(make, canvas):
    check_sampler(lambda seed: make(Scene(canvas), 63, seed), budget=63)


def test_multiscale_gives_the_budget_and_no_box_twice():
    for seed in range(5):
        plan = all_of(multiscale(Scene(SQUARE), 500, seed))
        assert len(plan) == len(set(names(plan, SQUARE))) == 500


def test_another_seed_is_another_plan():
    plans = [set(names(all_of(multiscale(Scene(SQUARE), 63, seed)), SQUARE)) for seed in range(4)]
    assert len(set.union(*plans)) > 240


def test_a_larger_budget_goes_on_where_a_smaller_one_ended():
    small = all_of(multiscale(Scene(SQUARE), 63, 3))
    assert all_of(multiscale(Scene(SQUARE), 255, 3))[:63] == small


def test_multiscale_sides_are_log_uniform_within_their_range():
    plan = all_of(multiscale(Scene(SQUARE), 1024, 0, aspect=0, sides=(0.1, 0.4), coarse=2000))
    side = np.sort([box.x1 - box.x0 for box in plan])
    assert side[0] >= 0.1
    assert side[-1] <= 0.4
    assert np.quantile(side, [0.25, 0.5, 0.75]) == pytest.approx(
        [0.1 * 4**q for q in (0.25, 0.5, 0.75)], rel=0.03
    )
    assert [box.y1 - box.y0 for box in plan] == pytest.approx([box.x1 - box.x0 for box in plan])


def test_multiscale_stretches_boxes_both_ways_at_constant_area():
    plan = all_of(multiscale(Scene(SQUARE), 256, 1, sides=(0.3, 0.3), aspect=0.5, coarse=300))
    width = np.array([box.x1 - box.x0 for box in plan])
    height = np.array([box.y1 - box.y0 for box in plan])
    assert width * height == pytest.approx(np.full(256, 0.09))
    assert np.log(width / height).min() == pytest.approx(-0.5, abs=0.01)
    assert np.log(width / height).max() == pytest.approx(0.5, abs=0.01)


def test_sides_shrink_with_the_number_of_boxes_beyond_the_coarse_ones():
    options = {"sides": (0.4, 0.4), "aspect": 0, "overshoot": 0}
    plan = all_of(multiscale(Scene(SQUARE), 1000, 0, coarse=50, **options))
    sides = [box.x1 - box.x0 for box in plan]
    assert sides[:50] == pytest.approx([0.4] * 50)
    assert sides[199] == pytest.approx(0.2, rel=0.02)
    assert np.diff(sides[50:]).max() < 1e-9
    assert sides[-1] == pytest.approx(0.1)


def test_small_boxes_do_not_lie_outside_the_picture():
    for box in all_of(multiscale(Scene(SQUARE), 600, 0)):
        assert min(box.x1, box.y1) > 0
        assert max(box.x0, box.y0) < 1


def test_multiscale_reaches_beyond_the_picture_so_that_borders_are_covered_too():
    plan = all_of(multiscale(Scene(SQUARE), 1000, 2, coarse=1000))
    low = min(box.x0 for box in plan), min(box.y0 for box in plan)
    high = max(box.x1 for box in plan), max(box.y1 for box in plan)
    assert low == pytest.approx((-0.1, -0.1), abs=0.01)
    assert high == pytest.approx((1.1, 1.1), abs=0.01)
    assert coverage(all_of(multiscale(Scene(SQUARE), 63, 2)), SQUARE).min() > 0


@pytest.mark.parametrize(
    "options",
    [
        {"sides": (0, 0.5)},
        {"sides": (0.5, 0.2)},
        {"sides": (0.2, 1.5)},
        {"aspect": -1},
        {"overshoot": 2},
    ],
)
def test_multiscale_refuses_options_out_of_range(options):
    with pytest.raises(UsageError, match=next(iter(options))):
        multiscale(Scene(SQUARE), 63, 0, **options)


def test_the_default_grid_is_seven_by_seven_with_its_windows_flush_with_the_borders():
    canvas = Canvas((80, 80), (80, 80))
    plan = all_of(grid(Scene(canvas), 63, 0))
    assert len(plan) == 49
    assert [pixels(box, canvas) for box in plan[:2]] == [(0, 0, 20, 20), (10, 0, 30, 20)]
    assert pixels(plan[-1], canvas) == (60, 60, 80, 80)


def test_the_last_position_moves_to_the_border():
    canvas = Canvas((100, 50), (100, 50))
    plan = all_of(grid(Scene(canvas), 99, 0, size=(30, 20), stride=(30, 20)))
    assert [pixels(box, canvas)[0] for box in plan[:4]] == [0, 30, 60, 70]
    assert sorted({pixels(box, canvas)[1] for box in plan}) == [0, 20, 30]


def test_whole_numbers_are_pixels_of_the_picture_as_given_not_as_sent():
    canvas = Canvas((1000, 500), (500, 250))
    plan = all_of(grid(Scene(canvas), 99, 0, size=100, stride=100))
    assert len(plan) == 10 * 5
    assert pixels(plan[1], canvas) == (50, 0, 100, 50)


@settings(deadline=None)
@given(sides, sides, st.floats(0.05, 1), st.floats(0.3, 1), st.sampled_from([1, 8]))
def test_a_grid_covers_every_pixel_and_proposes_nothing_twice(width, height, size, step, snapping):
    canvas = Canvas((width, height), (width, height), snapping)
    plan = all_of(grid(Scene(canvas), 10**6, 0, size=size, stride=size * step))
    assert coverage(plan, canvas).min() >= 1
    assert len(set(names(plan, canvas))) == len(plan)


@settings(deadline=None)
@given(sides, sides)
def test_windows_cover_every_pixel_at_any_size(width, height):
    canvas = Canvas((width, height), (width, height), 8)
    plan = all_of(windows(Scene(canvas), 63, 0))
    assert coverage(plan, canvas).min() >= 1
    assert len(set(names(plan, canvas))) == len(plan)


def test_windows_of_two_scales_fit_the_default_budget():
    plan = all_of(windows(Scene(SQUARE), 63, 0))
    assert all(isinstance(window, Window) for window in plan)
    sizes = [pixels(window, SQUARE)[2] - pixels(window, SQUARE)[0] for window in plan]
    assert sizes == [112] * 9 + [56] * 49


def test_windows_of_one_scale_in_pixels():
    plan = all_of(windows(Scene(SQUARE), 63, 0, sizes=64, stride=1.0))
    assert [pixels(window, SQUARE)[0] for window in plan[:4]] == [0, 64, 128, 160]
    assert len(plan) == 16


@pytest.mark.parametrize("canvas", [(1, 1), (2, 3), (1, 5000), (5000, 1)])
def test_extreme_pictures_clamp(canvas):
    canvas = Canvas(canvas, (min(canvas[0], 512), min(canvas[1], 512)), 8)
    for make in (multiscale, grid, windows):
        plan = all_of(make(Scene(canvas), 63, 0))
        assert plan
        assert coverage(plan, canvas).min() >= 1
    assert all(isinstance(box, Box) for box in all_of(multiscale(Scene(canvas), 63, 0)))


def test_a_grid_on_one_pixel_is_one_box():
    assert len(all_of(grid(Scene(Canvas((1, 1), (1, 1), 8)), 63, 0))) == 1


def test_a_grid_above_the_budget_is_refused_naming_its_size_and_what_would_do():
    with pytest.raises(UsageError, match=r"7 x 7 positions needs 49 .* leaves 20: raise it by 29"):
        grid(Scene(SQUARE), 20, 0)
    assert len(all_of(grid(Scene(SQUARE), 49, 0))) == 49


def test_a_huge_grid_is_refused_at_once():
    canvas = Canvas((5000, 5000), (5000, 5000))
    with pytest.raises(UsageError, match="needs 25000000 answers"):
        grid(Scene(canvas), 63, 0, size=1, stride=1)
    with pytest.raises(UsageError, match="needs 25000000 answers"):
        windows(Scene(canvas), 63, 0, sizes=1, stride=1.0)


def test_windows_above_the_budget_are_refused():
    with pytest.raises(UsageError, match=r"2 scales needs 58 .* leaves 57: raise it by 1"):
        windows(Scene(SQUARE), 57, 0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 0}, "size 0 is out of range: 1 to 224 pixels"),
        ({"size": -3}, "size -3 is out of range"),
        ({"size": 225}, "size 225 is out of range: 1 to 224 pixels"),
        ({"size": (64, 300)}, "size 300 is out of range"),
        ({"size": 1.5}, r"size 1.5 is out of range: above 0, up to 1.0"),
        ({"size": 0.0}, "size 0.0 is out of range"),
        ({"size": float("nan")}, "size must be a number"),
        ({"size": True}, "size must be a number"),
        ({"size": "wide"}, "size must be a number"),
        ({"size": (1, 2, 3)}, "one length or two"),
        ({"stride": 0}, "stride 0 is out of range"),
        ({"stride": -0.5}, "stride -0.5 is out of range"),
        ({"size": 32, "stride": 33}, "larger than the window .* gaps"),
        ({"size": 0.25, "stride": (0.1, 0.3)}, "gaps"),
    ],
)
def test_a_grid_refuses_lengths_out_of_range_and_names_the_range(options, message):
    with pytest.raises(UsageError, match=message):
        grid(Scene(SQUARE), 10**6, 0, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sizes": ()}, "sizes is empty"),
        ({"sizes": (0.5, 0)}, "sizes 0 is out of range"),
        ({"sizes": 300}, "1 to 224 pixels"),
        ({"stride": 0}, "stride must be a fraction"),
        ({"stride": 1.2}, "stride must be a fraction"),
        ({"stride": float("nan")}, "stride must be a fraction"),
    ],
)
def test_windows_refuse_lengths_out_of_range(options, message):
    with pytest.raises(UsageError, match=message):
        windows(Scene(SQUARE), 63, 0, **options)
