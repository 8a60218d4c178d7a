"""What the loop does around a backend: what is on the disk when, what is asked when, and how it
ends."""

from __future__ import annotations

import logging
import random
import signal
import sqlite3
import threading
import time
from collections import Counter
from itertools import cycle

import numpy as np
import pytest

from probe import Box, Failure, Identity, Interrupted, Prober, Scores
from probe.api.transport.purse import Oversized
from probe.errors import (
    AuthError,
    BackendError,
    ContractError,
    LimitReached,
    QuotaExhausted,
    RateLimited,
    Rejected,
)
from probe.ledger import Ledger, stats
from probe.limits import Limits, Rate, Retry
from probe.loop.asking import EVERY, checks, phases
from probe.perturb import canonical
from probe.perturb.fixed import FixedDesign
from probe.perturb.render import Rendered
from probe.testing.planted import Planted, planted_picture
from probe.types import Canvas, Order

PICTURE = planted_picture()
CANVAS = Canvas((96, 64), (96, 64))


def limits(**changes) -> Limits:
    return Limits(
        **{
            "batch": 4,
            "concurrency": 3,
            "formats": ("pixels",),
            "labels": ("sfw", "nsfw"),
            "question": "nsfw",
            "host": "a.example",
            "retry": Retry(base=0),
            **changes,
        }
    )


class Spy(Ledger):
    """A ledger that tells what happened in which order."""

    def __init__(self, path, events):
        super().__init__(path)
        self.events = events

    def exchange(self, answers, **others):
        told = super().exchange(answers, **others)
        if answers or others["settled"] or others["intended"]:
            stored = [question.change for question, _ in answers]
            intended = [question.change for question in others["intended"]]
            self.events.append(("commit", stored, intended))
        return told


class Told(Planted):
    """A backend that tells what it is asked, and from where."""

    def __init__(self, events, **changes):
        super().__init__(limits=limits(**changes))
        self.events = events

    def score(self, variants, codec):
        names = [canonical(variant.perturbation, CANVAS) for variant in variants]
        self.events.append(("send", names))
        return super().score(variants, codec)


def calm(budget=64, **changes):
    """The run without faults, one request at a time."""
    backend = Planted(limits=limits(concurrency=1, **changes))
    return Prober(backend, ledger=Ledger(None)).probe(PICTURE, budget=budget)


def same_map(one, other):
    assert [a.perturbation for a in one.answers] == [a.perturbation for a in other.answers]
    for name in ("values", "stderr", "mean_score", "coverage"):
        np.testing.assert_array_equal(
            getattr(one.heatmap(), name), getattr(other.heatmap(), name), err_msg=name
        )


def test_what_is_sent_was_noted_and_what_is_used_was_stored(tmp_path):
    events = []
    backend, ledger = Told(events), Spy(tmp_path / "l.db", events)
    for result in Prober(backend, ledger=ledger).stream(PICTURE, budget=64):
        stored = {name for event in events if event[0] == "commit" for name in event[1]}
        used = {canonical(a.perturbation, CANVAS) for a in result.answers if a.source == "sent"}
        assert used <= stored
    noted = set()
    for kind, *rest in events:
        if kind == "commit":
            noted |= set(rest[1])
        else:
            assert set(rest[0]) <= noted
    assert stats(tmp_path / "l.db").outstanding == 0


def test_what_arrived_is_stored_with_what_goes_out_next_in_one_transaction(tmp_path):
    events = []
    backend = Told(events, concurrency=1, batch=4)
    Prober(backend, ledger=Spy(tmp_path / "l.db", events)).probe(PICTURE, budget=64)
    commits = [event for event in events if event[0] == "commit"]
    requests = [event for event in events if event[0] == "send"]
    assert len(commits) <= len(requests) + 2
    assert sum(bool(intended and not stored) for _, stored, intended in commits) <= 3


def test_all_that_arrived_together_is_stored_together(tmp_path):
    together = threading.Barrier(3)

    class Together(Told):
        def score(self, variants, codec):
            outcomes = super().score(variants, codec)
            if self.asked > 1 and not any(isinstance(v.perturbation, Identity) for v in variants):
                together.wait(20)
            return outcomes

    events = []
    backend = Together(events, batch=1, deterministic=True)
    prober = Prober(backend, ledger=Spy(tmp_path / "l.db", events))
    prober.probe(PICTURE, budget=31)
    assert len([event for event in events if event[0] == "commit"]) < 1 + 31


