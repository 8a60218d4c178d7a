from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probe.estimate import CoarseToFine, CoveringMean
from probe.methods import METHODS
from probe.perturb.regions import CELLS, Moments, posterior
from probe.types import Box, Canvas, Failure, Identity, Keep, Scene, Scores

CANVAS = Canvas((64, 64), (64, 64))
WHOLE = (0.0, 0.0, 1.0, 1.0)
TARGET = (0.25, 0.5, 0.5, 0.875)
"""On the lines of the posterior's grid."""
REFERENCE = Scores({"x": 0.9})


def hidden(cover, region=TARGET):
    x0, y0, x1, y1 = cover
    width = min(region[2], x1) - max(region[0], x0)
    height = min(region[3], y1) - max(region[1], y0)
    area = (region[2] - region[0]) * (region[3] - region[1])
    return max(width, 0) * max(height, 0) / area


def random_covers(n, seed=0):
    edges = np.sort(np.random.default_rng(seed).random((n, 2, 2)), axis=1)
    return edges.reshape(n, 4)


def belief_of(covers, drops, region=WHOLE):
    return posterior(Moments.of(np.asarray(covers), np.asarray(drops, float), region))


def inside(region=TARGET):
    cells = np.zeros((CELLS, CELLS), bool)
    x0, y0, x1, y1 = (round(edge * CELLS) for edge in region)
    cells[y0:y1, x0:x1] = True
    return cells


def answered(score, n=63, seed=0, canvas=CANVAS):
    """A run of the method; score: of an edge tuple."""
    method = METHODS["adaptive"]
    sampler, rows = method.plan(Scene(canvas, "x"), n, seed), []
    sampler.tell(Identity(), REFERENCE)
    while boxes := sampler.ask(n):
        for box in boxes:
            rows.append((box, Scores({"x": score((box.x0, box.y0, box.x1, box.y1))})))
            sampler.tell(*rows[-1])
    return rows


def mapped(rows, canvas=CANVAS, estimator=CoarseToFine, **options):
    made = estimator(canvas, "x", **options)
    made.update(Identity(), REFERENCE)
    for box, scores in rows:
        made.update(box, scores)
    return made.heatmap()


@pytest.mark.parametrize(
    "shape", [lambda f: f, lambda f: f * f, lambda f: 1 - (1 - f) ** 2, lambda f: 1 - (1 - f) ** 4]
)
def test_the_posterior_finds_a_rectangle_of_its_grid_its_side_and_what_it_takes(shape):
    covers = random_covers(200)
    belief = belief_of(covers, [0.6 * shape(hidden(cover)) + 0.1 for cover in covers])
    assert np.abs(belief.inclusion - inside()).max() < 0.05
    assert belief.evidence[inside()].mean() == pytest.approx(0.6, abs=0.05)
    assert belief.side == pytest.approx((0.25 * 0.375) ** 0.5, abs=0.01)


def test_the_grid_is_that_of_the_region_the_model_sees():
    region = (0.2, 0.1, 0.8, 0.9)
    target = (0.35, 0.5, 0.5, 0.7)
    covers = random_covers(200)
    belief = belief_of(covers, [hidden(cover, target) for cover in covers], region)
    assert np.abs(belief.inclusion - inside((0.25, 0.5, 0.5, 0.75))).max() < 0.05


def by_definition(covers, drops):
    """Inclusion and evidence over every rectangle in turn, by least squares."""
    from probe.perturb.regions import FLOOR, TEMPER

    lines = np.linspace(0, 1, CELLS + 1)
    shapes = (lambda f: f**2, lambda f: f, lambda f: 1 - (1 - f) ** 2, lambda f: 1 - (1 - f) ** 4)
    spans = [(a, b) for a in range(CELLS) for b in range(a + 1, CELLS + 1)][::5]
    total, n = ((drops - drops.mean()) ** 2).sum(), len(drops)
    found = {}
    for y in spans:
        for x in spans:
            region = lines[x[0]], lines[y[0]], lines[x[1]], lines[y[1]]
            shares = np.array([hidden(cover, region) for cover in covers])
            for i, shape in enumerate(shapes):
                h = shape(shares) - shape(shares).mean()
                amplitude = max(0, h @ drops / (h @ h + 1e-6))
                left = total - amplitude * (2 * h @ drops - amplitude * (h @ h + 1e-6))
                found[y, x, i] = -0.5 * n * TEMPER * np.log(left + FLOOR * total), amplitude
    return found


