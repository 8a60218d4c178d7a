import tracemalloc
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probe.estimate import CoveringMean
from probe.perturb import pixels
from probe.types import Box, Canvas, Identity, Scores, Window

CANVAS = Canvas((10, 8), (10, 8))
KINDS = st.sampled_from(["evidence", "score"])
WEIGHTS = st.sampled_from(["equal", "area"])
edge = st.floats(-0.2, 1.2)
scores = st.floats(0, 1)


@st.composite
def answers(draw, min_size=0):
    rows = draw(st.lists(st.tuples(edge, edge, edge, edge, scores), min_size=min_size, max_size=12))
    return [
        (Box(min(a, b), min(c, d), max(a, b), max(c, d)), Scores({"x": score}))
        for a, b, c, d, score in rows
    ]


def covering(canvas, rows, reference=0.7, **options):
    estimator = CoveringMean(canvas, "x", **options)
    estimator.update(Identity(), Scores({"x": reference}))
    for perturbation, answer in rows:
        estimator.update(perturbation, answer)
    return estimator.heatmap()


def by_definition(canvas, rows, reference, kind, shrink, weight):
    """The covering mean pixel by pixel, straight from its definition: O(N H W)."""
    width, height = canvas.send
    values, stderr, mean_score = np.full((3, height, width), np.nan)
    coverage = np.zeros((height, width), int)
    regions = [pixels(perturbation, canvas) for perturbation, _ in rows]
    areas = [(x1 - x0) * (y1 - y0) / (width * height) for x0, y0, x1, y1 in regions]
    weights = [area**-0.5 if weight == "area" else 1.0 for area in areas]
    every = np.array([answer["x"] for _, answer in rows])
    if len(rows) > 1:
        overall = np.average((every - np.average(every, weights=weights)) ** 2, weights=weights)
        overall *= len(rows) / (len(rows) - 1)
    for y in range(height):
        for x in range(width):
            over = [
                i for i, (x0, y0, x1, y1) in enumerate(regions) if x0 <= x < x1 and y0 <= y < y1
            ]
            coverage[y, x] = len(over)
            if not over:
                continue
            w = np.array([weights[i] for i in over])
            s = np.array([rows[i][1]["x"] for i in over])
            mean_score[y, x] = np.average(s, weights=w)
            shrinkage = w.sum() / (w.sum() + np.exp(np.mean(np.log(weights)))) if shrink else 1
            evidence = (reference - mean_score[y, x]) * shrinkage
            values[y, x] = evidence if kind == "evidence" else mean_score[y, x]
            if len(rows) > 1:
                variance = np.average((s - mean_score[y, x]) ** 2, weights=w)
                n = w.sum() ** 2 / (w**2).sum()
                pooled = (n * variance + 2 * overall) / (n + 1)
                lost = (1 - shrinkage) * (reference - mean_score[y, x])
                stderr[y, x] = np.sqrt(pooled / n * shrinkage**2 + lost**2)
    return values, stderr, mean_score, coverage


@settings(deadline=None, max_examples=200)
@given(answers(), scores, KINDS, st.booleans(), WEIGHTS, st.sampled_from([1, 8]))
def test_the_map_is_the_covering_mean_by_its_definition(
    rows, reference, kind, shrink, weight, grid
):
    canvas = Canvas((10, 17), (10, 17), grid)
    heat = covering(canvas, rows, reference, kind=kind, shrink=shrink, weight=weight)
    expected = by_definition(canvas, rows, reference, kind, shrink, weight)
    got = heat.values, heat.stderr, heat.mean_score
    for plane, truth in zip(got, expected, strict=False):
        assert plane.dtype == np.float32
        assert plane.shape == (17, 10)
        assert np.array_equal(np.isnan(plane), np.isnan(truth))
        np.testing.assert_allclose(plane, truth, atol=1e-6, rtol=1e-5)
    assert (heat.coverage == expected[3]).all()


@given(answers(), st.randoms(use_true_random=False), WEIGHTS)
def test_the_order_of_the_answers_does_not_matter(rows, random, weight):
    shuffled = list(rows)
    random.shuffle(shuffled)
    one, other = (covering(CANVAS, r, shrink=True, weight=weight) for r in (rows, shuffled))
    for name in ("values", "stderr", "mean_score", "coverage"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), atol=1e-6)


