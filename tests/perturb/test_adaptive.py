import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probe.errors import UsageError
from probe.perturb import adaptive, canonical, multiscale, pixels
from probe.testing.samplers import check_sampler
from probe.types import Box, Canvas, Failure, Identity, Scene, Scores

CANVAS = Canvas((224, 224), (224, 224), 8)
SMALL = (0.6, 0.2, 0.75, 0.35)
LARGE = (0.1, 0.3, 0.7, 0.9)


def hidden(box, region):
    width = min(region[2], box.x1) - max(region[0], box.x0)
    height = min(region[3], box.y1) - max(region[1], box.y0)
    area = (region[2] - region[0]) * (region[3] - region[1])
    return max(width, 0) * max(height, 0) / area


def looks_at(region):
    return lambda box: Scores({"x": 0.9 - 0.9 * hidden(box, region)})


def rounds_of(sampler, answer, reference=None, size=10**6):
    """Answer as a loop does; the perturbations of each round."""
    sampler.tell(Identity(), reference or Scores({"x": 0.9}))
    rounds = []
    while asked := sampler.ask(size):
        while more := sampler.ask(size):
            asked = [*asked, *more]
        for box in asked:
            sampler.tell(box, answer(box))
        rounds.append(asked)
    return rounds


def plan(answer, budget=63, seed=0, canvas=CANVAS, **options):
    return rounds_of(adaptive(Scene(canvas, "x"), budget, seed, **options), answer)


