from __future__ import annotations

import sqlite3
from dataclasses import replace

import numpy as np
import pytest

from probe import Failure, Heatmap, Prober, Scores, from_callable
from probe.errors import ContractError, LabelError
from probe.estimate import CoveringMean
from probe.ledger import Ledger
from probe.limits import Limits
from probe.testing.planted import Planted, planted_picture


def notes_of(scores, tmp_path, **options):
    """Notes of a run whose variants get these scores in turn."""
    turn = iter(scores)

    def score(images):
        return [{"x": next(turn)} for _ in images]

    prober = Prober(from_callable(score, ["x"]), **options)
    return " ".join(prober.probe(planted_picture(), budget=40).notes)


def test_the_same_score_for_everything_is_a_flat_map(tmp_path):
    assert "flat" in notes_of([0.5] * 40, tmp_path)


def test_a_few_levels_cannot_rank_pixels(tmp_path):
    assert "only 3 values" in notes_of([0, 0.5, 1, 0.5] * 10, tmp_path)


def test_scores_that_do_not_hang_on_the_place_are_nothing_significant(tmp_path):
    noisy = [0.5, 0.6, *(0.5 + (i % 9) / 100 for i in range(37)), 0.4]
    note = notes_of(noisy, tmp_path, repeats=2)
    assert note.startswith("It does not matter which part is changed: shuffled answers give")
    assert note.endswith("% of the cases, so nothing is significant.")


def test_a_map_of_noise_has_no_colour_and_one_of_evidence_has():
    random = np.random.default_rng(0)

    def noise(images):
        return [{"x": 0.5 + random.normal(0, 0.2)} for _ in images]

    flat = Prober(from_callable(noise, ["x"])).probe(planted_picture(), budget=40)
    heatmap = flat.heatmap()
    assert heatmap.p_value == flat.p_value > 0.05
    assert np.ptp(np.asarray(heatmap.overlay()).astype(int), axis=2).max() < 30
    real = Prober(Planted(), ledger=Ledger(None)).heatmap(planted_picture(), budget=40)
    assert real.p_value == 0.005
    assert np.ptp(np.asarray(real.overlay()).astype(int), axis=2).max() > 60


def test_the_p_value_is_of_the_label_that_was_asked_about(tmp_path):
    result = Prober(Planted(), ledger=Ledger(None)).probe(planted_picture(), "nsfw", budget=40)
    assert result.heatmap("sfw").p_value is None
    result.heatmap().save(tmp_path / "map.npz")
    assert Heatmap.load(tmp_path / "map.npz").p_value == result.p_value


def test_a_clear_map_needs_no_word():
    def red(images):
        return [{"x": image.resize((3, 3)).getpixel((1, 1))[0] / 255} for image in images]

    assert not Prober(from_callable(red, ["x"])).probe(planted_picture(), budget=40).notes


def test_damaged_answers_are_asked_again_and_said(tmp_path):
    ledger = tmp_path / "l.db"
    Prober(Planted(), ledger=ledger).probe(planted_picture(), budget=8)
    with sqlite3.connect(ledger) as connection:
        connection.execute("UPDATE answers SET checksum = zeroblob(8) WHERE seq IN (2, 3)")
    connection.close()
    backend = Planted()
    result = Prober(backend, ledger=ledger).probe(planted_picture(), budget=8)
    assert backend.asked == 2
    assert any("2 stored answers damaged" in note for note in result.notes)


def test_holes_are_counted():
    corner = planted_picture().getpixel((0, 0))

    def score(images):
        return [{"x": 0.5 if i.getpixel((0, 0)) == corner else float("nan")} for i in images]

    result = Prober(from_callable(score, ["x"])).probe(planted_picture(), method="grid")
    note = next(note for note in result.notes if "no score" in note)
    assert note == "1 variant got no score; the map leaves it out: the score of 'x' is nan."


def only_the_whole(images):
    """Scores the unchanged picture, and nothing else."""
    whole = planted_picture().tobytes()
    return [{"x": 0.5 if image.tobytes() == whole else float("nan")} for image in images]


def test_a_map_of_only_failures_is_none_and_says_so():
    result = Prober(from_callable(only_the_whole, ["x"])).probe(planted_picture(), budget=20)
    assert list(result.notes) == [
        "Not one of 19 variants got a score, so there is no map: the score of 'x' is nan."
    ]
    heatmap = result.heatmap()
    assert np.isnan(heatmap.values).all()
    assert heatmap.p_value is None
    assert heatmap.overlay().size == (96, 64)
    assert "empty: no variant got a score" in heatmap.plot().get_title()


def noisy(at_the_end, middle=0.0, second=0.5):
    """A service whose unchanged picture scores .5, then `second`, and at the end that."""
    asked = iter([0.5, second, *(0.1 + i / 100 + middle for i in range(37)), at_the_end])
    backend = from_callable(lambda images: [{"x": next(asked)} for _ in images], ["x"])
    return Prober(backend, repeats=2).probe(planted_picture(), budget=40)