@given(answers(min_size=1), st.integers(0, 100))
def test_answers_without_the_label_are_left_out(rows, where):
    holes = list(rows)
    holes.insert(where % (len(rows) + 1), (Box(0, 0, 1, 1), Scores({"another": 1.0})))
    one, other = covering(CANVAS, rows), covering(CANVAS, holes)
    assert np.array_equal(one.values, other.values, equal_nan=True)
    assert (one.coverage == other.coverage).all()
    assert one.answers == other.answers == len(rows)


def test_two_boxes_by_hand():
    rows = [(Box(0, 0, 0.5, 1), Scores({"x": 0.1})), (Box(0.2, 0, 1, 1), Scores({"x": 0.5}))]
    heat = covering(CANVAS, rows, reference=0.9)
    assert heat.values[0] == pytest.approx([0.8] * 2 + [0.6] * 3 + [0.4] * 5)
    assert heat.mean_score[7] == pytest.approx([0.1] * 2 + [0.3] * 3 + [0.5] * 5)
    assert heat.coverage[3].tolist() == [1] * 2 + [2] * 3 + [1] * 5
    alone, both = 0.08**0.5, ((2 * 0.04 + 2 * 0.08) / 3 / 2) ** 0.5
    assert heat.stderr[0] == pytest.approx([alone] * 2 + [both] * 3 + [alone] * 5)
    assert (heat.reference, heat.unit, heat.kind, heat.label) == (0.9, "score", "evidence", "x")


def test_small_boxes_weigh_by_one_over_the_root_of_their_area():
    rows = [(Box(0, 0, 1, 1), Scores({"x": 0.9})), (Box(0, 0, 0.5, 0.5), Scores({"x": 0.0}))]
    heat = covering(CANVAS, rows, reference=0.9, weight="area")  # weights 1 and 2
    assert heat.values[0, 0] == pytest.approx(0.9 * 2 / 3)


def test_shrinkage_adds_one_middling_box_of_zero_evidence():
    rows = [(Box(0, 0, 0.5, 1), Scores({"x": 0.1})), (Box(0.2, 0, 1, 1), Scores({"x": 0.5}))]
    heat = covering(CANVAS, rows, reference=0.9, shrink=True)
    assert heat.values[0] == pytest.approx([0.4] * 2 + [0.4] * 3 + [0.2] * 5)
    assert heat.mean_score[0, 0] == pytest.approx(0.1)  # stays the plain mean
    spread = ((2 * 0.04 + 2 * 0.08) / 3 / 2) ** 0.5
    assert heat.stderr[0, 3] == pytest.approx(np.hypot(spread * 2 / 3, 0.6 / 3))


def test_a_sure_pixel_outranks_one_lucky_box():
    sure = [(Box(0, 0, 0.5, 1), Scores({"x": 0.1}))] * 5
    lucky = [(Box(0.6, 0, 1, 1), Scores({"x": 0.0}))]
    plain = covering(CANVAS, sure + lucky).values[0]
    shrunk = covering(CANVAS, sure + lucky, shrink=True).values[0]
    assert plain[9] > plain[0]
    assert shrunk[9] < shrunk[0]


def test_windows_map_the_mean_score_itself():
    rows = [(Window(0, 0, 0.5, 1), Scores({"x": 0.25})), (Window(0, 0, 0.5, 1), Scores({"x": 0.5}))]
    heat = covering(CANVAS, rows, kind="score", weight="area")
    assert heat.values[0] == pytest.approx([0.375] * 5 + [np.nan] * 5, nan_ok=True)
    assert np.array_equal(heat.values, heat.mean_score, equal_nan=True)
    assert heat.kind == "score"


def test_what_nothing_covered_is_nan_and_never_zero():
    heat = covering(CANVAS, [(Box(0, 0, 0.3, 0.5), Scores({"x": 0.7}))])
    assert heat.values[0, 0] == 0
    for plane in (heat.values, heat.stderr, heat.mean_score):
        assert np.isnan(plane[5:]).all()
    assert (heat.coverage[5:] == 0).all()
    assert np.isnan(covering(CANVAS, []).values).all()