KINDS = ("throttled", "hinted", "unavailable", "lost", "invalid", "partial", "raised", "miscounted")


class Weather(Planted):
    """One request in five fails, in every way that ends in an answer, decided by the pictures in
    it; a picture that came before is answered, since two invalid answers make a hole."""

    def __init__(self, seed, **changes):
        super().__init__(limits=limits(**changes))
        self.seed = seed
        self.seen: set[str] = set()
        self.happened = Counter()

    def score(self, variants, codec):
        names = tuple(canonical(variant.perturbation, CANVAS) for variant in variants)
        with self._lock:
            fresh = self.seen.isdisjoint(names)
            self.seen.update(names)
        luck = random.Random(f"{self.seed} {names}")
        kind = luck.choice(KINDS) if fresh and luck.random() < 0.2 else "fine"
        with self._lock:
            self.happened[kind] += 1
        outcomes = list(super().score(variants, codec))
        if kind in ("throttled", "unavailable", "lost", "invalid"):
            return [Failure(kind, kind)] * len(variants)
        if kind == "hinted":
            return [Failure("throttled", "wait", wait=1e-6)] * len(variants)
        if kind == "partial":
            outcomes[-1] = Failure("invalid", "left out")
        if kind == "raised" and len(variants) > 1:
            raise BackendError("one of these is bad")
        if kind == "miscounted" and len(variants) > 1:
            return outcomes[1:]
        return outcomes


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("batch", [1, 4])
def test_with_one_request_in_five_failing_the_map_is_the_same_bit_for_bit(tmp_path, seed, batch):
    backend = Weather(seed, batch=batch)
    result = Prober(backend, ledger=tmp_path / "l.db").probe(PICTURE, budget=200)
    assert result.complete
    assert sum(backend.happened.values()) == result.requests
    assert backend.happened["fine"] < result.requests
    assert backend.asked == result.calls
    assert result.failures == []
    same_map(result, calm(200, batch=batch))
    assert stats(tmp_path / "l.db").outstanding == 0


def test_ctrl_c_during_a_pause_ends_it_at_once(tmp_path):
    class Pausing(Planted):
        told = False

        def score(self, variants, codec):
            outcomes = super().score(variants, codec)
            if self.asked < 20:
                return outcomes
            with self._lock:
                first, self.told = not self.told, True
            if first:
                signal.raise_signal(signal.SIGINT)
            return [Failure("throttled", "wait", wait=100.0)] * len(variants)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(Interrupted) as stopped:
            Prober(Pausing(limits=limits()), ledger=tmp_path / "l.db").probe(PICTURE)
    finally:
        signal.signal(signal.SIGINT, before)
    assert len(stopped.value.partial.answers) >= 17
    more = Planted(limits=limits())
    same_map(Prober(more, ledger=tmp_path / "l.db").probe(PICTURE), calm())
    assert more.asked == 64 - sum(
        isinstance(answer.outcome, Scores) for answer in stopped.value.partial.answers
    )


def test_the_cap_on_time_ends_a_pause(tmp_path):
    class Pausing(Planted):
        def score(self, variants, codec):
            outcomes = super().score(variants, codec)
            if self.asked < 20:
                return outcomes
            return [Failure("throttled", "wait", wait=100.0)] * len(variants)

    prober = Prober(Pausing(limits=limits()), ledger=tmp_path / "l.db", max_time=0.5)
    with pytest.raises(LimitReached, match="time"):
        prober.probe(PICTURE)


def test_a_clock_that_is_set_back_and_forth_changes_nothing(tmp_path, monkeypatch):
    jumps = cycle([1e9, 0.0, 4e9])
    monkeypatch.setattr(time, "time", lambda: next(jumps))
    backend = Planted(limits=limits(rate=(Rate(1000, 60.0),)))
    result = Prober(backend, ledger=tmp_path / "l.db", max_time=1000).probe(PICTURE)
    assert result.complete
    assert 0 <= result.seconds < 1000


