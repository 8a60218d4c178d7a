"""The parts of the search: lattice, field, moves and the sampler, against plain computations."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probe.decide.search import Goal, Ground, Known, Search
from probe.decide.search_field import Field, Lattice
from probe.decide.search_moves import area
from probe.perturb import opacity, pixels
from probe.testing.samplers import check_sampler
from probe.types import Box, Canvas, Failure, Identity, Scores

canvases = st.builds(
    lambda width, height, grid, seen: Canvas((width, height), (width, height), grid, seen),
    st.integers(16, 300),
    st.integers(16, 300),
    st.sampled_from([1, 8]),
    st.sampled_from([(0.0, 0.0, 1.0, 1.0), (0.0625, 0.1, 0.93, 0.95)]),
)


def some_covers(ground, seed, count=10):
    rng = np.random.default_rng(seed)
    covers = ground.moves.around(rng.normal(size=ground.lattice.shape))
    for cover in sorted(covers):
        covers |= {*ground.moves.changed(cover, rng, 3), *ground.moves.cut(cover, rng, 3)}
    return [sorted(covers)[n] for n in rng.integers(0, len(covers), count)]


@settings(deadline=None, max_examples=40)
@given(canvases, st.integers(0, 99))
def test_a_cover_is_sent_exactly_as_it_is_counted(canvas, seed):
    ground = Ground(canvas, boxes=3)
    for cover in some_covers(ground, seed):
        sent = opacity(ground.perturbation(cover), canvas)
        expected = np.zeros_like(sent)
        for x0, y0, x1, y1 in cover:
            expected[y0:y1, x0:x1] += 255
        np.testing.assert_array_equal(sent, expected)
        assert (sent == 255).mean() == pytest.approx(ground.share(cover))
        np.testing.assert_allclose(
            ground.lattice.mean(sent), ground.lattice.cover(cover), atol=1e-9
        )


@settings(deadline=None, max_examples=40)
@given(canvases, st.integers(0, 99), st.integers(1, 3))
def test_moves_stay_within_what_is_seen(canvas, seed, boxes):
    ground = Ground(canvas, boxes)
    ((left, top, right, bottom),) = ground.moves.whole
    width, height = canvas.send
    assert left <= canvas.seen[0] * width + 1e-6
    assert bottom >= canvas.seen[3] * height - 1e-6
    for cover in some_covers(ground, seed):
        for x0, y0, x1, y1 in cover:
            assert left <= x0 < x1 <= right
            assert top <= y0 < y1 <= bottom
        grown = ground.moves.grown(cover, 1)
        assert area(grown) >= area(cover)


def test_the_heaviest_cells_are_covered_first():
    ground = Ground(Canvas((240, 160), (240, 160)), boxes=2)
    weights = np.zeros(ground.lattice.shape)
    weights[2:5, 3:6] = weights[9:12, 18:20] = 1.0
    covers = ground.moves.around(weights)
    first, second = (30, 20, 60, 50), (180, 90, 200, 120)
    near = [np.abs(np.subtract(cover, [first])).max() for cover in covers if len(cover) == 1]
    assert min(near) <= ground.step
    pairs = [cover for cover in covers if len(cover) == 2]
    assert min(np.abs(np.subtract(pair, (first, second))).max() for pair in pairs) <= ground.step


def field(count=20):
    rng = np.random.default_rng(3)
    lattice = Lattice((240, 160), (0, 0, 240, 160))
    boxes = [
        (x, y, x + int(rng.integers(20, 120)), y + int(rng.integers(20, 80)))
        for x, y in rng.integers(0, 80, (count, 2))
    ]
    covers = np.array([lattice.cover((box,)) for box in boxes])
    taken = covers[:, :200].sum(1) / 40
    return Field(lattice.shape, covers, taken, 0.5, 0.05), covers, taken


def test_the_field_knows_what_it_was_told_and_is_unsure_of_the_rest():
    model, covers, taken = field()
    guess = model.guess(covers)
    np.testing.assert_allclose(guess.mean, taken, atol=0.35)
    away = np.zeros((1, covers.shape[1]))
    away[0, -100:] = 1.0
    assert model.guess(away).spread[0] > 2 * guess.spread.max()
    assert model.guess(np.zeros_like(away)).mean[0] == pytest.approx(0, abs=0.4)


def test_believing_is_conditioning_on_an_answer_as_guessed():
    model, covers, _ = field()
    rng = np.random.default_rng(4)
    new = rng.random((6, covers.shape[1])) * (rng.random((6, 1)) < 0.7)
    believed = model.believe(model.believe(model.guess(new), 1), 4)
    told = np.vstack([covers, new[[1, 4]]])
    kernel = model._between(told, told, model._smooth(told))
    kernel += np.eye(len(told)) * (model.noise**2 + 0.01 * model.variance)
    across = model._between(new, told, model._smooth(told))
    own = np.diag(model._between(new, new, model._smooth(new)))
    expected = own - np.einsum("ij,ji->i", across, np.linalg.solve(kernel, across.T))
    np.testing.assert_allclose(believed.variance, np.maximum(expected, 1e-9), atol=1e-6)
    np.testing.assert_array_equal(believed.mean, model.guess(new).mean)


CANVAS = Canvas((96, 64), (96, 64))


def known(ground):
    boxes = [Box(0.2, 0.2, 0.6, 0.8), Box(0.5, 0.1, 0.9, 0.5), Box(0.0, 0.5, 0.5, 1.0)]
    return [
        Known(ground.lattice.mean(opacity(box, CANVAS)), score, (pixels(box, CANVAS),))
        for box, score in zip(boxes, (0.4, 0.85, 0.8), strict=True)
    ]


def searching(seed=0, budget=30, **goal):
    ground = Ground(CANVAS, 3)
    aim = Goal("nsfw", **({"threshold": 0.5, "reference": 0.9} | goal))
    return Search(ground, aim, known(ground), budget, seed)


def test_the_search_keeps_the_contract_of_samplers():
    check_sampler(lambda seed: searching(seed), budget=30)


def test_a_round_is_asked_at_once_and_there_is_only_a_handful():
    search, rounds = searching(), 0
    search.tell(Identity(), Scores({"nsfw": 0.9}))
    while asked := search.ask(1000):
        rounds += 1
        assert search.ask(1) == []
        for change in asked:
            hidden = opacity(change, CANVAS)[20:40, 30:54].mean() / 255
            search.tell(change, Scores({"nsfw": 0.9 - 0.8 * hidden}))
    assert rounds <= 8
    assert search.ground.share(search.best) < 0.06


def test_a_cover_of_the_map_that_passes_is_a_beginning():
    search = searching()
    assert search.best == ((19, 13, 58, 51),)
    assert searching(threshold=0.3).best is None


@pytest.mark.parametrize("above", [False, True])
def test_a_goal_is_on_one_side_of_its_threshold(above):
    goal = Goal("x", 0.5, 0.1 if above else 0.9, above)
    assert goal.passes(0.6) is above
    assert goal.passes(0.4) is not above
    assert goal.passes(0.5) is above
    assert goal.needed > 0
    assert goal.harder(1.0).needed == pytest.approx(goal.needed + 1.0)
    assert goal.taken(goal.reference) == 0


def test_what_a_label_that_is_left_out_scores_is_the_services_word():
    assert Goal("x", 0.5, 0.9, missing=0.1).score(Scores({"y": 1.0})) == 0.1
    assert Goal("x", 0.5, 0.9).score(Scores({"y": 1.0})) is None
    assert Goal("x", 0.5, 0.9, missing=0.1).score(Failure("refused", "no")) is None


def test_a_cut_leaves_a_box_without_a_band_of_it():
    ground = Ground(CANVAS, 3)
    whole = ((10, 10, 70, 50),)
    cuts = list(ground.moves.cut(whole, np.random.default_rng(0), 40))
    two = [cover for cover in cuts if len(cover) == 2]
    assert len(two) > 20
    inside = ground.lattice.cover(whole)
    assert sum(area(cover) < area(whole) for cover in two) > 15
    for cover in two:
        assert (ground.lattice.cover(cover) <= inside + 1e-9).all()


def test_the_covers_of_a_map_say_where_to_look_first():
    search = searching()
    search.tell(Identity(), Scores({"nsfw": 0.9}))
    for change in search.ask(1000):
        x0, y0, x1, y1 = search.asked[change][0]
        assert x0 < 58
        assert x1 > 19
        assert (x1 - x0) * (y1 - y0) < 39 * 38