def middle(box):
    return (box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2


@pytest.mark.parametrize("size", [(224, 224), (512, 1), (1, 512), (2, 3), (1, 1), (96, 64)])
@pytest.mark.parametrize("grid", [1, 8])
@pytest.mark.parametrize("budget", [63, 8, 5])
def test_it_keeps_the_contract_of_samplers(size, grid, budget):
    scene = Scene(Canvas(size, size, grid))
    check_sampler(lambda seed: adaptive(scene, budget, seed), budget=budget)


def test_three_rounds_share_the_budget_and_the_first_is_that_of_multiscale():
    found = plan(looks_at(SMALL))
    assert [len(asked) for asked in found] == [40, 12, 11]
    assert found[0] == multiscale(Scene(CANVAS), 40, 0, sides=(0.12, 0.75)).ask(40)


@pytest.mark.parametrize(
    ("budget", "options", "sizes"),
    [
        (63, {"rounds": 2, "first": 0.75}, [48, 15]),
        (255, {"rounds": 4}, [160, 32, 32, 31]),
        (8, {}, [5, 2, 1]),
        (7, {}, [7]),
        (0, {}, []),
    ],
)
def test_the_sizes_of_the_rounds(budget, options, sizes):
    assert [len(asked) for asked in plan(looks_at(LARGE), budget, **options)] == sizes


@pytest.mark.parametrize("region", [SMALL, LARGE, (0.0, 0.85, 0.2, 1.0)])
def test_fine_boxes_lie_at_the_evidence(region):
    for seed in range(3):
        coarse, fine, _ = (
            [hidden(box, region) > 0 for box in asked]
            for asked in plan(looks_at(region), seed=seed)
        )
        assert np.mean(fine) >= 0.5
        assert np.mean(fine) > 1.1 * np.mean(coarse)


def test_the_scale_is_learned():
    def sides(region):
        _, first, _ = plan(looks_at(region))
        return np.median([box.x1 - box.x0 for box in first])

    assert sides(SMALL) < 0.15
    assert sides(LARGE) > 0.2


def test_fine_boxes_are_of_two_sizes_in_turn():
    _, first, _ = plan(looks_at(LARGE), canvas=Canvas((224, 224), (224, 224)))
    sides = [box.x1 - box.x0 for box in first]
    assert sides[::2] == pytest.approx([sides[0]] * 6)
    assert sides[1::2] == pytest.approx([sides[1]] * 6)
    assert sides[1] < sides[0] < 0.31


def test_nothing_more_is_asked_until_the_last_answer_of_a_round():
    sampler = adaptive(Scene(CANVAS, "x"), 63, 0)
    sampler.tell(Identity(), Scores({"x": 0.9}))
    first = sampler.ask(99)
    for box in first[:-1]:
        sampler.tell(box, looks_at(SMALL)(box))
        assert sampler.ask(99) == []
    sampler.tell(Identity(1), Scores({"x": 0.9}))
    assert sampler.ask(99) == []
    sampler.tell(first[-1], Failure("refused", "not this one"))
    assert len(sampler.ask(99)) == 12


def test_the_order_of_the_answers_does_not_matter():
    def told(order):
        sampler = adaptive(Scene(CANVAS, "x"), 63, 4)
        sampler.tell(Identity(), Scores({"x": 0.9}))
        for box in sorted(sampler.ask(99), key=order):
            sampler.tell(box, looks_at(SMALL)(box))
        return sampler.ask(99)

    assert told(lambda box: 0) == told(lambda box: box.x0) == told(lambda box: -box.y1)


def test_a_picture_whose_score_never_falls_gets_the_boxes_of_many_sizes():
    coarse = multiscale(Scene(CANVAS), 63, 0, sides=(0.12, 0.75)).ask(63)
    for answer in (
        lambda box: Scores({"x": 0.9}),
        lambda box: Scores({"x": 0.95}),
        lambda box: Failure("refused", "not this one"),
        lambda box: Scores({"y": 0.0}),
    ):
        assert [box for asked in plan(answer) for box in asked] == coarse


def test_a_few_answers_are_enough_to_go_on_with():
    for seed in range(3):
        left = iter(range(10**6))
        found = plan(
            lambda box: looks_at(LARGE)(box) if next(left) % 9 == 0 else Failure("lost", "no"),  # noqa: B023
            seed=seed,
        )
        assert [len(asked) for asked in found] == [40, 12, 11]


def test_without_a_label_it_is_the_highest_of_the_reference():
    both = lambda box: Scores({"y": 0.1, **looks_at(SMALL)(box)})  # noqa: E731
    named = rounds_of(adaptive(Scene(CANVAS, "x"), 63, 0), both)
    free = rounds_of(adaptive(Scene(CANVAS), 63, 0), both, Scores({"y": 0.1, "x": 0.9}))
    assert named == free
    other = rounds_of(adaptive(Scene(CANVAS, "y"), 63, 0), both, Scores({"y": 0.1, "x": 0.9}))
    assert other[1] != named[1]


def test_fine_boxes_stay_within_what_the_model_sees():
    seen = (0.25, 0.0, 0.75, 1.0)
    canvas = Canvas((224, 224), (224, 224), seen=seen)
    _, *fine = plan(looks_at((0.3, 0.1, 0.45, 0.3)), canvas=canvas)
    edges = np.array([(box.x0, box.y0, box.x1, box.y1) for asked in fine for box in asked])
    assert (edges[:, 0] >= 0.25).all()
    assert (edges[:, 2] <= 0.75).all()


def test_boxes_of_a_noisy_model_differ_by_seed_only():
    def noisy(box):
        return Scores(
            {"x": 0.9 - 0.5 * hidden(box, LARGE) + 0.01 * np.sin(1000 * sum(middle(box)))}
        )

    assert plan(noisy, seed=3) == plan(noisy, seed=3)
    assert plan(noisy, seed=3) != plan(noisy, seed=4)


@settings(deadline=None, max_examples=30)
@given(
    st.integers(1, 80),
    st.integers(1, 80),
    st.sampled_from([1, 8]),
    st.integers(0, 70),
    st.lists(st.one_of(st.none(), st.floats(0, 1)), min_size=1, max_size=9),
)
def test_no_box_twice_whatever_the_picture_and_the_answers(width, height, grid, budget, scores):
    canvas = Canvas((width, height), (width, height), grid)
    turns = iter(range(10**6))

    def answer(box):
        score = scores[next(turns) % len(scores)]
        return Failure("lost", "no") if score is None else Scores({"x": score})

    boxes = [box for asked in plan(answer, budget, canvas=canvas) for box in asked]
    assert len(boxes) <= budget
    assert len({canonical(box, canvas) for box in boxes}) == len(boxes)
    for box in boxes:
        assert isinstance(box, Box)
        pixels(box, canvas)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rounds": 1}, "rounds"),
        ({"rounds": 2.5}, "rounds"),
        ({"rounds": True}, "rounds"),
        ({"first": 0}, "first"),
        ({"first": 1.0}, "first"),
        ({"first": float("nan")}, "first"),
        ({"sides": (0.5, 0.2)}, "sides"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(UsageError, match=message):
        adaptive(Scene(CANVAS), 63, 0, **options)