def test_after_a_clean_stop_nothing_is_left_noted_but_what_was_lost(tmp_path):
    """The run ends while several batches wait to be sent."""

    class Losing(Planted):
        def score(self, variants, codec):
            outcomes = super().score(variants, codec)
            if self.asked < 20:
                return outcomes
            if self.asked < 24:
                return [Failure("lost", "reset", billed=True)] * len(variants)
            raise Rejected("another model answers")

    backend = Losing(limits=limits(concurrency=1, retry=Retry(attempts=1)))
    with pytest.raises(Rejected):
        Prober(backend, ledger=tmp_path / "l.db").probe(PICTURE)
    result = Prober(Planted(limits=limits()), ledger=tmp_path / "l.db").probe(PICTURE)
    note = next(note for note in result.notes if "in flight" in note)
    assert note.startswith("4 variants")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (AuthError("the key is not valid"), 4),
        (QuotaExhausted("the month is over"), 5),
        (Rejected("version 2 answers"), 3),
    ],
)
def test_what_ends_a_run_in_the_middle_says_what_is_kept_and_what_is_left(tmp_path, error, code):
    class Ending(Planted):
        turns = 0

        def score(self, variants, codec):
            with self._lock:
                self.turns += 1
                turn = self.turns
            outcomes = super().score(variants, codec)
            if turn > 25:
                raise error
            return outcomes

    backend = Ending(limits=limits(batch=1))
    with pytest.raises(type(error), match=str(error)) as stopped:
        Prober(backend, ledger=tmp_path / "l.db").probe(PICTURE)
    assert stopped.value.exit_code == code
    assert len(stopped.value.partial.answers) == 25
    assert backend.asked <= 25 + 3
    if code != 3:
        assert "25 answers kept, 39 left" in str(stopped.value)
    more = Planted(limits=limits())
    same_map(Prober(more, ledger=tmp_path / "l.db").probe(PICTURE), calm())
    assert more.asked == 39


def test_a_wrong_key_at_the_start_is_one_call_and_keeps_its_words(tmp_path):
    class Locked(Planted):
        def score(self, variants, codec):
            super().score(variants, codec)
            raise AuthError("the key is not valid")

    backend = Locked(limits=limits())
    with pytest.raises(AuthError) as stopped:
        Prober(backend, ledger=tmp_path / "l.db").probe(PICTURE)
    assert str(stopped.value) == "the key is not valid"
    assert (backend.asked, stopped.value.exit_code) == (1, 4)


def test_endless_answers_in_the_middle_end_the_run_with_the_services_code(tmp_path):
    class Endless(Planted):
        def score(self, variants, codec):
            outcomes = super().score(variants, codec)
            if self.asked > 9:
                raise Oversized("an answer of more than 8388608 bytes")
            return outcomes

    backend = Endless(limits=limits(batch=1, concurrency=1))
    with pytest.raises(ContractError) as stopped:
        Prober(backend, ledger=tmp_path / "l.db").probe(PICTURE)
    assert (backend.asked, stopped.value.exit_code) == (11, 4)


def test_a_wait_too_long_is_told_with_the_time_and_the_answers_are_kept(tmp_path):
    class Later(Planted):
        def score(self, variants, codec):
            outcomes = super().score(variants, codec)
            if self.asked > 9:
                return [Failure("throttled", "later", wait=7200.0)] * len(variants)
            return outcomes

    backend = Later(limits=limits(batch=1, concurrency=1))
    with pytest.raises(RateLimited, match=r"7200 s.*\d\d:\d\d.*9 answers kept") as stopped:
        Prober(backend, ledger=tmp_path / "l.db").probe(PICTURE)
    assert (backend.asked, stopped.value.exit_code) == (10, 5)


