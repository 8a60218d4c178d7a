import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probe.estimate import Contrast
from probe.perturb import opacity, rise
from probe.types import Box, Canvas, Identity, Keep, Mask, Scene, Scores

CANVAS = Canvas((24, 16), (24, 16))
TARGET = np.s_[4:10, 8:16]
scores = st.floats(-1, 1)
masks = st.builds(
    lambda cells, x, y: Mask(bytes(cells), 3, (x, y, x + 1.5, y + 1.5), smooth=True),
    st.lists(st.integers(0, 255), min_size=9, max_size=9),
    st.floats(-0.5, 0),
    st.floats(-0.5, 0),
)
covers = st.one_of(
    masks,
    st.builds(lambda x, y: Box(x, y, x + 0.5, y + 0.5), st.floats(0, 0.9), st.floats(0, 0.9)),
    st.builds(lambda x, y: Keep(x, y, x + 0.5, y + 0.5), st.floats(0, 0.9), st.floats(0, 0.9)),
)
answers = st.lists(st.tuples(covers, scores.map(lambda s: Scores({"x": s}))), max_size=8)


def contrast(canvas, rows, reference=0.8):
    estimator = Contrast(canvas, "x")
    estimator.update(Identity(), Scores({"x": reference}))
    for perturbation, answer in rows:
        estimator.update(perturbation, answer)
    return estimator.heatmap()


def visible(mask, canvas=CANVAS):
    """A model that scores the visible share of a planted box."""
    return Scores({"x": float((1 - opacity(mask, canvas) / 255)[TARGET].mean())})


def planted(canvas, budget, seed=0, cells=4):
    plan = rise(Scene(canvas), budget, seed, cells=cells).ask(budget)
    return contrast(canvas, [(mask, visible(mask)) for mask in plan], 1.0)


@settings(deadline=None)
@given(answers, scores)
def test_the_map_is_the_difference_of_two_weighted_means_and_so_is_its_error(rows, reference):
    heat = contrast(CANVAS, rows, reference)
    shown = np.array([1 - opacity(change, CANVAS) / 255 for change, _ in rows]).reshape(-1, 16, 24)
    score = np.array([answer["x"] for _, answer in rows])[:, None, None]
    n = len(rows)
    with np.errstate(all="ignore"):
        total, rest = shown.sum(0), (1 - shown).sum(0)
        on, off = (shown * score).sum(0) / total, ((1 - shown) * score).sum(0) / rest
        pulls = shown * (score - on) / total - (1 - shown) * (score - off) / rest
        stderr = np.sqrt((pulls**2).sum(0) * n / (n - 1)) if n > 1 else np.full(on.shape, np.nan)
    unknown = (total < 1e-9) | (rest < 1e-9)
    for found, expected in ((heat.values, on - off), (heat.stderr, stderr)):
        assert found.dtype == np.float32
        assert np.isnan(found[unknown]).all()
        np.testing.assert_allclose(found[~unknown], expected[~unknown], atol=2e-3)
    np.testing.assert_allclose(heat.mean_score[rest > 1e-9], off[rest > 1e-9], atol=1e-4)
    assert (heat.coverage == (shown < 0.5).sum(0)).all()
    assert heat.answers == n
    assert (heat.kind, heat.unit, heat.reference) == ("evidence", "score", reference)


def test_it_is_highest_where_the_score_comes_from():
    values = planted(CANVAS, 255).values
    y, x = np.unravel_index(values.argmax(), values.shape)
    assert 4 <= y < 10
    assert 8 <= x < 16
    inside = np.zeros(values.shape, bool)
    inside[TARGET] = True
    assert values[inside].mean() > 3 * np.abs(values[~inside]).mean()


def test_the_value_does_not_hang_on_the_share_that_is_shown():
    few, many = (
        contrast(
            CANVAS, [(m, visible(m)) for m in rise(Scene(CANVAS), 2000, 1, shown=p).ask(2000)], 1.0
        ).values[TARGET]
        for p in (0.3, 0.7)
    )
    assert few.mean() == pytest.approx(many.mean(), rel=0.1)


def test_hard_cells_give_what_covering_a_cell_takes():
    rng = np.random.default_rng(0)
    rows = []
    for cells in rng.integers(0, 2, (4000, 6)):
        score = 0.1 + 0.6 * (cells[0] == 0) + 0.2 * (cells[4] == 0)
        rows.append((Mask(bytes(cells.astype(np.uint8) * 255), 3), Scores({"x": score})))
    values = contrast(CANVAS, rows, 0.9).values
    assert values[0, 0] == pytest.approx(0.6, abs=0.03)
    assert values[15, 12] == pytest.approx(0.2, abs=0.03)
    assert values[0, 23] == pytest.approx(0, abs=0.03)


def test_the_standard_error_is_calibrated():
    truth = planted(CANVAS, 6_000, seed=99).values
    inside = []
    for seed in range(25):
        heat = planted(CANVAS, 63, seed)
        inside.append(np.abs(heat.values - truth) <= 2 * heat.stderr)
    assert 0.92 <= np.mean(inside) <= 0.98


def test_the_memory_does_not_grow_with_the_answers():
    canvas = Canvas((600, 400), (600, 400))
    masks = rise(Scene(canvas), 1100, 0).ask(1100)
    estimator = Contrast(canvas, "x")
    estimator.update(Identity(), Scores({"x": 0.8}))
    for mask in masks[:76]:
        estimator.update(mask, Scores({"x": 0.3}))
    tracemalloc.start()
    try:
        for mask in masks[76:]:
            estimator.update(mask, Scores({"x": 0.3}))
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 50_000


def test_a_large_picture_is_summed_small_and_drawn_large():
    canvas = Canvas((1200, 800), (1200, 800))
    heat = contrast(canvas, [(m, visible(m)) for m in rise(Scene(CANVAS), 63, 0).ask(63)], 1.0)
    small = contrast(CANVAS, [(m, visible(m)) for m in rise(Scene(CANVAS), 63, 0).ask(63)], 1.0)
    assert heat.values.shape == heat.coverage.shape == (800, 1200)
    np.testing.assert_allclose(heat.values[25::50, 25::50], small.values, atol=0.02)


def test_what_the_model_does_not_see_is_nan():
    canvas = Canvas((24, 16), (24, 16), seen=(0.25, 0.25, 0.75, 1))
    heat = contrast(canvas, [(m, visible(m)) for m in rise(Scene(canvas), 20, 0).ask(20)])
    seen = np.zeros((16, 24), bool)
    seen[4:16, 6:18] = True
    for plane in (heat.values, heat.stderr, heat.mean_score):
        assert np.array_equal(np.isfinite(plane), seen)


def test_it_is_empty_before_the_answers_and_leaves_out_those_without_the_label():
    estimator = Contrast(CANVAS, "x")
    mask = rise(Scene(CANVAS), 1, 0).ask(1)[0]
    with pytest.raises(ValueError, match="reference"):
        estimator.heatmap()
    with pytest.raises(ValueError, match="first"):
        estimator.update(mask, Scores({"x": 1}))
    estimator.update(Identity(full=True), Scores({"x": 0.1}))
    estimator.update(Identity(), Scores({"x": 0.8}))
    estimator.update(Identity(1), Scores({"x": 0.2}))
    estimator.update(mask, Scores({"y": 0.2}))
    heat = estimator.heatmap()
    assert heat.reference == 0.8
    assert heat.answers == 0
    assert np.isnan(heat.values).all()
