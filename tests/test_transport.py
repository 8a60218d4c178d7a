from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.api.transport.pace import Pace
from probe.api.transport.purse import RETRY_TOKENS, Cap, Oversized, Purse
from probe.api.transport.sending import ENVELOPE, UNSENT, Delivery
from probe.api.transport.threads import CORES, Transport, most_threads
from probe.errors import (
    AuthError,
    BackendError,
    ContractError,
    LimitReached,
    QuotaExhausted,
    RateLimited,
    Rejected,
    Unreachable,
    UsageError,
)
from probe.limits import Limits, Price, Rate, Retry
from probe.types import Codec, Failure, Scores
from tests.clocks import Clock, pace_of

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


def transport_of(backend, purse=None, clock=None) -> Transport:
    pace = pace_of(backend.limits, clock or Clock())
    return Transport(backend, Codec("png"), purse or Purse(), pace)


def deliver(backend, items=4, purse=None, clock=None) -> Delivery:
    transport = transport_of(backend, purse, clock)
    named = [Item(i) for i in range(items)] if isinstance(items, int) else items
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
    [("refused", 1), ("invalid", 2), ("lost", 2), ("unavailable", 4)],
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
    assert len(backend.requests) == 3
    assert (purse.calls, purse.requests, purse.bills) == (0, 0, 0)


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
    assert isinstance(delivery.error, RateLimited)
    assert "3600 s" in str(delivery.error)
    assert len(backend.requests) == 1
    assert delivery.outcomes[0] == GOOD


def test_an_outage_empties_the_budget_of_retries_and_fails_fast():
    backend = Scripted(lambda n, before: Failure("unavailable", "down"), batch=32)
    purse = Purse()
    deliveries = [deliver(backend, 32, purse) for _ in range(4)]
    assert isinstance(deliveries[-1].error, BackendError)
    assert "down" in str(deliveries[-1].error)
    assert len(backend.requests) - 4 <= RETRY_TOKENS / 2


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
    transport = Transport(backend, Codec("png"), Purse(), Pace())
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
    transport = transport_of(Scripted(lambda n, b: GOOD, concurrency=3))
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
    transport = transport_of(backend)
    before = threading.active_count()
    for tag in range(100):
        transport.submit([tag], [Item(tag)])
    assert threading.active_count() - before <= 12 + CORES  # those that encode need none
    for _ in range(100):
        transport.done.get(timeout=20)
    transport.close()


def test_the_longest_wait_that_the_service_asks_for_is_waited():
    clock = Clock()
    backend = Scripted(
        lambda n, before: GOOD if before else Failure("throttled", "wait", wait=3 + n)
    )
    assert deliver(backend, clock=clock).outcomes == [GOOD] * 4
    assert clock.waits == [6]


def test_a_wait_asked_for_by_an_outage_is_waited_too():
    clock = Clock()
    backend = Scripted(lambda n, b: GOOD if b else Failure("unavailable", "starting", wait=20))
    assert deliver(backend, clock=clock).outcomes == [GOOD] * 4
    assert clock.waits == [20]


def test_waits_after_an_outage_grow_with_full_jitter(monkeypatch):
    bounds = []

    def uniform(low, high):
        bounds.append((low, high))
        return high

    monkeypatch.setattr("tenacity.wait.random.uniform", uniform)
    clock = Clock()
    retry = Retry(attempts=6, base=0.5, factor=3, cap=10)
    backend = Scripted(lambda n, b: Failure("unavailable", "down"), retry=retry)
    deliver(backend, 1, clock=clock)
    assert bounds == [(0, 0.5), (0, 1.5), (0, 4.5), (0, 10), (0, 10)]
    assert clock.waits == [0.5, 1.5, 4.5, 10, 10]
    assert backend.times == {0: 6}


