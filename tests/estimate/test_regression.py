import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probe.estimate import Regression
from probe.estimate.regression import Parts, inclusion, ridge, shapley
from probe.perturb import kernelshap, lime, opacity
from probe.perturb.superpixels import mask, superpixels
from probe.types import Box, Canvas, Identity, Mask, Scene, Scores

CANVAS = Canvas((96, 64), (96, 64), 8)
SCENE = Scene(CANVAS)
EMPTY = Box(0, 0, 1, 1)
TARGET = np.s_[16:40, 24:48]
games = st.integers(2, 7).flatmap(
    lambda n: st.lists(st.floats(-1, 1), min_size=2**n, max_size=2**n)
)


def told(fit, rows, reference=0.9, canvas=CANVAS):
    estimator = Regression(canvas, "x", fit=fit)
    estimator.update(Identity(), Scores({"x": reference}))
    for perturbation, answer in rows:
        estimator.update(perturbation, answer)
    return estimator.heatmap()


def share(change):
    """A model that scores the visible share of a planted box."""
    return Scores({"x": float(1 - opacity(change, CANVAS)[TARGET].mean() / 255)})


def coalitions(count):
    return np.array(list(itertools.product([0.0, 1.0], repeat=count)))


def exact(game):
    """Shapley values by their definition; `game` is the score of each coalition, as a bit set."""
    count = len(game).bit_length() - 1
    values = np.zeros(count)
    for i, members in itertools.product(range(count), range(2**count)):
        if not members >> i & 1:
            k = members.bit_count()
            weight = math.factorial(k) * math.factorial(count - k - 1) / math.factorial(count)
            values[i] += weight * (game[members | 1 << i] - game[members])
    return values


def smooth_game(count, seed=0):
    """A saturating score with interactions."""
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=count), np.triu(rng.normal(size=(count, count)) * 0.3, 1)
    return lambda z: 1 / (1 + np.exp(-(z @ a + np.einsum("...i,ij,...j", z, b, z)) / 2))


@settings(deadline=None)
@given(games)
def test_all_coalitions_give_the_exact_shapley_values_and_no_error(game):
    count = len(game).bit_length() - 1
    sets = np.arange(1, 2**count - 1)
    shown = (sets[:, None] >> np.arange(count) & 1).astype(float)
    values, stderr = shapley(shown, np.array(game)[sets], game[-1], game[0])
    np.testing.assert_allclose(values, exact(game), atol=1e-9)
    assert stderr == pytest.approx(np.zeros(count), abs=1e-9)


@settings(deadline=None)
@given(games, st.integers(0, 1000))
def test_shapley_values_add_up_to_what_all_is_worth_however_few_are_asked(game, seed):
    count = len(game).bit_length() - 1
    sets = np.random.default_rng(seed).integers(0, 2**count, 6)
    shown = (sets[:, None] >> np.arange(count) & 1).astype(float)
    values, _ = shapley(shown, np.array(game)[sets], game[-1], game[0])
    if not np.isnan(values).any():
        assert values.sum() == pytest.approx(game[-1] - game[0], abs=1e-9)


def test_an_additive_score_is_found_from_few_pairs():
    weights = np.array([0.4, 0.1, 0.0, -0.1, 0.2, 0.0])
    half = np.random.default_rng(0).permutation(coalitions(6)[1:32])[:8]
    shown = np.vstack([half, 1 - half])
    values, stderr = shapley(shown, 0.2 + shown @ weights, 0.8, 0.2)
    assert values == pytest.approx(weights, abs=1e-9)
    assert stderr == pytest.approx(np.zeros(6), abs=1e-6)


def drawn(count, n, seed):
    """Distinct coalitions in pairs, as the design draws them."""
    from probe.perturb.kernelshap import _drawn

    rows = {}
    for one in _drawn(count, np.random.default_rng(seed)):
        for z in (one, ~one):
            rows[z.tobytes()] = z
        if len(rows) >= n:
            return np.array(list(rows.values()), float)


@pytest.mark.parametrize("n", [48, 200])
def test_the_errors_of_sampled_shapley_values_are_calibrated(n):
    score, full, empty = smooth_game(10), np.ones(10), np.zeros(10)
    every = coalitions(10)[1:-1]
    truth, _ = shapley(every, score(every), score(full), score(empty))
    found = []
    for seed in range(60):
        shown = drawn(10, n, seed)
        found.append(shapley(shown, score(shown), score(full), score(empty)))
    values, stderr = np.moveaxis(found, 1, 0)
    known = np.isfinite(stderr)
    assert known.mean() > 0.95
    assert 0.91 <= (np.abs(values - truth) <= 2 * stderr)[known].mean() <= 0.99