def test_the_likelihoods_are_those_of_least_squares(monkeypatch):
    """Against every fifth interval of the grid, each fitted by itself."""
    from probe.perturb import regions

    covers = random_covers(12, seed=2)
    drops = np.array([hidden(cover) for cover in covers])
    drops += np.random.default_rng(0).normal(0, 0.1, 12)
    truth = by_definition(covers, drops)
    ends = np.array([(a, b) for a in range(CELLS) for b in range(a + 1, CELLS + 1)])[::5]
    holds = np.array([[a <= cell < b for cell in range(CELLS)] for a, b in ends], float)
    monkeypatch.setattr(regions, "_INTERVALS", ends)
    monkeypatch.setattr(regions, "_HOLDS", holds)
    monkeypatch.setattr(regions, "_LENGTHS", np.diff(ends / CELLS).ravel())
    belief = belief_of(covers, drops)
    likelihoods = np.array([likelihood for likelihood, _ in truth.values()])
    weights = np.exp(likelihoods - likelihoods.max())
    weights /= weights.sum()
    inclusion, evidence = np.zeros((2, CELLS, CELLS))
    for weight, ((y, x, _), (_, amplitude)) in zip(weights, truth.items(), strict=True):
        inclusion[y[0] : y[1], x[0] : x[1]] += weight
        evidence[y[0] : y[1], x[0] : x[1]] += weight * amplitude
    np.testing.assert_allclose(belief.inclusion, inclusion, atol=1e-6)
    np.testing.assert_allclose(belief.evidence, evidence, atol=1e-6)


@settings(deadline=None, max_examples=20)
@given(st.lists(st.floats(-1, 1), min_size=1, max_size=12), st.floats(0.01, 100))
def test_what_it_believes_is_a_probability_and_scales_with_the_scores(drops, scale):
    covers = random_covers(len(drops))
    one, other = belief_of(covers, drops), belief_of(covers, scale * np.array(drops))
    assert one.inclusion.min() >= 0
    assert one.inclusion.max() <= 1 + 1e-9
    assert 0 < one.side <= 1
    assert one.evidence.min() >= 0
    if np.ptp(drops) > 1e-3:
        np.testing.assert_allclose(other.inclusion, one.inclusion, atol=1e-3)
        np.testing.assert_allclose(other.evidence, scale * one.evidence, atol=1e-3 * scale)


def test_moments_of_parts_add_up_and_can_be_taken_away():
    covers, drops = random_covers(9), np.arange(9.0)
    whole = Moments.of(covers, drops, WHOLE)
    parts = [Moments.of(covers[s], drops[s], WHOLE) for s in (slice(4), slice(4, None))]
    for found in (parts[0] + parts[1], (whole + parts[0]).without(parts[0])):
        for name in ("shares", "products", "drops"):
            np.testing.assert_allclose(getattr(found, name), getattr(whole, name), atol=1e-9)


def test_the_map_is_two_thirds_covering_mean_and_one_third_evidence():
    rows = answered(lambda cover: 0.9 - 0.8 * hidden(cover))
    heat = mapped(rows)
    mean = mapped(rows, estimator=CoveringMean, shrink=True, weight="area")
    sharp = (heat.values - 2 / 3 * mean.values) * 3
    core, outside = sharp[36:52, 20:28], sharp[:24]
    assert core.mean() == pytest.approx(0.8, abs=0.1)
    assert np.abs(outside).max() < 0.1
    assert (heat.stderr >= mean.stderr / 2).all()
    assert (heat.stderr > 0.6 * mean.stderr).any()
    assert np.array_equal(heat.mean_score, mean.mean_score)
    assert np.array_equal(heat.coverage, mean.coverage)
    assert (heat.answers, heat.kind, heat.unit, heat.reference) == (63, "evidence", "score", 0.9)
    assert heat.values.dtype == heat.stderr.dtype == np.float32


def test_it_is_sharper_than_the_covering_mean_of_as_many_boxes_of_many_sizes():
    def contrast(heat, seen):
        return np.nanmean(heat.values[seen]) / np.nanmean(heat.values[~seen])

    seen = np.kron(inside(), np.ones((4, 4), bool))
    for seed in range(3):
        score = lambda cover: 0.9 - 0.8 * hidden(cover)  # noqa: E731
        boxes = METHODS["multiscale"].plan(Scene(CANVAS), 63, seed).ask(63)
        plain = [(b, Scores({"x": score((b.x0, b.y0, b.x1, b.y1))})) for b in boxes]
        usual = mapped(plain, estimator=CoveringMean, shrink=True, weight="area")
        assert contrast(mapped(answered(score, seed=seed)), seen) > 1.3 * contrast(usual, seen)