def test_throttling_never_counts_as_a_failure_before_the_budget_ends():
    backend = Scripted(lambda n, b: GOOD if b >= 40 else Failure("throttled", "busy"))
    assert deliver(backend, 1).outcomes == [GOOD]
    endless = Scripted(lambda n, b: Failure("throttled", "busy"))
    delivery = deliver(endless, 1)
    assert isinstance(delivery.error, BackendError)
    assert "busy" in str(delivery.error)
    assert endless.times == {0: 1 + RETRY_TOKENS // 2}


def test_throttling_in_between_takes_no_try_away():
    script = ["throttled", "throttled", "unavailable", "throttled", "unavailable", "unavailable"]
    backend = Scripted(lambda n, b: Failure(script[b], "no") if b < len(script) else GOOD)
    assert deliver(backend, 1).outcomes == [GOOD]


@pytest.mark.parametrize(("billed", "tries"), [(False, 4), (True, 2)])
def test_what_may_have_been_billed_is_tried_less_often(billed, tries):
    backend = Scripted(lambda n, b: Failure("unavailable", "500", billed=billed) if n else GOOD)
    deliver(backend, 2)
    assert backend.times == {0: 1, 1: tries}


def test_the_profile_says_how_often():
    backend = Scripted(lambda n, b: Failure("lost", "reset"), retry=Retry(attempts=1))
    deliver(backend, 2)
    assert backend.times == {0: 1, 1: 1}


def test_what_is_sent_again_after_a_loss_is_counted():
    purse = Purse()
    backend = Scripted(lambda n, b: Failure("lost", "reset", billed=True) if n < 2 else GOOD)
    deliver(backend, 4, purse)
    assert (purse.calls, purse.lost, purse.bills) == (6, 2, 6)


@pytest.mark.parametrize("kind", ["throttled", "unavailable"])
def test_what_was_turned_away_is_refunded_in_money_and_counts_as_a_call(kind):
    backend = Scripted(lambda n, b: GOOD if b else Failure(kind, "later"))
    purse = Purse(Cap(money=4.0, price=Price(1.0, "EUR")))
    assert deliver(backend, 4, purse).outcomes == [GOOD] * 4
    assert (purse.calls, purse.bills) == (8, 4)
    capped = Purse(Cap(calls=6))
    backend.times.clear()
    assert isinstance(deliver(backend, 4, capped).error, LimitReached)
    assert capped.calls == 6


@pytest.mark.parametrize(
    "failure",
    [
        Failure("lost", "reset", billed=True),
        Failure("invalid", "NaN"),
        Failure("unavailable", "500", billed=True),
    ],
    ids=lambda failure: failure.kind,
)
def test_what_may_be_charged_counts_as_money(failure):
    backend = Scripted(lambda n, b: GOOD if b else failure)
    purse = Purse(Cap(money=6.0, price=Price(1.0, "EUR")))
    delivery = deliver(backend, 4, purse)
    assert isinstance(delivery.error, LimitReached)
    assert "6 EUR" in str(delivery.error)
    assert purse.bills == sum(backend.times.values()) == 6


KINDS = ["scores", "throttled", "unavailable", "billed", "lost", "invalid", "refused", "error"]


def outcome(kind):
    if kind == "error":
        return BackendError("no")
    if kind == "scores":
        return GOOD
    return Failure("unavailable" if kind == "billed" else kind, "no", billed=kind == "billed")


@given(
    st.lists(st.lists(st.sampled_from(KINDS), min_size=1, max_size=4), min_size=1, max_size=9),
    st.integers(0, 20),
    st.integers(0, 20),
    st.integers(1, 4),
)
def test_no_cap_is_ever_passed(scripts, calls, money, batch):
    """scripts: what each variant gets, in turn, the last one for ever."""
    answers = [[outcome(kind) for kind in script] for script in scripts]
    backend = Scripted(lambda n, b: answers[n][min(b, len(answers[n]) - 1)], batch=batch)
    purse = Purse(Cap(calls, money / 10, Price(0.1, "EUR")))
    transport = transport_of(backend, purse)
    for first in range(0, len(answers), batch):
        tags = range(first, min(first + batch, len(answers)))
        transport.submit(tags, [Item(tag) for tag in tags])
    for _ in range(0, len(answers), batch):
        transport.done.get(timeout=20)
    transport.close()
    assert sum(map(len, backend.requests)) == purse.calls <= calls
    assert len(backend.requests) == purse.requests
    assert purse.bills <= money
    assert purse.bills <= purse.calls


def test_a_batch_is_sent_as_several_requests_where_its_bytes_are_too_many():
    per_picture = 1000 * 4 / 3 + ENVELOPE
    limits = {"batch": 8, "max_request_bytes": int(3.5 * per_picture), "inflation": 4 / 3}
    backend, purse = Scripted(lambda n, b: GOOD, **limits), Purse()
    items = [Item(n, 1000) for n in range(8)]
    assert deliver(backend, items, purse).outcomes == [GOOD] * 8
    assert backend.requests == [[0, 1, 2], [3, 4, 5], [6, 7]]
    assert (purse.calls, purse.requests) == (8, 3)


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=12), st.integers(600, 4000))
def test_no_request_is_larger_than_the_service_takes(sizes, most):
    backend = Scripted(lambda n, b: GOOD, batch=12, max_request_bytes=most, inflation=2.0)
    outcomes = deliver(backend, [Item(n, size) for n, size in enumerate(sizes)]).outcomes
    for request in backend.requests:
        assert sum(2 * sizes[n] + ENVELOPE for n in request) <= most
    for size, found in zip(sizes, outcomes, strict=True):
        assert (found == GOOD) == (2 * size + ENVELOPE <= most)


