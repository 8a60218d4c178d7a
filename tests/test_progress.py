"""How far a run is, in words: by a clock that the test moves."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe import Box, Failure, Prober, Scores
from probe.judging import judge
from probe.ledger import Ledger
from probe.limits import Throttling
from probe.mock import Faults, serve
from probe.progress import RECENT, Progress, Sum, duration, in_turn
from probe.result import Answer
from probe.testing.planted import Planted, planted_picture
from tests.clocks import Clock


@dataclass
class Known:
    """A snapshot, by its numbers; `ledger` are the answers that were known before."""

    sent: int = 0
    ledger: int = 0
    calls: int = 0
    requests: int = 0
    throttled: int = 0
    cost: float | None = None
    currency: str | None = None
    failures: list = field(default_factory=list)

    @property
    def answers(self):
        change, scores = Box(0, 0, 1, 1), Scores({"nsfw": 0.5})
        return [Answer(change, scores, "ledger")] * self.ledger + [
            Answer(change, scores, "sent")
        ] * self.sent


def steady(progress, clock, batches, size=1, every=1.0, ledger=0):
    """The line after the first answer, what the ledger knew, and so many batches, one every so
    many seconds."""
    sent = 1
    progress.line(Known(sent))
    line = progress.line(Known(sent, ledger))
    for _ in range(batches):
        clock.now += every
        sent += size
        line = progress.line(Known(sent, ledger))
    return line


def test_all_that_there_is_to_say_fits_a_hundred_columns():
    clock = Clock()
    progress = Progress(64, clock=clock)
    progress.line(Known(sent=10))
    clock.now += 10
    line = progress.line(
        Known(sent=41, calls=38, requests=38, cost=0.02, currency="USD", throttled=2)
    )
    assert line == (
        "41/64 answers · 38 calls in 38 requests · 0.02 USD · 3.1 answers/s · throttled 2 times "
        "· 7 s left"
    )
    assert len(line) <= 100


def test_nothing_is_said_of_what_there_is_none_of():
    assert Progress(64, clock=Clock()).line(Sum()) == "0/64 answers · 0 calls"
    assert Progress(64, clock=Clock()).line(Known(1, 0, 1, 1)) == (
        "1/64 answers · 1 call in 1 request"
    )
    failed = Known(2, calls=1, requests=1, failures=[1])
    assert Progress(2, clock=Clock()).line(failed).endswith("1 request · 1 failure")


@pytest.mark.parametrize(
    ("width", "line"),
    [
        (
            120,
            "31/64 answers · 31 calls in 8 requests · 3 EUR · 3 answers/s · throttled 1 time, "
            "waiting 12 s · 2 failures · 23 s left",
        ),
        (
            104,
            "31/64 answers · 31 calls · 3 EUR · 3 answers/s · throttled 1 time, waiting 12 s · "
            "2 failures · 23 s left",
        ),
        (
            90,
            "31/64 answers · 31 calls · 3 EUR · throttled 1 time, waiting 12 s · 2 failures · "
            "23 s left",
        ),
        (79, "31/64 answers · 3 EUR · throttled 1 time, waiting 12 s · 2 failures · 23 s left"),
        (71, "31/64 answers · throttled 1 time, waiting 12 s · 2 failures · 23 s left"),
        (10, "31/64 answers · 23 s left"),
    ],
)
def test_a_line_that_is_too_long_leaves_the_least_of_it_out(width, line):
    clock = Clock()
    progress = Progress(64, clock=clock, throttling=lambda: Throttling(0, 12.0))
    progress.line(Known(sent=1))
    clock.now += 10
    known = Known(31, 0, 31, 8, 1, 3.0, "EUR", [1, 2])
    assert progress.line(known, width) == line
    assert width == 10 or len(line) <= width


def test_the_rate_and_the_time_left_are_those_of_what_arrives():
    clock = Clock()
    progress = Progress(64, clock=clock)
    assert steady(progress, clock, 8, size=4, every=2.0) == (
        "33/64 answers · 0 calls · 2 answers/s · 16 s left"
    )


@given(st.integers(0, 500), st.integers(1, 50), st.floats(0.1, 20), st.integers(2, 20))
def test_what_the_ledger_knew_makes_no_rate_and_promises_nothing(ledger, size, every, batches):
    """However many answers came at once, the time left is that of those that must be sent."""
    clock = Clock()
    sent, left = 1 + size * batches, 3 * size
    progress = Progress(ledger + sent + left, clock=clock)
    line = steady(progress, clock, batches, size, every, ledger)
    assert line.endswith(f" · {duration(3 * every)} left")
    clock = Clock()
    behind = Progress(ledger + sent + left, missing=sent + left, clock=clock)
    assert steady(behind, clock, batches, size, every).endswith(f" · {duration(3 * every)} left")


def test_from_the_ledger_alone_nothing_has_a_rate():
    clock = Clock()
    progress = Progress(64, missing=0, clock=clock)
    for known in (1, 30, 64):
        clock.now += 1
        assert progress.line(Known(ledger=known)) == f"{known}/64 answers · 0 calls"


def test_the_rate_is_that_of_the_recent_past():
    clock = Clock()
    progress = Progress(1000, clock=clock)
    steady(progress, clock, 100, size=1, every=1.0)
    sent = 101
    for _ in range(round(RECENT / 0.5)):
        clock.now += 0.5
        sent += 2
        line = progress.line(Known(sent))
    assert " · 4 answers/s · " in line


def test_between_two_batches_the_rate_stays_and_in_a_long_silence_it_falls():
    clock = Clock()
    progress = Progress(1000, clock=clock)
    steady(progress, clock, 3, size=10, every=5.0)
    clock.now += 4.9
    assert " · 2 answers/s · " in progress.line(Known(31))
    clock.now += 20.1
    assert " · 0.4 answers/s · " in progress.line(Known(31))


def test_a_run_that_waits_says_so_and_the_time_left_holds_the_wait():
    clock = Clock()
    now = Throttling(5, 0.0)
    progress = Progress(64, clock=clock, throttling=lambda: now)
    steady(progress, clock, 31)
    now = Throttling(8, 12.2)
    assert progress.line(Known(32)) == (
        "32/64 answers · 0 calls · 1 answers/s · throttled 3 times, waiting 12 s · 44 s left"
    )
    now = Throttling(8, 0.0)
    assert "throttled 3 times · " in progress.line(Known(32))
    now = Throttling(5, 30.0)
    assert " · waiting 30 s · " in progress.line(Known(32))


def test_a_throttled_first_request_is_told_before_there_is_any_answer():
    now = Throttling()
    progress = Progress(64, clock=Clock(), throttling=lambda: now)
    now = Throttling(1, 99.0)
    assert progress.line(Sum()) == "0/64 answers · 0 calls · throttled 1 time, waiting 99 s"


def test_a_run_that_begins_anew_has_no_negative_rate():
    clock = Clock()
    progress = Progress(64, clock=clock)
    steady(progress, clock, 10)
    clock.now += 1
    assert "answers/s" not in progress.line(Known(1))


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.2, "1 s"), (99.4, "99 s"), (130, "2 min"), (9000, "2.5 h")]
)
def test_durations(seconds, said):
    assert duration(seconds) == said


def test_markup_and_escapes_of_a_currency_are_spelled_out():
    line = Progress(64, clock=Clock()).line(Known(cost=1.0, currency="\x1b[31mEUR"))
    assert r"1 \x1b[31mEUR" in line


def test_a_sum_is_of_all_and_has_one_currency_or_none():
    dear = Known(2, 1, 3, 2, 1, 0.5, "EUR", [1])
    free = Known(1, 0, 1, 1)
    both = Sum([dear, free])
    assert (len(both.answers), both.calls, both.requests, both.throttled) == (4, 4, 3, 1)
    assert (both.cost, both.currency, len(both.failures)) == (0.5, "EUR", 1)
    assert Sum([dear, Known(cost=1.0, currency="USD")]).cost is None


def test_runs_in_turn_are_one_and_the_same_question_counts_once():
    prober = Prober(Planted(), ledger=Ledger(None))
    shown = []
    heatmap = prober.heatmap(planted_picture())
    judgement = judge(prober, planted_picture(), heatmap, watch=in_turn(shown.append))
    done = [len(one.answers) for one in shown]
    assert done == sorted(done)
    assert done[-1] == judgement.answers == 40
    assert (shown[-1].calls, shown[-1].requests) == (judgement.calls, judgement.requests)


@pytest.mark.parametrize("faults", ["429=0.3,wait=0", "429-none=0.2,503=0.1,wait=0"])
def test_as_many_are_throttled_as_the_server_says(faults):
    two_a_request = replace(Planted().limits, batch=2, concurrency=4)
    with serve(Planted(limits=two_a_request), faults=Faults.parse(faults, seed=3)) as server:
        prober = Prober(server.url, ledger=Ledger(None))
        first = prober.probe(planted_picture(), budget=40)
        sent = sum(n for kind, n in server.faults.items() if kind.startswith("429"))
        assert first.throttled == sent > 0
        assert prober.throttling.times == sent
        again = prober.probe(planted_picture(), budget=40)
        assert (again.calls, again.throttled) == (0, 0)
        assert prober.throttling.times == sent


def test_a_wait_without_a_refusal_is_no_throttling():
    failed = []

    class Busy(Planted):
        def score(self, variants, codec):
            if not failed:
                failed.append(True)
                return [Failure("unavailable", "busy", wait=0.0)] * len(variants)
            return super().score(variants, codec)

    prober = Prober(Busy(), ledger=Ledger(None))
    assert prober.probe(planted_picture(), budget=10).throttled == 0
    assert prober.throttling.times == 0


def test_a_prober_that_has_asked_nothing_is_not_throttled():
    assert Prober(Planted(), ledger=Ledger(None)).throttling == Throttling()