def test_any_answers_may_be_missing():
    rows = answered(lambda cover: 0.9 - 0.8 * hidden(cover))
    holes = [(box, Scores({"y": 0.1}) if i % 3 else scores) for i, (box, scores) in enumerate(rows)]
    assert np.array_equal(mapped(holes).values, mapped(rows[::3]).values, equal_nan=True)
    for n in (0, 1, 2, 7, 8, 9):
        heat = mapped(rows[:n])
        assert np.array_equal(np.isnan(heat.values), heat.coverage == 0)
    assert mapped(rows[40:]).answers == 23


def test_the_order_of_the_answers_changes_the_error_only():
    rows = answered(lambda cover: 0.9 - 0.8 * hidden(cover))
    np.testing.assert_allclose(mapped(rows).values, mapped(rows[::-1]).values, atol=1e-5)


def test_the_first_identity_is_the_reference():
    estimator = CoarseToFine(CANVAS, "x")
    with pytest.raises(ValueError, match="reference"):
        estimator.heatmap()
    with pytest.raises(ValueError, match="first"):
        estimator.update(Box(0, 0, 1, 1), Scores({"x": 1}))
    estimator.update(Identity(full=True), Scores({"x": 0.1}))
    estimator.update(Identity(), Scores({"x": 0.8}))
    estimator.update(Identity(1), Scores({"x": 0.2}))
    assert estimator.heatmap().reference == 0.8
    with pytest.raises(ValueError, match="boxes"):
        estimator.update(Keep(0, 0, 1, 1), Scores({"x": 1}))


def test_what_the_model_does_not_see_is_nan():
    canvas = Canvas((64, 48), (64, 48), seen=(0.25, 0.0, 0.75, 1.0))
    heat = mapped(answered(lambda cover: 0.9 - 0.8 * hidden(cover), canvas=canvas), canvas)
    for plane in (heat.values, heat.stderr, heat.mean_score):
        assert np.isnan(plane[:, :16]).all()
        assert np.isnan(plane[:, 48:]).all()
    assert not np.isnan(heat.values[:, 16:48]).all()


@pytest.mark.parametrize("size", [(1, 512), (512, 1), (2, 3), (1, 1), (5000, 3)])
def test_extreme_pictures(size):
    canvas = Canvas(size, size, 8)
    heat = mapped(answered(lambda cover: 0.9 - 0.8 * hidden(cover), canvas=canvas), canvas)
    assert heat.values.shape == size[::-1]


def test_a_label_that_never_moves_has_a_flat_map():
    heat = mapped(answered(lambda cover: 0.9))
    assert np.nanmax(np.abs(heat.values)) < 1e-9
    assert np.nanmax(heat.stderr) < 1e-9


def test_the_error_falls_with_the_answers_and_rises_with_noise():
    def median(n, noise):
        errors = []
        for seed in range(4):
            rng = np.random.default_rng(seed)
            score = lambda cover: 0.9 - 0.8 * hidden(cover) + rng.normal(0, noise)  # noqa: B023, E731
            errors.append(np.nanmedian(mapped(answered(score, n, seed)).stderr))
        return np.mean(errors)

    for larger, smaller in pairwise((median(31, 0.0), median(127, 0.0))):
        assert larger > 1.3 * smaller
    assert median(63, 0.3) > 1.3 * median(63, 0.0)


def test_two_standard_errors_hold_the_mean_map_about_95_times_in_100():
    maps = []
    for seed in range(24):
        rng = np.random.default_rng(seed)
        score = lambda cover: 0.9 - 0.8 * hidden(cover) + rng.normal(0, 0.05)  # noqa: B023, E731
        maps.append(mapped(answered(score, seed=seed)))
    values = np.array([heat.values for heat in maps])
    errors = np.array([heat.stderr for heat in maps])
    off = np.abs(values - np.nanmean(values, axis=0))
    known = np.isfinite(off) & np.isfinite(errors)
    assert 0.9 < (off <= 2 * errors)[known].mean() < 0.995


def test_failures_reach_it_not_at_all_and_the_method_goes_on():
    method, turn = METHODS["adaptive"], 0
    sampler, estimator = method.plan(Scene(CANVAS, "x"), 63), method.estimator(CANVAS, "x")
    sampler.tell(Identity(), REFERENCE)
    estimator.update(Identity(), REFERENCE)
    while boxes := sampler.ask(9):
        for box in boxes:
            turn += 1
            scores = Scores({"x": 0.9 - 0.8 * hidden((box.x0, box.y0, box.x1, box.y1))})
            sampler.tell(box, Failure("lost", "no answer") if turn % 2 else scores)
            if turn % 2 == 0:
                estimator.update(box, scores)
    values = estimator.heatmap().values
    y, x = np.unravel_index(np.nanargmax(values), values.shape)
    assert turn == 63
    assert TARGET[0] <= x / 64 < TARGET[2]
    assert TARGET[1] <= y / 64 < TARGET[3]