def test_only_parts_of_a_batch_that_were_sent_before_cost_of_the_retry_budget():
    backend = Scripted(lambda n, b: GOOD, batch=100, max_request_bytes=2 * (10 + ENVELOPE))
    assert deliver(backend, 100 + RETRY_TOKENS).error is None


def test_a_batch_that_is_down_as_a_whole_is_halved_in_the_end():
    class Whole(Scripted):
        """One bad picture makes all of its request fail, as some servers do."""

        def score(self, items, codec):
            outcomes = super().score(items, codec)
            return (
                outcomes
                if GOOD in outcomes[:1] and len(set(map(id, outcomes))) == 1
                else [Failure("unavailable", "500")] * len(items)
            )

    bad = Failure("unavailable", "500")
    backend = Whole(lambda n, b: bad if n == 5 else GOOD, batch=8)
    outcomes = deliver(backend, 8).outcomes
    assert [isinstance(one, Failure) for one in outcomes] == [n == 5 for n in range(8)]
    whole = Whole(lambda n, b: bad if n == 5 else GOOD, batch=8, retry=Retry(split=False))
    assert all(isinstance(one, Failure) for one in deliver(whole, 8).outcomes)
    assert len(whole.requests) == 4


def test_a_service_that_asks_not_to_split_has_its_batches_left_whole():
    backend = Scripted(
        lambda n, b: BackendError("no") if n == 1 else GOOD, retry=Retry(split=False)
    )
    assert all(isinstance(one, Failure) for one in deliver(backend, 4).outcomes)
    assert backend.requests == [[0, 1, 2, 3]]


@pytest.mark.parametrize("kind", [AuthError, Rejected, QuotaExhausted, RateLimited])
def test_what_turns_all_away_stops_every_worker_and_keeps_what_came(kind):
    """Two requests are in flight when the third is refused: both are handed back, no more go."""
    release = threading.Barrier(3)

    def answer(n, before):
        if n < 3:
            release.wait(20)
        return kind("no more") if n == 2 else GOOD

    backend = Scripted(answer, batch=1, concurrency=3)
    transport = transport_of(backend)
    for tag in range(9):
        transport.submit([tag], [Item(tag)])
    deliveries = sorted(
        (transport.done.get(timeout=20) for _ in range(9)), key=lambda delivery: delivery.tags
    )
    transport.close()
    assert len(backend.requests) <= 3 + 2
    assert isinstance(deliveries[2].error, kind)
    assert [d.outcomes for d in deliveries[:2]] == [[GOOD], [GOOD]]
    assert deliveries[8].outcomes == [UNSENT]


