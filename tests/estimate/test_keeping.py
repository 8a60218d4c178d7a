import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probe.estimate import CoverAndKeep, CoveringMean, KeepingMean
from probe.perturb import cover_and_keep, keep, opacity, pixels
from probe.types import Box, Canvas, Identity, Keep, Scene, Scores

CANVAS = Canvas((96, 64), (96, 64), 8)
EMPTY = Box(0, 0, 1, 1)
TARGET = np.s_[16:40, 24:48]
scores = st.floats(-1, 1).map(lambda s: Scores({"x": s}))
keeps = st.lists(
    st.tuples(
        st.builds(lambda x, y: Keep(x, y, x + 0.4, y + 0.4), st.floats(0, 0.9), st.floats(0, 0.9)),
        scores,
    ),
    min_size=1,
    max_size=8,
)


def told(estimator, rows, reference=0.9):
    estimator.update(Identity(), Scores({"x": reference}))
    for perturbation, answer in rows:
        estimator.update(perturbation, answer)
    return estimator.heatmap()


def share(change):
    """A model that scores the visible share of one planted box."""
    return Scores({"x": float(1 - opacity(change, CANVAS)[TARGET].mean() / 255)})


def either(change):
    """Two planted boxes, each enough alone: no single cover lowers the score."""
    shown = 1 - opacity(change, CANVAS) / 255
    return Scores({"x": max(shown[8:24, 8:24].mean(), shown[40:56, 72:88].mean())})


@settings(deadline=None)
@given(keeps, scores)
def test_the_map_is_the_shrunk_weighted_mean_of_the_keeps_less_the_empty_picture(rows, empty):
    heat = told(KeepingMean(CANVAS, "x"), [(EMPTY, empty), *rows])
    regions = [pixels(change, CANVAS) for change, _ in rows]
    weights = np.array([((r[2] - r[0]) * (r[3] - r[1]) / (96 * 64)) ** -0.5 for r in regions])
    prior = np.exp(np.mean(np.log(weights)))
    for y, x in ((0, 0), (30, 20), (30, 60), (63, 95), (40, 40)):
        over = [i for i, (a, b, c, d) in enumerate(regions) if a <= x < c and b <= y < d]
        if not over:
            assert np.isnan(heat.values[y, x])
            continue
        w = weights[over]
        gain = np.average([rows[i][1]["x"] - empty["x"] for i in over], weights=w)
        assert heat.values[y, x] == pytest.approx(gain * w.sum() / (w.sum() + prior), abs=1e-5)
        mean = np.average([rows[i][1]["x"] for i in over], weights=w)
        assert heat.mean_score[y, x] == pytest.approx(mean, abs=1e-5)
        assert heat.coverage[y, x] == len(over)
    assert heat.answers == len(rows) + 1
    assert (heat.kind, heat.reference) == ("evidence", 0.9)


@pytest.mark.parametrize(
    ("make", "estimator"), [(keep, KeepingMean), (cover_and_keep, CoverAndKeep)]
)
def test_the_map_is_highest_where_the_score_comes_from(make, estimator):
    plan = make(Scene(CANVAS), 127, 0).ask(127)
    values = told(estimator(CANVAS, "x"), [(p, share(p)) for p in plan], 1.0).values
    y, x = np.unravel_index(np.nanargmax(values), values.shape)
    assert 16 <= y < 40
    assert 24 <= x < 48


def test_keeping_sees_two_parts_that_are_each_enough_alone():
    scene = Scene(CANVAS)
    kept = [(p, either(p)) for p in keep(scene, 127, 0).ask(127)]
    values = told(KeepingMean(CANVAS, "x"), kept, 1.0).values
    both = values[12:20, 12:20].mean(), values[44:52, 76:84].mean()
    assert min(both) > 2 * np.nanmedian(values)
    covered = [
        (Box(p.x0, p.y0, p.x1, p.y1), either(Box(p.x0, p.y0, p.x1, p.y1))) for p, _ in kept[1:]
    ]
    plain = told(CoveringMean(CANVAS, "x", shrink=True, weight="area"), covered, 1.0).values
    assert np.nanmax(plain) < 0.2 * min(both)


def test_a_keep_that_brings_nothing_over_the_empty_picture_is_no_evidence():
    rows = [(EMPTY, Scores({"x": 0.3})), (Keep(0, 0, 0.5, 1), Scores({"x": 0.3}))]
    assert told(KeepingMean(CANVAS, "x"), rows).values[0, 0] == 0


