"""Judgements with known answers: a model that sees one region of the picture."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from probe import Heatmap, Prober, from_callable, judge
from probe.errors import LimitReached, UsageError
from probe.heatmap import Planes
from probe.judging import prepare
from probe.testing.planted import Planted, planted_picture
from probe.types import Canvas

WHOLE = 145
"""A budget at which every step of both curves is asked."""


def heatmap(values, label="seen", reference=1.0, image=None):
    values = np.asarray(values, np.float32)
    size = (values.shape[1], values.shape[0])
    planes = Planes(values, values * 0, values, np.ones(values.shape, np.int32))
    return Heatmap(label, "score", reference, Canvas(size, size), planes, image=image)


@pytest.mark.parametrize("share", [1 / 8, 1 / 4, 1 / 2])
def test_the_true_map_has_the_areas_that_can_be_computed(seeing, share):
    model = seeing(share)
    found = judge(model.prober(), model.image, model.truth, budget=WHOLE)
    assert found.deletion == pytest.approx(share / 2, abs=1e-9)
    assert found.insertion == pytest.approx(1 - share / 2, abs=2e-3)  # a blurred pixel may be alike
    assert {len(curve.points) for curve in found.curves.values()} == {33}
    assert found.curves["deletion"].stderr == 0


@pytest.mark.parametrize("share", [0.07, 0.2, 0.45])
@pytest.mark.parametrize("budget", [13, 24, 40])
def test_few_calls_are_within_their_error(seeing, share, budget):
    model = seeing(share)
    found = judge(model.prober(), model.image, model.truth, budget)
    assert abs(found.deletion - share / 2) <= 3 * found.curves["deletion"].stderr
    assert abs(found.insertion - (1 - share / 2)) <= 3 * found.curves["insertion"].stderr
    if budget == 40:
        assert found.curves["deletion"].stderr < 0.02


def test_a_reversed_map_is_the_worst_and_beats_no_copy(seeing):
    model = seeing()
    true = judge(model.prober(), model.image, model.truth)
    worst = judge(model.prober(), model.image, -model.truth)
    assert worst.deletion == pytest.approx(1 - 0.25 / 2, abs=0.02)
    assert worst.insertion == pytest.approx(0.25 / 2, abs=0.02)
    assert true.control.ahead
    assert true.control.beaten == len(true.control.gains) == 4
    assert true.control.gain > 0.5
    assert not worst.control.ahead
    assert worst.control.gain < 0
    assert "beats all 4 copies of itself in other places" in true.verdict
    assert "luck does that 1 time in 5" in true.verdict
    assert "is not told from chance: it beats 0 of 4 copies" in worst.verdict


def test_pixels_that_nothing_covered_rank_last(seeing):
    model = seeing()
    partly = np.where(model.mask, 1.0, np.nan)
    partly.ravel()[-1] = -5.0  # the lowest value known, and yet before the unknown ones
    found = judge(model.prober(), model.image, partly, budget=WHOLE)
    assert found.deletion == pytest.approx(0.25 / 2, abs=1e-9)
    unknown = np.where(model.mask, np.nan, 0.0)
    unknown[-1, -1] = 1.0
    assert judge(model.prober(), model.image, unknown).deletion > 0.8


def test_a_map_of_windows_is_judged_by_its_scores():
    prober = Prober(Planted())
    heat = prober.heatmap(planted_picture(), method="windows")
    found = judge(prober, planted_picture(), heat)
    assert heat.kind == "score"
    assert found.label == "nsfw"
    assert found.control.ahead
    assert found.deletion < 0.4 < found.insertion


def test_a_map_is_judged_by_its_own_label():
    prober = Prober(Planted())
    heat = prober.heatmap(planted_picture(), "sfw")
    assert judge(prober, planted_picture(), heat).label == "sfw"
    assert judge(prober, planted_picture(), heat, label="nsfw").label == "nsfw"


@pytest.mark.parametrize("budget", [13, 14, 27, 40, 90])
def test_the_budget_is_used_and_not_more(seeing, budget):
    model = seeing()
    found = judge(model.prober(), model.image, model.truth, budget)
    assert model.asked == found.calls == found.answers == budget


def test_more_than_all_steps_and_controls_is_not_asked(seeing):
    model = seeing()
    values = model.truth + np.random.default_rng(0).normal(size=model.truth.shape)
    found = judge(model.prober(), model.image, values, budget=1000)
    assert found.calls == 1 + 2 * (32 + 2 * 19)
    assert len(found.control.gains) == 19


def test_what_was_answered_costs_nothing_again(seeing, tmp_path):
    model, where = seeing(), tmp_path / "ledger.db"
    first = judge(model.prober(ledger=where, identity="s 1"), model.image, model.truth)
    asked = model.asked
    second = judge(model.prober(ledger=where, identity="s 1"), model.image, model.truth)
    assert (asked, model.asked, second.calls) == (40, 40, 0)
    assert (second.deletion, second.insertion) == (first.deletion, first.insertion)


def test_a_stopped_judgement_goes_on_where_it_was(seeing, tmp_path):
    model, where = seeing(), tmp_path / "ledger.db"
    with pytest.raises(LimitReached) as stopped:
        judge(model.prober(ledger=where, identity="s 1", max_calls=9), model.image, model.truth)
    assert stopped.value.partial is not None
    found = judge(model.prober(ledger=where, identity="s 1"), model.image, model.truth)
    assert found.calls == 31
    assert model.asked == 40


def test_the_unchanged_picture_and_the_ends_are_asked_once(seeing):
    model = seeing(noise=1e-3)
    found = judge(model.prober(repeats=3), model.image, model.truth, budget=40)
    assert found.calls == found.answers == 40
    assert found.control.curves["deletion"][0].points[-1] == found.curves["deletion"].points[-1]


def test_pictures_without_a_score_are_holes(seeing):
    broken = (7, 25)
    model = seeing(broken=broken)
    found = judge(model.prober(), model.image, model.truth)
    assert found.failures == len(broken)
    holes = sum(curve.holes for curve in found.curves.values())
    holes += sum(one.holes for kind in found.control.curves.values() for one in kind)
    assert holes == len(broken)
    assert len(found.control.gains) < 4
    assert any("2 changed pictures got no score, holes in the curves" in n for n in found.notes)
    assert found.deletion == pytest.approx(0.125, abs=0.05)


def test_the_end_that_all_have_in_common_may_be_a_hole(seeing):
    model = seeing(broken=(1,))
    found = judge(model.prober(), model.image, model.truth)
    assert found.curves["deletion"].points[-1] == (1.0, None)
    assert len(found.control.gains) == 4
    assert found.control.ahead
    assert found.deletion == pytest.approx(0.125, abs=0.03)


def test_without_any_score_nothing_is_said(seeing):
    model = seeing(broken=range(1, 1000))
    found = judge(model.prober(), model.image, model.truth)
    assert np.isnan(found.deletion)
    assert found.verdict.startswith("Nothing can be said of the map")
    assert found.control.ahead is None
    record = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert record["deletion"] is record["control"]["gain"] is None


def test_the_noise_of_the_service_is_in_the_error(seeing):
    wrong = []
    for seed in range(4):
        model = seeing(noise=0.1, seed=seed)
        found = judge(model.prober(repeats=20), model.image, model.truth, budget=WHOLE + 20)
        error = found.curves["deletion"].stderr
        assert error == pytest.approx(0.1 * 32**0.5 / 32, rel=0.5)
        wrong.append(abs(found.deletion - 0.125) / error)
    assert 0 < max(wrong) < 3


def test_the_reference_is_the_mean_of_what_was_sent_and_its_drift_is_in_the_error():
    texture = np.random.default_rng(7).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    asked = 0

    def drifting(images):
        nonlocal asked
        asked += len(images)
        fresh = asked <= 8
        return [{"x": 1.0 if one.width == 64 else 0.6 if fresh else 0.4} for one in images]

    backend = from_callable(drifting, labels=["x"], batch=1, deterministic=False)
    prober = Prober(backend, side=32, repeats=3)
    found = judge(prober, texture, np.eye(64))
    assert found.curves["deletion"].reference == pytest.approx((0.6 * 3 + 0.4) / 4)
    assert found.curves["deletion"].reference_error > 0.1  # half of the drift, and the noise
    assert any("moved by 0.2 during the run" in note for note in found.notes)


def test_what_will_be_asked_is_known_before(seeing):
    model = seeing()
    prober = model.prober()
    task = prepare(prober, model.image, model.truth, 40)
    assert (task.calls(), model.asked) == (40, 0)
    assert judge(prober, model.image, model.truth).calls == 40
    assert prepare(prober, model.image, model.truth, 40).calls() == 0


def test_repeats_of_the_unchanged_picture_are_in_the_least_budget(seeing):
    model = seeing(noise=0.1)
    with pytest.raises(UsageError, match=r"at least 17 answers \(the unchanged picture 5 x"):
        judge(model.prober(repeats=4), model.image, model.truth, budget=16)


def test_a_mask_adds_auroc_and_pointing(seeing, tmp_path):
    model = seeing()
    marked = np.full((64, 64, 4), 255, np.uint8)
    marked[~model.mask, 3] = 0  # transparent is outside
    Image.fromarray(marked).save(tmp_path / "mask.png")
    values = model.truth + np.linspace(0, 0.5, 64)
    for mask in (model.mask, tmp_path / "mask.png"):
        found = judge(model.prober(), model.image, values, mask=mask)
        assert (found.auroc, found.pointing) == (1.0, 1.0)
        assert "AUROC 1.00 and pointing 1.00 by the mask" in found.verdict
    blind = judge(model.prober(), model.image, values, mask=~model.mask)
    assert (blind.auroc, blind.pointing) == (0.0, 0.0)


def test_another_map_may_be_the_control(seeing):
    model = seeing()
    found = judge(model.prober(), model.image, model.truth, control=heatmap(-model.truth))
    assert found.control.ahead
    assert found.verdict.startswith("The map beats the other map, by ")
    behind = judge(model.prober(), model.image, -model.truth, control=model.truth)
    assert behind.verdict.startswith("The map is behind the other map, by ")


def test_a_map_made_at_a_smaller_size_serves(seeing):
    model = seeing()
    small = heatmap(model.truth[::8, ::8])
    found = judge(model.prober(), model.image, replace(small, canvas=Canvas((64, 64), (8, 8))))
    assert found.deletion == judge(model.prober(), model.image, model.truth).deletion


def test_the_places_of_the_copies_come_from_the_seed(seeing):
    model = seeing()
    values = model.truth + np.random.default_rng(0).normal(size=model.truth.shape)
    one, same, other = (judge(model.prober(), model.image, values, seed=seed) for seed in (1, 1, 2))
    assert one.control.gains == same.control.gains != other.control.gains
    assert one.deletion == other.deletion


@pytest.mark.parametrize(
    ("values", "options", "says"),
    [
        (np.zeros((64, 64)), {}, "the map is flat, 0 everywhere"),
        (np.full((64, 64), 0.1), {}, "the map is flat, 0.1 everywhere"),
        (np.full((64, 64), np.nan), {}, "the map is empty"),
        (np.eye(60, 64), {}, "a picture of 64 x 60 px, this one has 64 x 64"),
        (np.zeros(9), {}, "an array (H, W) of numbers"),
        (np.eye(64), {"budget": 12}, "judging a map needs at least 13 answers"),
        (np.eye(64), {"budget": "auto"}, "budget must be a whole number, not 'auto'"),
        (np.eye(64), {"mask": np.ones((3, 4), bool)}, "the mask is 4 x 3 px, the picture 64 x 64"),
        (np.eye(64), {"mask": np.ones((64, 64), bool)}, "the mask marks everything"),
        (np.eye(64), {"mask": np.zeros((64, 64), bool)}, "the mask marks nothing"),
        (np.eye(64), {"control": np.zeros((64, 64))}, "the map is flat"),
        (np.eye(64), {"label": "sen"}, "Did you mean 'seen'?"),
        (heatmap(np.eye(64), image=Image.new("RGB", (64, 64))), {}, "another picture of the same"),
    ],
)
def test_what_cannot_be_judged_is_said_before_the_first_call(seeing, values, options, says):
    model = seeing()
    with pytest.raises(UsageError) as refused:
        judge(model.prober(), model.image, values, **options)
    assert says in str(refused.value)
    assert model.asked == 0


def test_a_score_of_zero_costs_one_call(seeing):
    model = seeing()
    model.mask, other = ~model.mask, Image.new("RGB", (64, 64), "white")
    with pytest.raises(UsageError, match="scores 0 for 'seen': nothing can be taken"):
        judge(model.prober(), other, model.truth)
    assert model.asked == 1


def test_what_one_should_know_is_noted(seeing):
    model = seeing()
    found = judge(model.prober(), model.image, heatmap(model.truth, reference=0.4))
    assert any(
        "made where the picture scored 0.4 for 'seen'; here it scores 1" in n for n in found.notes
    )
    assert not judge(model.prober(), model.image, heatmap(model.truth)).notes


def test_a_label_that_never_moves_is_said(seeing):
    same = Prober(from_callable(lambda images: [{"x": 0.5}] * len(images), labels=["x"]))
    found = judge(same, seeing().image, seeing().truth)
    (note,) = found.notes
    assert note.startswith("No change moved the score")
    assert not found.control.ahead


def test_tiny_pictures_have_fewer_steps(seeing):
    image = Image.fromarray(
        np.array([[[255, 0, 0], [0, 0, 255]], [[0, 255, 0], [9, 9, 9]]], np.uint8)
    )

    def red(images):
        return [{"red": 0.1 + 0.9 * (one.getpixel((0, 0)) == (255, 0, 0))} for one in images]

    found = judge(Prober(from_callable(red, labels=["red"])), image, np.eye(2))
    assert found.calls < 12
    assert found.insertion > found.deletion