def test_what_makes_no_sense_is_asked_once_more_where_something_did():
    purse = Purse()
    assert deliver(Scripted(lambda n, b: GOOD, batch=1), 1, purse).error is None
    backend = Scripted(lambda n, b: ContractError("a page") if not b else GOOD, batch=1)
    delivery = deliver(backend, 1, purse)
    assert isinstance(delivery.outcomes[0], Scores)
    assert len(backend.requests) == 2
    first = Scripted(lambda n, before: ContractError("a page"), batch=1)
    delivery = deliver(first, 1, Purse())
    assert delivery.outcomes[0].kind == "refused"
    assert len(first.requests) == 1


def test_one_variant_that_is_throttled_for_ever_is_a_hole():
    purse = Purse()

    def busy(n, before):
        purse.settle([GOOD] * 2)  # others are scored meanwhile
        return Failure("throttled", "busy")

    backend = Scripted(busy, batch=1)
    delivery = deliver(backend, 1, purse)
    assert backend.times[0] == 60
    assert delivery.error is None
    assert delivery.outcomes[0].kind == "throttled"


def test_a_request_that_cannot_be_made_costs_nothing():
    purse = Purse()
    delivery = deliver(Scripted(lambda n, b: UsageError("KEY is not set"), batch=2), 2, purse)
    assert isinstance(delivery.error, UsageError)
    assert (purse.calls, purse.bills, purse.requests) == (0, 0, 0)


def test_two_endless_answers_in_a_row_end_the_run():
    backend = Scripted(lambda n, b: Oversized("an answer of more than 8 MB"), batch=1)
    purse = Purse()
    assert deliver(backend, 1, purse).error is None
    delivery = deliver(backend, 1, purse)
    assert isinstance(delivery.error, ContractError)
    assert len(backend.requests) == 2
    patient = Purse()
    good = Scripted(lambda n, b: GOOD)
    for _ in range(3):
        assert deliver(backend, 1, patient).error is None
        deliver(good, 1, patient)


def test_unreadable_answers_here_and_there_end_nothing():
    bad, good = (Scripted(lambda n, b, o=o: o) for o in (ContractError("no JSON"), GOOD))
    purse = Purse()
    for _ in range(5):
        assert deliver(bad, 1, purse).error is None
        assert deliver(good, 1, purse).error is None


def test_what_a_cap_holds_back_leaves_its_place_to_the_next_run():
    backend, clock = Scripted(lambda n, b: GOOD), Clock()
    pace = pace_of(backend.limits, clock)
    for cap in (Cap(0), None):
        transport = Transport(backend, Codec("png"), Purse(cap), pace)
        transport.submit([0], [Item(0)])
        delivery = transport.done.get(timeout=20)
        transport.close()
    assert delivery.outcomes == [GOOD]


def test_a_rate_is_kept_by_all_workers_together():
    clock = Clock()
    times = []

    def answer(n, before):
        times.append(clock.now)
        return GOOD

    backend = Scripted(answer, batch=1, rate=(Rate(2, 10.0),))
    transport = transport_of(backend, clock=clock)
    for tag in range(6):
        transport.submit([tag], [Item(tag)])
    for _ in range(6):
        transport.done.get(timeout=20)
    transport.close()
    assert [round(time - times[0]) for time in times] == [0, 0, 10, 10, 20, 20]


def test_the_next_batch_is_encoded_while_one_is_in_flight():
    encoded = threading.Event()

    class Watched(Item):
        def encode(self, codec):
            encoded.set()
            return b"x"

    def answer(n, before):
        if n == 0:
            assert encoded.wait(20), "nothing was encoded ahead"
        return GOOD

    backend = Scripted(answer, batch=1)
    transport = transport_of(backend)
    transport.submit([0], [Item(0)])
    transport.submit([1], [Watched(1)])
    assert [transport.done.get(timeout=20).outcomes for _ in range(2)] == [[GOOD]] * 2
    transport.close()


def test_a_picture_that_cannot_be_encoded_ends_the_run_and_not_the_program():
    class Broken(Item):
        def encode(self, codec):
            raise MemoryError("no room")

    backend = Scripted(lambda n, b: GOOD, max_bytes=100)
    assert isinstance(deliver(backend, [Broken(0)]).error, MemoryError)