@pytest.mark.parametrize("batch", [1, 8, 64])
def test_the_closing_reference_rides_in_the_last_batch(tmp_path, batch):
    events = []
    result = Prober(Told(events, batch=batch), ledger=tmp_path / "l.db").probe(PICTURE, budget=64)
    sends = [names for kind, names in events if kind == "send"]
    assert len(sends) == result.requests == 1 + -(-63 // batch)
    assert result.answers[-1].perturbation == Identity(repeat=2)


def test_the_first_variants_are_encoded_while_the_reference_is_on_its_way(tmp_path, monkeypatch):
    """And those alone: nothing is sent, noted or asked of the sampler twice for it."""
    encoded, held, ready = [], [], threading.Event()
    encode = Rendered.encode

    def watched(variant, codec):
        encoded.append(variant.perturbation)
        held.append(variant)
        if len(encoded) == 1 + 2 * 8:
            ready.set()
        return encode(variant, codec)

    class Waiting(Told):
        def score(self, variants, codec):
            if not self.asked:
                assert ready.wait(20), "nothing was encoded meanwhile"
            return super().score(variants, codec)

    monkeypatch.setattr(Rendered, "encode", watched)
    events = []
    backend = Waiting(events, formats=("png",), batch=8, concurrency=1)
    result = Prober(backend, ledger=tmp_path / "l.db").probe(PICTURE, budget=64)
    assert next(names for _, names in events) == ["identity 0"]
    assert {a.perturbation for a in result.answers[:17]} == set(encoded[:17])
    assert backend.asked == len({id(variant) for variant in held}) == 64
    events.clear()
    encoded.clear()
    Prober(backend, ledger=tmp_path / "l.db").probe(PICTURE, budget=80)
    assert len(set(encoded)) == 16


def test_what_the_ledger_knows_is_not_encoded_ahead(tmp_path, monkeypatch):
    Prober(Planted(limits=limits(formats=("png",))), ledger=tmp_path / "l.db").probe(
        PICTURE, budget=64
    )
    encoded = []
    monkeypatch.setattr(
        Rendered, "encode", lambda variant, codec: encoded.append(variant.perturbation) or b"x"
    )
    with sqlite3.connect(tmp_path / "l.db") as connection:
        connection.execute("DELETE FROM answers WHERE change = 'identity 0'")
    connection.close()
    backend = Planted(limits=limits(formats=("png",)))
    Prober(backend, ledger=tmp_path / "l.db").probe(PICTURE, budget=64)
    assert set(encoded) == {Identity()}


def boxes(n):
    return [Box(i / n, 0, (i + 1) / n, 1) for i in range(n)]


def all_of(order, sampler, step):
    found = []
    for ask in phases(order, sampler):
        while proposals := ask(step):
            assert len(proposals) <= step
            found += proposals
    return found


@pytest.mark.parametrize("step", [1, 7, 200, 10**6])
@pytest.mark.parametrize("variants", [1, EVERY, EVERY + 1, EVERY + 2, 3 * EVERY + 50])
def test_in_long_runs_the_unchanged_picture_is_asked_again(step, variants):
    order = Order(variants, [Identity(repeat=1)], [Identity(repeat=2)])
    asked = all_of(order, FixedDesign(boxes(variants - len(checks(order)))), step)
    assert len(asked) == variants + 2
    assert asked[0] == Identity(repeat=1)
    assert asked[-1] == Identity(repeat=2)
    again = [n for n, change in enumerate(asked) if isinstance(change, Identity)]
    assert max(np.diff(again)) <= EVERY + 2
    assert min(np.diff(again)) > 1 or variants == 1
    assert len({asked[n].repeat for n in again}) == len(again)
    assert [a for a in asked if isinstance(a, Box)] == boxes(variants - len(checks(order)))


def test_who_wants_no_repeats_gets_none():
    assert checks(Order(1000)) == []


def test_a_sampler_that_wants_to_be_told_first_is_asked_again(tmp_path, monkeypatch):
    class Rounds:
        """Four boxes, and the next four when all of them are answered."""

        def __init__(self):
            self.open, self.told = 4, 0

        def ask(self, n):
            now = min(n, self.open)
            first = self.told + 4 - self.open
            self.open -= now
            return [Box(0, 0, (first + i + 1) / 64, 1) for i in range(now)]

        def tell(self, change, answer):
            if isinstance(change, Box):
                self.told += 1
                if self.told % 4 == 0:
                    self.open = 4

    monkeypatch.setattr("probe.methods.Method.plan", lambda *given, **options: Rounds())
    backend = Planted(limits=limits(batch=3))
    result = Prober(backend, ledger=tmp_path / "l.db").probe(PICTURE, budget=35)
    assert len(result.answers) == 35
    assert result.answers[-1].perturbation == Identity(repeat=2)


def test_twenty_variants_that_score_alike_are_warned_of_while_it_runs(tmp_path, caplog):
    class Cached(Planted):
        def answer(self, image):
            return Scores({"sfw": 0.25, "nsfw": 0.75})

    with caplog.at_level(logging.WARNING):
        Prober(Cached(limits=limits()), ledger=tmp_path / "l.db").probe(PICTURE, budget=22)
    assert [r for r in caplog.records if "cache" in r.getMessage()] == []
    with caplog.at_level(logging.WARNING):
        result = Prober(Cached(limits=limits()), ledger=None).probe(PICTURE, budget=40, seed=1)
    assert len([r for r in caplog.records if "cache" in r.getMessage()]) == 1
    assert any("caches" in note for note in result.notes)

    class Almost(Planted):
        """One of the first variants scores otherwise, all the others alike."""

        def score(self, variants, codec):
            outcomes = super().score(variants, codec)
            other = Scores({"sfw": 0.5, "nsfw": 0.5})
            return [other if self.asked == 5 else Scores(outcomes[0]) for _ in outcomes]

    caplog.clear()
    with caplog.at_level(logging.WARNING):
        one = limits(batch=1, concurrency=1)
        Prober(Planted(limits=one), ledger=None).probe(PICTURE, budget=60, seed=2)
        almost = Almost(limits=one, identity="almost")
        almost.answer = lambda image: Scores({"sfw": 0.25, "nsfw": 0.75})
        Prober(almost, ledger=None).probe(PICTURE, budget=60)
    assert [r for r in caplog.records if "cache" in r.getMessage()] == []


def test_one_pace_serves_all_runs_of_a_prober(tmp_path):
    """Throttled in the first run, the second starts with half the concurrency."""

    class Crowded(Planted):
        most = live = 0

        def score(self, variants, codec):
            with self._lock:
                self.live += 1
                self.most = max(self.most, self.live)
                crowd = self.live
            outcomes = super().score(variants, codec)
            with self._lock:
                self.live -= 1
            if crowd == 3 and len(variants):
                return [Failure("throttled", "too many")] * len(variants)
            return outcomes

    prober = Prober(Crowded(limits=limits()), ledger=tmp_path / "l.db")
    prober.probe(PICTURE, budget=30)
    pace = prober._allowance.pace
    prober.probe(PICTURE, budget=60)
    assert prober._allowance.pace is pace is not None


def test_sources_of_an_old_profile_are_read_anew_for_free(tmp_path):
    class Reading:
        def __init__(self, digest, factor):
            self.digest, self.factor, self.reads = digest, factor, 0

        def read(self, raw, part, parts):
            self.reads += 1
            return Scores({"nsfw": float(raw) * self.factor}, raw, (part, parts))

    class Bodies(Planted):
        def __init__(self, reading):
            super().__init__(limits=limits(labels=("nsfw",)))
            self.reading = reading

        def answer(self, image):
            raw = repr(super().answer(image)["nsfw"]).encode()
            return self.reading.read(raw, 0, 1)

    first = Bodies(Reading("percent", 1.0))
    before = Prober(first, ledger=tmp_path / "l.db").probe(PICTURE, budget=20)
    second = Bodies(Reading("fraction", 0.01))
    after = Prober(second, ledger=tmp_path / "l.db").probe(PICTURE, budget=20)
    assert (first.asked, second.asked, after.calls) == (20, 0, 0)
    assert after.reference["nsfw"] == pytest.approx(before.reference["nsfw"] / 100)
    third = Bodies(Reading("fraction", 0.01))
    Prober(third, ledger=tmp_path / "l.db").probe(PICTURE, budget=20)
    assert third.reading.reads == third.asked == 0
    more = Bodies(Reading("fraction", 0.01))
    Prober(more, ledger=tmp_path / "l.db").probe(PICTURE, budget=30)
    again = Bodies(Reading("fraction", 0.01))
    Prober(again, ledger=tmp_path / "l.db").probe(PICTURE, budget=30)
    assert (more.asked, again.asked, again.reading.reads) == (10, 0, 0)


def test_what_could_not_be_read_is_kept_and_read_later_for_free(tmp_path):
    class Reading:
        digest = "better"

        def read(self, raw, part, parts):
            return Scores({"nsfw": float(raw)}, raw, (part, parts))

    class Garbled(Planted):
        def score(self, variants, codec):
            outcomes = super().score(variants, codec)
            if self.asked == 1:
                return outcomes
            return [
                Failure("invalid", "what is this?", billed=True, raw=repr(o["nsfw"]).encode())
                for o in outcomes
            ]

    kept = limits(retry=Retry(attempts=1), labels=("nsfw",), deterministic=True)
    with pytest.raises(BackendError):
        Prober(Garbled(limits=kept), ledger=tmp_path / "l.db").probe(PICTURE, budget=100)
    backend = Planted(limits=kept)
    backend.reading = Reading()
    result = Prober(backend, ledger=tmp_path / "l.db").probe(PICTURE, budget=40)
    assert backend.asked < 40
    assert result.failures == []
