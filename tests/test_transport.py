from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.api.purse import RETRY_TOKENS, Cap, Purse
from probe.api.transport import UNSENT, Delivery, Transport, most_threads
from probe.errors import BackendError, ContractError, LimitReached, Rejected, Unreachable
from probe.limits import Limits
from probe.types import Codec, Failure, Scores

AWAKE = threading.Event()
AWAKE.set()
GOOD = Scores({"nsfw": 0.5})


class Item:
    """Stands for a variant: it is only handed through, or weighed when encoded."""

    def __init__(self, name: int, size: int = 10) -> None:
        self.name, self.size = name, size

    def encode(self, codec: Codec) -> bytes:
        return b"x" * self.size


class Scripted:
    """Answers by a function of (item, how often it was asked before)."""

    identity = "scripted"

    def __init__(self, answer, **limits):
        self.answer, self.limits = answer, Limits(**{"batch": 4, **limits})
        self.requests: list[list[int]] = []
        self.times: dict[int, int] = {}

    def score(self, items, codec):
        self.requests.append([item.name for item in items])
        outcomes = []
        for item in items:
            before = self.times.get(item.name, 0)
            self.times[item.name] = before + 1
            outcomes.append(self.answer(item.name, before))
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                raise outcome
        return outcomes


def deliver(backend, items=4, purse=None) -> Delivery:
    transport = Transport(backend, Codec("png"), purse or Purse(), sleep=AWAKE)
    named = [i if isinstance(i, Item) else Item(i) for i in range(items)]
    transport.submit(range(len(named)), named)
    delivery = transport.done.get(timeout=20)
    transport.close()
    return delivery


def test_a_batch_that_works_is_one_request():
    backend, purse = Scripted(lambda name, before: GOOD), Purse()
    assert deliver(backend, 4, purse).outcomes == [GOOD] * 4
    assert (purse.calls, purse.requests) == (4, 1)


@pytest.mark.parametrize(
    ("kind", "tries"),
    [("refused", 1), ("invalid", 2), ("lost", 2), ("throttled", 4), ("unavailable", 4)],
)
def test_how_often_each_kind_of_failure_is_sent(kind, tries):
    backend = Scripted(lambda name, before: Failure(kind, "no") if name == 2 else GOOD)
    purse = Purse()
    outcomes = deliver(backend, 4, purse).outcomes
    assert backend.times == {0: 1, 1: 1, 2: tries, 3: 1}
    assert outcomes[2] == Failure(kind, "no")
    assert outcomes.count(GOOD) == 3
    assert purse.calls == 3 + tries


def test_only_the_failed_item_is_sent_again():
    backend = Scripted(lambda n, before: GOOD if before or n != 1 else Failure("throttled", "wait"))
    assert deliver(backend).outcomes == [GOOD] * 4
    assert backend.requests == [[0, 1, 2, 3], [1]]


@given(st.sets(st.integers(0, 7), max_size=3))
def test_a_request_that_fails_for_some_is_halved_until_only_they_are_left_out(bad):
    backend = Scripted(lambda n, before: BackendError("bad") if n in bad else GOOD, batch=8)
    outcomes = deliver(backend, 8).outcomes
    assert {i for i, outcome in enumerate(outcomes) if isinstance(outcome, Failure)} == bad


@pytest.mark.parametrize("bad", [0, 13, 31])
@pytest.mark.parametrize("kind", [BackendError, ContractError])
def test_one_bad_variant_never_ends_a_run(bad, kind):
    backend = Scripted(lambda n, before: kind("bad") if n == bad else GOOD, batch=32)
    delivery = deliver(backend, 32)
    assert delivery.error is None
    assert [isinstance(one, Failure) for one in delivery.outcomes] == [n == bad for n in range(32)]


def test_a_wrong_number_of_answers_is_never_shifted():
    class Short(Scripted):
        def score(self, items, codec):
            answers = list(super().score(items, codec))
            return answers[:-1] if len(items) > 1 else answers

    backend = Short(lambda name, before: Scores({"nsfw": name / 10}))
    outcomes = deliver(backend).outcomes
    assert [outcome["nsfw"] for outcome in outcomes] == [0, 0.1, 0.2, 0.3]


def test_the_cause_of_a_refused_variant_is_kept_for_the_first_call():
    delivery = deliver(Scripted(lambda n, before: ContractError("no JSON")), 1)
    assert isinstance(delivery.cause, ContractError)
    assert delivery.error is None


def test_a_service_that_turns_everything_away_ends_the_run_after_one_request():
    backend = Scripted(lambda n, before: Rejected("another model answers"))
    delivery = deliver(backend, 4)
    assert isinstance(delivery.error, Rejected)
    assert backend.requests == [[0, 1, 2, 3]]