def test_a_lost_empty_picture_leaves_zero_in_its_place():
    rows = [(EMPTY, Scores({"y": 0.3})), (Keep(0, 0, 0.5, 1), Scores({"x": 0.4}))]
    heat = told(KeepingMean(CANVAS, "x"), rows)
    assert heat.values[0, 0] == pytest.approx(0.2)  # half of it: one box of zero beside it
    assert heat.answers == 1


def test_covering_counts_double():
    cover, kept = Box(0, 0, 0.5, 1), Keep(0, 0, 0.5, 1)
    rows = [
        (EMPTY, Scores({"x": 0.1})),
        *[(cover, Scores({"x": s})) for s in (0.2, 0.4)],
        *[(kept, Scores({"x": s})) for s in (0.5, 0.6, 0.7)],
    ]
    heat = told(CoverAndKeep(CANVAS, "x"), rows)
    one = told(CoveringMean(CANVAS, "x", shrink=True, weight="area"), rows[1:3])
    other = told(KeepingMean(CANVAS, "x"), [rows[0], *rows[3:]])
    assert heat.values[0, 0] == pytest.approx((2 * one.values[0, 0] + other.values[0, 0]) / 3)
    assert heat.stderr[0, 0] == pytest.approx(np.hypot(2 * one.stderr, other.stderr)[0, 0] / 3)
    assert heat.mean_score[0, 0] == pytest.approx(0.3)
    assert heat.coverage[0, 0] == 5
    assert heat.answers == 6
    assert heat.reference == 0.9


def test_what_one_side_did_not_touch_is_no_evidence_there():
    left, right = (Box(0, 0, 0.5, 1), Scores({"x": 0.3})), (Keep(0.5, 0, 1, 1), Scores({"x": 0.9}))
    heat = told(CoverAndKeep(CANVAS, "x"), [(EMPTY, Scores({"x": 0.0})), left, right])
    assert heat.values[0, 0] == pytest.approx(0.2)  # 0.6 shrunk to 0.3, twice, and 0
    assert heat.values[0, 95] == pytest.approx(0.15)  # 0.9 shrunk to 0.45, and twice 0
    assert np.isnan(heat.stderr).all()


def test_a_side_without_any_answer_leaves_the_other_alone():
    empty, kept = (EMPTY, Scores({"x": 0.1})), (Keep(0, 0, 0.5, 1), Scores({"x": 0.5}))
    cover = Box(0, 0, 0.5, 1), Scores({"x": 0.5})
    lost = Scores({"y": 1.0})
    one = told(CoverAndKeep(CANVAS, "x"), [empty, kept, (cover[0], lost)])
    other = told(CoverAndKeep(CANVAS, "x"), [empty, (kept[0], lost), cover])
    assert one.values[0, 0] == other.values[0, 0] == pytest.approx(0.2)
    assert np.isnan(told(CoverAndKeep(CANVAS, "x"), []).values).all()


def test_the_empty_picture_is_no_cover_of_the_combined_design():
    rows = [(EMPTY, Scores({"x": 0.1})), (Box(0, 0, 0.5, 1), Scores({"x": 0.5}))]
    heat = told(CoverAndKeep(CANVAS, "x"), rows)
    assert heat.values[0, 0] == pytest.approx(0.2)
    assert heat.coverage[0, 95] == 0
    assert np.isnan(heat.values[0, 95])


@pytest.mark.parametrize("estimator", [KeepingMean, CoverAndKeep])
def test_snapshots_and_strangers(estimator):
    one = estimator(CANVAS, "x")
    with pytest.raises(ValueError, match="reference"):
        one.heatmap()
    one.update(Identity(full=True), Scores({"x": 0.1}))
    one.update(Identity(), Scores({"x": 0.8}))
    one.update(Identity(1), Scores({"x": 0.2}))
    assert np.isnan(one.heatmap().values).all()
    one.update(EMPTY, Scores({"x": 0.1}))
    one.update(Keep(0, 0, 0.5, 1), Scores({"x": 0.5}))
    assert np.array_equal(one.heatmap().values, one.heatmap().values, equal_nan=True)
    assert one.heatmap().values[0, 0] == pytest.approx(0.2)  # a box of zero evidence beside it
    assert one.heatmap().reference == 0.8


def test_what_the_model_does_not_see_is_nan():
    canvas = Canvas((96, 64), (96, 64), seen=(0.25, 0, 1, 1))
    rows = [(EMPTY, Scores({"x": 0.0}))] + [(Keep(0, 0, 1, 0.5), Scores({"x": 0.8}))] * 3
    for estimator in (KeepingMean, CoverAndKeep):
        values = told(estimator(canvas, "x"), rows).values
        assert np.isnan(values[:, :24]).all()
        assert np.isfinite(values[:32, 24:]).all()