def test_where_nothing_checks_a_value_its_error_is_not_known():
    shown = np.array([[1, 0, 0.0], [0, 1, 1], [0, 1, 0], [1, 0, 1]])
    values, stderr = shapley(shown, np.array([0.5, 0.2, 0.1, 0.6]), 0.8, 0.0)
    assert np.isfinite(values).all()
    assert np.isnan(stderr).all()


def test_the_chance_of_a_coalition_is_that_of_the_draws():
    """With 12 distinct pairs of 6 superpixels, how often is each size among them?"""
    runs = [drawn(6, 24, seed) for seed in range(500)]
    sizes = np.bincount(np.concatenate([run.sum(1) for run in runs]).astype(int), minlength=7)
    chance, weights = inclusion(runs[0])
    k = runs[0].sum(1).astype(int)
    of_size = np.array([math.comb(6, size) for size in k])
    assert chance == pytest.approx(sizes[k] / 500 / of_size, rel=0.08)
    kernel = 1 / (k * (6 - k) * of_size)
    assert chance * weights / kernel == pytest.approx(
        np.full(24, chance[0] * weights[0] / kernel[0])
    )


@settings(deadline=None, max_examples=50)
@given(st.integers(2, 6), st.integers(2, 30), st.integers(0, 1000))
def test_lime_is_the_closed_form_of_its_weighted_ridge_regression(count, n, seed):
    rng = np.random.default_rng(seed)
    shown, scores = rng.integers(0, 2, (n, count)).astype(float), rng.normal(size=n)
    values, stderr = ridge(shown, scores, 0.7, None, alpha=0.1)
    x, y = np.vstack([np.ones(count), shown]), np.append(0.7, scores)
    norms = np.sqrt(x.sum(1) * count)
    cosine = np.divide(x.sum(1), norms, out=np.zeros(len(x)), where=norms > 0)
    w = np.diag(np.sqrt(np.exp(-((1 - cosine) ** 2) / 0.25**2)))
    design = np.column_stack([np.ones(len(x)), x])
    penalty = np.diag([0.0] + [0.1] * count)
    expected = np.linalg.solve(design.T @ w @ design + penalty, design.T @ w @ y)
    np.testing.assert_allclose(values, expected[1:], atol=1e-7)
    assert stderr.shape == (count,)
    assert (stderr >= 0).all()


@pytest.mark.parametrize("n", [40, 200])
def test_the_errors_of_lime_are_calibrated(n):
    score = smooth_game(10)
    full = score(np.ones(10))
    every = coalitions(10)
    truth, _ = ridge(np.tile(every, (20, 1)), np.tile(score(every), 20), full, None)
    inside = []
    for seed in range(100):
        shown = np.random.default_rng(seed).integers(0, 2, (n, 10)).astype(float)
        values, stderr = ridge(shown, score(shown), full, None)
        inside.append(np.abs(values - truth) <= 2 * stderr)
    assert 0.91 <= np.mean(inside) <= 0.99


def test_the_pull_of_the_penalty_is_in_the_error_of_lime():
    weights = np.array([0.4, 0.1, 0.0, -0.1, 0.2, 0.0])
    shown = np.random.default_rng(0).integers(0, 2, (40, 6)).astype(float)
    values, stderr = ridge(shown, 0.2 + shown @ weights, 0.8, None)
    assert (np.abs(values - weights) <= 1.1 * stderr).all()
    assert stderr.max() < 0.01


@pytest.mark.parametrize(("make", "fit"), [(lime, ridge), (kernelshap, shapley)])
def test_the_map_is_highest_where_the_score_comes_from(make, fit):
    plan = make(SCENE, 127, 0).ask(127)
    values = told(fit, [(p, share(p)) for p in plan], 1.0).values
    inside = np.zeros(values.shape, bool)
    inside[TARGET] = True
    best = values == values.max()
    assert (best & inside).any()
    assert values[inside].mean() > 5 * np.abs(values[~inside]).mean()