def test_nobody_there_is_tried_again_and_costs_nothing():
    backend, purse = Scripted(lambda n, before: Unreachable("nobody")), Purse()
    delivery = deliver(backend, 2, purse)
    assert isinstance(delivery.error, Unreachable)
    assert len(backend.requests) == 4
    assert purse.calls == 0


def test_the_cap_is_never_passed_and_what_was_received_is_handed_back():
    backend = Scripted(lambda n, before: GOOD if n < 3 else Failure("throttled", "wait"))
    purse = Purse(Cap(5))
    delivery = deliver(backend, 4, purse)
    assert isinstance(delivery.error, LimitReached)
    assert delivery.outcomes[:3] == [GOOD] * 3
    assert purse.calls == 5 == sum(backend.times.values())


def test_a_batch_larger_than_the_cap_is_sent_in_part():
    backend, purse = Scripted(lambda n, before: GOOD), Purse(Cap(3))
    delivery = deliver(backend, 4, purse)
    assert isinstance(delivery.error, LimitReached)
    assert delivery.outcomes == [GOOD] * 3 + [UNSENT]


def test_a_hint_to_wait_long_stops_the_run_and_says_how_long():
    backend = Scripted(lambda n, before: Failure("throttled", "later", wait=3600) if n else GOOD)
    delivery = deliver(backend)
    assert isinstance(delivery.error, LimitReached)
    assert "3600 s" in str(delivery.error)
    assert delivery.outcomes[0] == GOOD


def test_an_outage_empties_the_budget_of_retries_and_fails_fast():
    backend = Scripted(lambda n, before: Failure("unavailable", "down"), batch=32)
    purse = Purse()
    deliveries = [deliver(backend, 32, purse) for _ in range(4)]
    assert isinstance(deliveries[-1].error, BackendError)
    assert "down" in str(deliveries[-1].error)
    retries = sum(backend.times.values()) - 4 * 32
    assert retries <= RETRY_TOKENS / 2


def test_one_failure_in_five_never_empties_the_budget():
    backend = Scripted(lambda n, before: GOOD if before or n % 5 else Failure("lost", "reset"))
    purse = Purse()
    for _ in range(200):
        backend.times.clear()
        assert deliver(backend, 5, purse).error is None


def test_what_is_too_large_is_not_sent():
    backend = Scripted(lambda n, before: GOOD, max_bytes=5)
    outcome = deliver(backend, 1).outcomes[0]
    assert isinstance(outcome, Failure)
    assert "10 bytes" in outcome.message
    assert backend.requests == []


def test_after_stop_nothing_more_is_sent_and_a_sleeping_retry_gives_up():
    backend = Scripted(lambda n, before: Failure("throttled", "wait", wait=60))
    transport = Transport(backend, Codec("png"), Purse())
    asked = threading.Event()
    backend_score = backend.score

    def score(items, codec):
        asked.set()
        return backend_score(items, codec)

    backend.score = score
    transport.submit([0], [Item(0)])
    assert asked.wait(20)
    transport.stop()
    assert transport.done.get(timeout=20).outcomes == [Failure("throttled", "wait", wait=60)]
    assert len(backend.requests) == 1
    transport.close()


def test_no_thread_is_left_after_close():
    before = threading.active_count()
    transport = Transport(
        Scripted(lambda n, b: GOOD, concurrency=3), Codec("png"), Purse(), sleep=AWAKE
    )
    for tag in range(5):
        transport.submit([tag], [Item(tag)])
    for _ in range(5):
        transport.done.get(timeout=20)
    transport.close()
    assert threading.active_count() == before


def test_no_more_threads_than_descriptors(monkeypatch):
    resource = pytest.importorskip("resource")
    monkeypatch.setattr(resource, "getrlimit", lambda what: (64, 4096))
    assert most_threads() == 12
    backend = Scripted(lambda n, b: GOOD, concurrency=500, batch=1)
    transport = Transport(backend, Codec("png"), Purse(), sleep=AWAKE)
    before = threading.active_count()
    for tag in range(100):
        transport.submit([tag], [Item(tag)])
    assert threading.active_count() - before <= 12
    for _ in range(100):
        transport.done.get(timeout=20)
    transport.close()


def test_the_longest_wait_that_the_service_asks_for_is_waited():
    naps = []
    backend = Scripted(
        lambda n, before: GOOD if before else Failure("throttled", "wait", wait=3 + n)
    )
    transport = Transport(backend, Codec("png"), Purse(), sleep=AWAKE)
    transport._nap = naps.append
    transport.submit(range(4), [Item(n) for n in range(4)])
    assert transport.done.get(timeout=20).outcomes == [GOOD] * 4
    transport.close()
    assert naps == [6]
