from __future__ import annotations

import re
import threading
from collections import deque
from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.api.transport.pace import JITTER, LONGEST_WAIT, Pace
from probe.errors import RateLimited
from probe.limits import Limits, Rate, Retry
from tests.clocks import Clock, Stuck, pace_of


def sends(pace: Pace, clock: Clock, latencies) -> list[float]:
    """When each of so many requests goes, one after the other with these latencies in flight."""
    times = []
    for latency in latencies:
        ticket = pace.enter()
        times.append(clock.now)
        clock.now += latency
        pace.leave(ticket, scored=True)
    return times


@given(
    st.integers(1, 5),
    st.floats(0.1, 5),
    st.lists(st.floats(0, 2), min_size=1, max_size=40),
)
def test_no_window_of_a_rate_ever_holds_more_sends_than_it_may(requests, seconds, latencies):
    clock = Clock()
    times = sends(pace_of(Limits(rate=(Rate(requests, seconds),)), clock), clock, latencies)
    for first, later in zip(times, times[requests:], strict=False):
        assert later - first >= seconds


def test_several_windows_hold_all_at_once():
    clock = Clock()
    rates = (Rate(3, 1), Rate(5, 60))
    times = sends(pace_of(Limits(rate=rates), clock), clock, [0.01] * 12)
    for rate in rates:
        for first, later in zip(times, times[rate.requests :], strict=False):
            assert later - first >= rate.seconds
    assert times[4] - times[0] < 3
    assert times[11] - times[0] < 2 * 60 * 1.03 + 3


def test_a_rate_is_used_to_within_a_few_percent():
    clock = Clock()
    times = sends(pace_of(Limits(rate=(Rate(10, 1),)), clock), clock, [0.02] * 100)
    assert 9 <= times[-1] - times[0] <= 9 * 1.05


class Server:
    """Counts what arrives: never more than `requests` in a window, sliding or fixed."""

    def __init__(self, rate: Rate, offset: float) -> None:
        self.rate, self.offset, self.arrivals = rate, offset, []

    def refuses(self) -> int:
        n, s = self.rate.requests, self.rate.seconds
        times = sorted(self.arrivals)
        sliding = sum(later - first < s for first, later in zip(times, times[n:], strict=False))
        fixed: dict[float, int] = {}
        for time in times:
            window = (time - self.offset) // s
            fixed[window] = fixed.get(window, 0) + 1
        return sliding + sum(count > n for count in fixed.values())


@given(
    st.integers(1, 6),
    st.integers(1, 5),
    st.lists(st.floats(0, 2.5), min_size=5, max_size=60),
    st.floats(0, 1),
)
def test_a_late_arrival_never_makes_a_window_of_the_server_too_full(
    requests, concurrency, delays, offset
):
    """Requests take any time to arrive, the first two none; then the server answers in 0.1 s."""
    clock = Clock()
    rate = Rate(requests, 1.0)
    server = Server(rate, offset)
    flying: deque = deque()

    def wait(seconds):
        """Until then, or until the first of those in flight is back."""
        until = clock.now + (1e9 if seconds is None else seconds)
        first = min(flying, key=lambda flight: flight[0], default=None)
        if first is not None and first[0] <= until:
            flying.remove(first)
            clock.now = first[0]
            pace.leave(first[1], scored=True)
        else:
            clock.now = until

    pace = Pace((rate,), concurrency, clock=clock, wait=wait)
    for delay in [0, 0, *delays]:
        ticket = pace.enter()
        server.arrivals.append(clock.now + delay)
        flying.append((clock.now + delay + 0.1, ticket))
    assert server.refuses() == 0


def test_latency_alone_does_not_slow_a_rate_down():
    clock = Clock()
    flying: deque = deque()

    def wait(seconds):
        until = clock.now + (1e9 if seconds is None else seconds)
        if flying and flying[0][0] <= until:
            clock.now, ticket = flying.popleft()
            pace.leave(ticket, scored=True)
        else:
            clock.now = until

    pace = Pace((Rate(5, 1.0),), 50, clock=clock, wait=wait)
    for _ in range(2):
        flying.append((clock.now + 2.5, pace.enter()))
        wait(None)
    started = clock.now
    for _ in range(100):
        flying.append((clock.now + 2.5, pace.enter()))
    assert clock.now - started <= 20 * 1.05


def test_concurrency_is_halved_once_an_episode_and_grows_back_by_one_a_window():
    clock = Clock()
    pace = pace_of(Limits(concurrency=8, retry=Retry(base=0)), clock)
    flying = [pace.enter() for _ in range(8)]
    for ticket in flying:
        pace.throttled(ticket)
    assert room(pace) == 4
    one = pace.enter()
    clock.now += 1
    pace.throttled(one)
    clock.now += 1
    assert room(pace) == 2
    grown = []
    for _ in range(10):
        tickets = room(pace, keep=True)
        for ticket in tickets:
            pace.leave(ticket, scored=True)
        grown.append(len(tickets))
    assert grown[0] == 2
    assert all(after - before <= 1 for before, after in pairwise(grown))
    assert grown[-1] == 8