def test_a_score_that_drifts_is_said_and_widens_the_errors():
    steady, drifting = noisy(0.5), noisy(0.8)
    assert not any("moved" in note for note in steady.notes)
    assert any("moved by 0.3 during the run" in note for note in drifting.notes)
    calm, wide = steady.heatmap().stderr, drifting.heatmap().stderr
    np.testing.assert_allclose(wide, np.hypot(calm, 0.15), rtol=1e-5)
    np.testing.assert_array_equal(steady.heatmap().values, drifting.heatmap().values)


def test_the_noise_floor_is_in_the_errors_of_evidence():
    """The unchanged picture scores .5, .54, .52: its error is in every difference from it."""
    steady, floored = noisy(0.5), noisy(0.52, second=0.54)
    assert floored.noise == pytest.approx(0.02)
    calm, wide = steady.heatmap().stderr, floored.heatmap().stderr
    np.testing.assert_allclose(wide, np.hypot(calm, 0.02), rtol=1e-5)
    crops = replace(
        floored, estimator=lambda label: CoveringMean(floored.canvas, label, kind="score")
    )
    plain = CoveringMean(floored.canvas, "x", kind="score")
    for answer in floored.answers:
        plain.update(answer.perturbation, answer.outcome)
    np.testing.assert_array_equal(crops.heatmap().stderr, plain.heatmap().stderr)


def test_one_score_at_the_start_tells_no_drift_from_noise():
    asked = iter([0.5, *(0.1 + i / 100 for i in range(38)), 0.8])
    backend = from_callable(lambda images: [{"x": next(asked)} for _ in images], ["x"])
    result = Prober(backend, repeats=1).probe(planted_picture(), budget=40)
    assert not any("moved" in note for note in result.notes)
    assert result.noise > 0


def test_noise_is_no_drift():
    assert not any("moved" in note for note in noisy(0.58, second=0.54).notes)
    assert any("moved" in note for note in noisy(0.6, second=0.54).notes)
    assert any("moved" in note for note in noisy(0.4, second=0.54).notes)


class TopOnly(Planted):
    """Leaves labels below .5 out of its answers, as a service that lists the likely ones does."""

    def answer(self, image):
        return Scores({name: s for name, s in super().answer(image).items() if s >= 0.5})


def probed(missing, label=None, **options):
    limits = Limits(batch=8, formats=("pixels",), labels=(), question="nsfw", missing=missing)
    return Prober(TopOnly(limits=limits), repeats=0, ledger=Ledger(None), **options).probe(
        planted_picture(), label, method="grid"
    )


def test_a_label_left_out_has_the_number_that_the_profile_states():
    result = probed(0.0)
    low = [a for a in result.answers if "nsfw" not in a.outcome]
    assert low
    assert result.failures == []
    assert result.describe(low[0])["score"] == 0.0
    assert result.strongest in low
    heat = result.heatmap()
    assert heat.answers == len(result.answers)
    assert float(np.nanmin(heat.mean_score)) < 0.5


def test_a_label_left_out_is_a_hole_where_the_profile_states_no_number():
    result = probed(None)
    low = [a for a in result.answers if "nsfw" not in a.outcome]
    assert len(result.failures) == len(low) > 0
    assert result.describe(low[0])["score"] is None
    assert result.heatmap().answers == len(result.answers) - len(low)
    note = next(note for note in result.notes if "no score" in note)
    assert note.startswith(f"{len(low)} variants got no score")
    assert "'nsfw'" in note


def test_a_label_that_the_reference_leaves_out_is_known_by_its_number():
    result = probed(0.0, "nsfw", fill="black")
    assert result.label == "nsfw"
    limits = Limits(formats=("pixels",), labels=("gun", "knife"), missing=0.0)
    backend = Planted(limits=limits, identity="guns")
    backend.answer = lambda image: Scores({"knife": 0.7})
    result = Prober(backend, repeats=0, ledger=Ledger(None)).probe(
        planted_picture(), "gun", budget=8
    )
    assert (result.label, result.reference["gun"]) == ("gun", 0.0)
    with pytest.raises(LabelError, match="gun"):
        Prober(backend, repeats=0, ledger=Ledger(None)).probe(planted_picture(), "gum", budget=8)


def test_a_service_that_finds_nothing_asks_for_a_label():
    backend = Planted(limits=Limits(formats=("pixels",), missing=0.0), identity="empty")
    backend.answer = lambda image: Scores({})
    with pytest.raises(ContractError, match="name the one"):
        Prober(backend, repeats=0, ledger=Ledger(None)).probe(planted_picture(), budget=8)
    result = Prober(backend, repeats=0, ledger=Ledger(None)).probe(
        planted_picture(), "gun", budget=8
    )
    assert result.reference == {"gun": 0.0}
    assert not result.failures


def test_what_was_lost_and_sent_again_is_counted():
    class Losing(Planted):
        def score(self, variants, codec):
            outcomes = super().score(variants, codec)
            if self.asked == 1 + 8:
                return [Failure("lost", "reset", billed=True)] * len(variants)
            return outcomes

    result = Prober(Losing(), ledger=Ledger(None)).probe(planted_picture(), budget=40)
    assert result.calls == 48
    assert any(note.startswith("The answer to 8 variants never came") for note in result.notes)