@pytest.mark.parametrize(("make", "fit"), [(lime, ridge), (kernelshap, shapley)])
def test_each_pixel_has_the_value_of_its_superpixel(make, fit):
    labels = superpixels(SCENE, 15, 10.0)
    rng = np.random.default_rng(0)
    worth = rng.normal(size=labels.max() + 1) / 10

    def score(change):
        grid = (
            np.zeros(labels.shape, bool)
            if isinstance(change, Box)
            else np.frombuffer(change.cells, np.uint8).reshape(labels.shape) == 0
        )
        on = [grid[labels == n].all() for n in range(len(worth))]
        return Scores({"x": 0.4 + float(worth @ on)})

    plan = make(SCENE, 63, 0).ask(63)
    heat = told(fit, [(p, score(p)) for p in plan], 0.4 + worth.sum())
    tolerance = 0.03 if fit is ridge else 1e-6
    pixels = np.kron(worth[labels], np.ones((8, 8)))
    np.testing.assert_allclose(heat.values, pixels, atol=tolerance)
    covered = np.stack([opacity(p, CANVAS) > 127 for p in plan if isinstance(p, Mask)])
    assert (heat.coverage == covered.sum(0)).all()
    scores = np.array([score(p)["x"] for p in plan if isinstance(p, Mask)])[:, None, None]
    np.testing.assert_allclose(heat.mean_score, (covered * scores).sum(0) / covered.sum(0), 1e-4)
    assert heat.answers == 63
    assert heat.values.dtype == heat.stderr.dtype == np.float32


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 12), st.integers(0, 40), st.integers(0, 1000))
def test_parts_are_the_cells_that_all_masks_treat_alike(superpixel_count, n, seed):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, superpixel_count, (6, 8))
    masks = [mask(labels, rng.integers(0, 2, superpixel_count).astype(bool)) for _ in range(n)]
    parts = Parts()
    for one in masks:
        parts.add(one)
    grids = np.array([np.frombuffer(one.cells, np.uint8) for one in masks]).reshape(n, 48)
    assert parts.shown.shape == (n, len(np.unique(grids, axis=1).T) if n else 1)
    canvas = Canvas((8, 6), (8, 6))
    for row, grid in zip(parts.shown, grids, strict=True):
        assert (parts.spread(row, canvas).ravel() == (grid == 0)).all()


def test_more_parts_than_a_map_of_them_holds_are_refused():
    cells = np.arange(256, dtype=np.uint16)
    masks = [Mask(((cells >> bit & 1) * 255).astype(np.uint8).tobytes(), 16) for bit in range(8)]
    parts = Parts()
    for one in masks[:7]:
        parts.add(one)
    with pytest.raises(ValueError, match="up to 255 parts, not of 256"):
        parts.add(masks[7])


def test_an_answer_that_is_lost_costs_its_row_only():
    plan = kernelshap(SCENE, 63, 0).ask(63)
    rows = [(p, share(p)) for p in plan]
    holes = [*rows[:20], (rows[20][0], Scores({"y": 1.0})), *rows[21:]]
    one, other = told(shapley, holes, 1.0), told(shapley, rows[:20] + rows[21:], 1.0)
    assert np.array_equal(one.values, other.values)
    assert one.answers == 62
    assert np.isfinite(told(shapley, rows[1:], 1.0).values).all()  # without the empty picture


def test_snapshots_are_maps_from_the_first_answer_on():
    for make, fit in ((lime, ridge), (kernelshap, shapley)):
        estimator = Regression(CANVAS, "x", fit=fit)
        with pytest.raises(ValueError, match="reference"):
            estimator.heatmap()
        estimator.update(Identity(full=True), Scores({"x": 0.1}))
        estimator.update(Identity(), Scores({"x": 1.0}))
        estimator.update(Identity(1), Scores({"x": 0.2}))
        assert np.isnan(estimator.heatmap().values).all()
        for p in make(SCENE, 63, 0).ask(63):
            estimator.update(p, share(p))
            heat = estimator.heatmap()
            assert heat.values.shape == (64, 96)
            assert heat.reference == 1.0
        assert np.isfinite(heat.values).all()
        assert np.isfinite(heat.stderr).all()


def test_what_the_model_does_not_see_is_nan():
    canvas = Canvas((96, 64), (96, 64), 8, seen=(0.25, 0, 1, 1))
    rows = [(p, share(p)) for p in lime(Scene(canvas), 63, 0).ask(63)]
    heat = told(ridge, rows, 1.0, canvas)
    for plane in (heat.values, heat.stderr, heat.mean_score):
        assert np.isnan(plane[:, :24]).all()
        assert np.isfinite(plane[:, 24:]).all()