def room(pace: Pace, keep: bool = False):
    """How many may be in flight at once (or their tickets)."""
    tickets = []
    with suppress(Stuck):
        while True:
            tickets.append(pace.enter())
    if keep:
        return tickets
    for ticket in tickets:
        pace.cancel(ticket)
    return len(tickets)


def test_it_never_falls_below_one_at_a_time():
    clock = Clock()
    pace = pace_of(Limits(concurrency=2, retry=Retry(base=0)), clock)
    for _ in range(5):
        clock.now += 1
        pace.throttled(pace.enter())
    clock.now += 1
    assert room(pace) == 1


@pytest.mark.parametrize("uniform", [0.0, 1.0])
def test_a_wait_that_the_service_asks_for_is_everybodys_and_counts_once(uniform):
    clock = Clock()
    pace = pace_of(Limits(concurrency=4), clock, uniform)
    flying = [pace.enter() for _ in range(4)]
    for ticket in flying:
        pace.throttled(ticket, wait=10.0)
    before = clock.now
    pace.enter()
    assert clock.now - before == pytest.approx(10 * (1 + JITTER * uniform))


def test_a_longer_wait_in_the_same_episode_is_kept_to_and_a_shorter_one_ends_nothing():
    clock = Clock()
    pace = pace_of(Limits(concurrency=3), clock)
    first, second, third = (pace.enter() for _ in range(3))
    pace.throttled(first, wait=5.0)
    pace.throttled(second, wait=30.0)
    pace.throttled(third, wait=1.0)
    before = clock.now
    pace.enter()
    assert clock.now - before == 30


def test_without_a_hint_the_waits_double_until_something_is_answered():
    clock = Clock()
    pace = pace_of(Limits(retry=Retry(base=1, factor=2, cap=9)), clock, uniform=1.0)
    pauses = []
    for _ in range(6):
        ticket = pace.enter()
        clock.now += 0.1
        pace.throttled(ticket)
        before = clock.now
        pace.cancel(pace.enter())
        pauses.append(clock.now - before)
    assert pauses == pytest.approx([1, 2, 4, 8, 9, 9])
    pace.leave(pace.enter(), scored=True)
    clock.now += 0.1
    pace.throttled(pace.enter())
    before = clock.now
    pace.enter()
    assert clock.now - before == pytest.approx(1)


def test_a_wait_of_more_than_two_minutes_is_not_waited_and_the_time_is_told():
    clock = Clock()
    pace = pace_of(Limits(), clock)
    pace.throttled(pace.enter(), wait=3600.0)
    with pytest.raises(RateLimited, match="3600 s") as limited:
        pace.enter()
    assert re.search(r"until (\d{4}-\d\d-\d\d )?\d\d:\d\d", str(limited.value))
    assert clock.waits == []
    patient = pace_of(Limits(), Clock(), uniform=1.0)
    patient.throttled(patient.enter(), wait=LONGEST_WAIT)
    assert patient.enter() is not None
    assert limited.value.exit_code == 5
    clock.now += 3600 - LONGEST_WAIT
    assert pace.enter() is not None


def test_a_window_that_is_full_for_long_is_not_waited_for():
    clock = Clock()
    pace = pace_of(Limits(rate=(Rate(3, 3600),)), clock)
    sends(pace, clock, [1] * 3)
    with pytest.raises(RateLimited):
        pace.enter()


def test_what_is_not_sent_after_all_takes_no_room():
    clock = Clock()
    pace = pace_of(Limits(rate=(Rate(1, 100),)), clock)
    for _ in range(5):
        pace.cancel(pace.enter())
    before = clock.now
    pace.leave(pace.enter())
    assert clock.now == before


@pytest.mark.parametrize("how", ["enter", "rest"])
def test_waiting_ends_at_once_when_the_run_stops(how):
    stopped = threading.Event()
    begun = threading.Event()
    results = []

    def is_stopped():
        begun.set()
        return stopped.is_set()

    pace = Pace()
    pace.throttled(pace.enter(), wait=100.0)
    wait = pace.enter if how == "enter" else lambda told: pace.rest(100.0, told)
    thread = threading.Thread(target=lambda: results.append(wait(is_stopped)))
    thread.start()
    assert begun.wait(20)
    stopped.set()
    pace.wake()
    thread.join(20)
    assert not thread.is_alive()
    assert results == [None]


def test_after_an_hour_of_sleep_there_is_no_burst():
    clock = Clock()
    pace = pace_of(Limits(concurrency=2, rate=(Rate(3, 1),)), clock)
    sends(pace, clock, [0.1] * 6)
    clock.now += 3600
    times = sends(pace, clock, [0.1] * 6)
    for first, later in zip(times, times[3:], strict=False):
        assert later - first >= 1