def test_what_the_model_does_not_see_is_nan_for_covers_but_not_for_windows():
    canvas = Canvas((100, 50), (100, 50), seen=(0.1, 0.2, 0.905, 0.8))
    rows = [(Box(0, 0, 1, 1), Scores({"x": 0.2}))] * 3
    heat = covering(canvas, rows)
    seen = np.zeros((50, 100), bool)
    seen[10:40, 10:91] = True
    for plane in (heat.values, heat.stderr, heat.mean_score):
        assert np.array_equal(~np.isnan(plane), seen)
    assert (heat.coverage == 3).all()
    shown = covering(canvas, [(Window(0, 0, 1, 1), Scores({"x": 0.2}))], kind="score")
    assert not np.isnan(shown.values).any()


def test_many_equal_answers_have_next_to_no_error_whatever_came_before():
    rng = np.random.default_rng(0)
    rows = [(Box(0, 0, 0.5, 1), Scores({"x": score})) for score in rng.random(2000)]
    rows += [(Box(0.5, 0, 1, 1), Scores({"x": 0.123456789}))] * 50
    stderr = covering(CANVAS, rows, weight="area").stderr
    assert stderr[:, 5:].max() < 0.01
    assert stderr[:, :5].max() == pytest.approx(np.sqrt(1 / 12 / 2000), rel=0.05)


def test_the_standard_error_falls_with_the_root_of_the_answers():
    rng = np.random.default_rng(1)
    drops = [(Box(0, 0, 1, 1), Scores({"x": score})) for score in rng.normal(0.5, 0.1, 1600)]
    errors = [covering(CANVAS, drops[:n]).stderr[0, 0] for n in (100, 400, 1600)]
    for wide, narrow in pairwise(errors):
        assert wide / narrow == pytest.approx(2, rel=0.15)


def test_the_first_identity_is_the_reference():
    estimator = CoveringMean(CANVAS, "x")
    with pytest.raises(ValueError, match="reference"):
        estimator.heatmap()
    with pytest.raises(ValueError, match="first"):
        estimator.update(Box(0, 0, 1, 1), Scores({"x": 1}))
    estimator.update(Identity(full=True), Scores({"x": 0.1}))
    estimator.update(Identity(), Scores({"x": 0.8}))
    estimator.update(Identity(1), Scores({"x": 0.2}))
    assert estimator.heatmap().reference == 0.8
    assert estimator.heatmap().answers == 0


def test_a_snapshot_leaves_the_sums_alone():
    estimator = CoveringMean(CANVAS, "x", shrink=True)
    estimator.update(Identity(), Scores({"x": 0.8}))
    rows = [(Box(0, 0, 0.5, 1), Scores({"x": 0.1})), (Box(0.2, 0, 1, 1), Scores({"x": 0.5}))]
    for perturbation, answer in rows:
        estimator.update(perturbation, answer)
        first, second = estimator.heatmap(), estimator.heatmap()
        assert np.array_equal(first.values, second.values, equal_nan=True)
    again = covering(CANVAS, rows, 0.8, shrink=True)
    assert np.array_equal(second.values, again.values, equal_nan=True)


def test_the_map_has_the_size_of_the_picture_as_given():
    heat = covering(Canvas((1000, 400), (10, 4)), [(Box(0, 0, 0.5, 1), Scores({"x": 0.2}))])
    assert heat.values.shape == heat.stderr.shape == heat.coverage.shape == (400, 1000)
    assert heat.values[0, 499] == pytest.approx(0.5)
    assert np.isnan(heat.values[0, 500])


def test_an_answer_is_held_as_its_numbers_alone():
    canvas = Canvas((200, 200), (200, 200))
    estimator = CoveringMean(canvas, "x", shrink=True, weight="area")
    estimator.update(Identity(), Scores({"x": 0.8}))
    rng = np.random.default_rng(0)

    def tell(n):
        for x, y, score in rng.random((n, 3)):
            estimator.update(Box(x - 0.2, y - 0.2, x, y), Scores({"x": score}))

    tell(100)
    tracemalloc.start()
    try:
        tell(2000)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 2000 * 32


def test_the_same_answers_fifty_times_over_give_the_same_map():
    canvas = Canvas((64, 64), (64, 64), 8)
    rows = [(Box(i / 9, 0, i / 9 + 0.2, 0.7), Scores({"x": i / 9})) for i in range(9)]
    one = covering(canvas, rows)
    many = covering(canvas, rows * 50)
    np.testing.assert_allclose(one.values, many.values, atol=1e-6)
    assert (many.coverage == 50 * one.coverage).all()
