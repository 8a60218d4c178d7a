"""An audit finds what was planted, measures it, and claims nothing where nothing is."""

from __future__ import annotations

import math

import pytest

from probe import Prober, from_callable
from probe.audit import Item, Wishes, audit
from probe.audit.words import finding, remarks
from probe.errors import UsageError
from tests.audit.pictures import Target, dataset, numbered, whole

SMALL = Wishes(pictures=24, budget=32, places=16, looked=200)


def audited(kind, number=90, seed=0, truths=True, wishes=SMALL, restless=False, **target):
    images, has, truth = dataset(kind, number, seed)
    if restless:
        images = target["restless"] = [numbered(image, n) for n, image in enumerate(images)]
    service = Target(whole(images, has) if kind else 0, seed=seed, **target)
    prober = Prober(from_callable(service, labels=["nsfw"]), repeats=0)
    items = [
        Item(f"{n}.png", image, bool(one) if truths else None)
        for n, (image, one) in enumerate(zip(images, truth, strict=True))
    ]
    return audit(prober, items, wishes), service, has


@pytest.mark.parametrize(
    "kind",
    ["mark", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("texture", "logo"))],
)
def test_what_was_planted_comes_first_with_an_interval_that_holds_its_effect(kind):
    found, service, has = audited(kind)
    first = found.features[0]
    assert found.claims[0] is first
    drop = first.effect.drop
    assert drop.low <= 0.5 <= drop.high
    assert drop.high - drop.low < 0.2
    assert has[[trial.index for trial in first.effect.trials]].mean() > 0.9
    assert has[[one.case.index for one in first.exemplars]].mean() > 0.9
    assert found.calls == service.calls <= SMALL.calls(len(has))
    assert first.within.low > first.without.high
    assert first.missing == pytest.approx(1000 * (first.within.value - first.without.value))
    assert [one.number for one in found.wanted] == [1]
    words = {"mark": "red", "logo": "bottom right", "texture": "anywhere"}[kind]
    assert words in finding(found)


def test_features_are_tested_in_pictures_that_had_no_part_in_finding_them():
    found, _, _ = audited("mark")
    probed = {case.index for case in found.cases}
    tested = {trial.index for one in found.features if one.effect for trial in one.effect.trials}
    assert tested
    assert not probed & tested


@pytest.mark.parametrize("restless", [False, True])
def test_nothing_is_claimed_where_nothing_is_planted(restless):
    found, _, _ = audited(None, restless=restless)
    assert not found.claims
    assert not found.wanted
    assert finding(found).startswith(("Nothing was found", "Nothing can be said"))


def test_a_silent_service_gives_no_evidence():
    found, _, _ = audited(None, noise=0.0)
    assert found.regions == 0
    assert not found.features
    assert "the evidence of no three pictures is alike" in finding(found)


@pytest.mark.slow
def test_without_a_truth_pictures_are_compared_by_the_services_word():
    found, _, _ = audited("mark", truths=False)
    assert found.truths == (0, 0)
    assert found.claims[0].within.value > 0.9
    assert found.claims[0].without.value < 0.1
    assert any(note.startswith("No truth is known") for note in remarks(found))


def test_one_class_alone_tells_of_the_effect_but_not_of_what_is_missing():
    images, has, _ = dataset("mark", 90, 0)
    prober = Prober(from_callable(Target(whole(images, has)), labels=["nsfw"]), repeats=0)
    items = [Item(str(n), image, False) for n, image in enumerate(images)]
    found = audit(prober, items, SMALL)
    assert found.claims
    assert found.claims[0].within.value is None
    assert found.claims[0].missing is None
    assert not found.wanted
    assert any("All pictures are truly not nsfw" in note for note in remarks(found))


def test_equal_pictures_count_once_and_what_is_no_picture_is_listed():
    images, has, truth = dataset("mark", 60, 0)
    target = Target(whole(images, has))
    prober = Prober(from_callable(target, labels=["nsfw"]), repeats=0)
    items = [Item(str(n), image, bool(truth[n])) for n, image in enumerate(images)]
    items += [Item("again", images[0], True), Item("broken", b"no picture", False)]
    found = audit(prober, items, SMALL)
    assert (found.pictures, found.scored, found.repeated, found.failed) == (62, 61, 1, 1)
    assert found.failures[0][0] == "broken"
    assert sum(found.truths) == 60
    assert found.calls == target.calls


@pytest.mark.slow
def test_the_same_again_is_the_same():
    one, _, _ = audited("mark", noise=0.0)
    other, _, _ = audited("mark", noise=0.0)
    assert [f.effect and f.effect.drop for f in one.features] == [
        f.effect and f.effect.drop for f in other.features
    ]
    assert [case.index for case in one.cases] == [case.index for case in other.cases]


@pytest.mark.parametrize("cap", [50, 400, pytest.param(95 + 24 * 31, marks=pytest.mark.slow)])
def test_at_a_cap_it_reports_on_what_there_is(cap):
    images, has, truth = dataset("mark", 90, 0)
    target = Target(whole(images, has))
    prober = Prober(from_callable(target, labels=["nsfw"]), repeats=0, max_calls=cap)
    items = [Item(str(n), image, bool(truth[n])) for n, image in enumerate(images)]
    found = audit(prober, items, SMALL)
    assert "the cap of" in str(found.stopped)
    assert found.calls == target.calls == cap
    assert found.scored == min(cap, 90)
    assert any(note.startswith("It ended early") for note in remarks(found))


def test_a_cap_of_nothing_is_said_as_it_is():
    images, _, _ = dataset(None, 4, 0)
    prober = Prober(from_callable(Target(0), labels=["nsfw"]), repeats=0, max_calls=0)
    with pytest.raises(Exception, match="the cap of 0 calls is reached"):
        audit(prober, [Item(str(n), image) for n, image in enumerate(images)])


def test_no_picture_with_a_score_is_refused():
    prober = Prober(from_callable(Target(0), labels=["nsfw"]), repeats=0)
    with pytest.raises(UsageError, match="none of the pictures got a score"):
        audit(prober, [Item("x", b"nothing")])


def test_scores_are_given_out_in_the_order_of_the_list():
    images, _, _ = dataset(None, 12, 0)
    seen = []
    prober = Prober(from_callable(Target(0), labels=["nsfw"]), repeats=0)
    audit(
        prober,
        [Item(str(n), image) for n, image in enumerate(images)],
        SMALL,
        seen=lambda item, scored: seen.append((item.name, scored.index)),
    )
    assert seen == [(str(n), n) for n in range(12)]


def test_the_least_number_of_calls_is_planned():
    assert SMALL.calls(90) == 90 + 24 * 31 + 2 * 8 * 16
    assert Wishes().calls(1) == 1 + 0 + 2 * 8 * 1
    assert math.isfinite(Wishes().calls(0))
