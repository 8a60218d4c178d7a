"""How far a run is, in a line: `41/64 answers · 38 calls in 9 requests · 2 answers/s · 9 s left`.

Whoever draws it asks again and again; the line is true of the moment at which it is asked for.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence, Sized
from dataclasses import dataclass, replace
from threading import Lock
from typing import Protocol

from probe.limits import Throttling
from probe.result import Answer, Result
from probe.text import count, printable
from probe.types import Identity

WIDTH = 100
RECENT = 30.0
"""The rate is that of so many seconds, and of more where less than two arrivals lie in them."""
SHORTEST_WAIT = 0.5


class Snapshot(Protocol):
    """What is said of a run: a Result, or the sum of several."""

    @property
    def answers(self) -> Sequence[Answer]: ...
    @property
    def failures(self) -> Sized: ...
    @property
    def calls(self) -> int: ...
    @property
    def requests(self) -> int: ...
    @property
    def throttled(self) -> int: ...
    @property
    def cost(self) -> float | None: ...
    @property
    def currency(self) -> str | None: ...


@dataclass
class Tally:
    """What is said of a run whose answers are not held, for they are too many.

    done: answers so far. sent: of them, those that the service gave in this run.
    """

    done: int = 0
    sent: int = 0
    failed: int = 0
    calls: int = 0
    requests: int = 0
    throttled: int = 0
    cost: float | None = None
    currency: str | None = None

    @property
    def failures(self) -> range:
        return range(self.failed)


@dataclass(frozen=True)
class Sum:
    """Several runs as one; none of them is a run of which nothing is known yet."""

    results: Sequence[Snapshot] = ()

    @property
    def answers(self) -> list[Answer]:
        return [answer for result in self.results for answer in result.answers]

    @property
    def failures(self) -> range:
        return range(sum(len(result.failures) for result in self.results))

    @property
    def calls(self) -> int:
        return sum(result.calls for result in self.results)

    @property
    def requests(self) -> int:
        return sum(result.requests for result in self.results)

    @property
    def throttled(self) -> int:
        return sum(result.throttled for result in self.results)

    @property
    def currency(self) -> str | None:
        """That of all whose price is known, None where they have several."""
        known = {result.currency for result in self.results if result.cost is not None}
        return known.pop() if len(known) == 1 else None

    @property
    def cost(self) -> float | None:
        if self.currency is None:
            return None
        return sum(result.cost or 0 for result in self.results)


def in_turn(show: Callable[[Snapshot], None]) -> Callable[[Result], None]:
    """Runs that follow one another, shown as one: call it with the snapshots of each, of which
    the last is complete. What several ask of the same unchanged picture counts once."""
    ended: list[Snapshot] = []
    known: set[tuple[object, Identity]] = set()

    def watch(result: Result) -> None:
        digest = result.settings.get("digest")
        news = [
            answer
            for answer in result.answers
            if not isinstance(answer.perturbation, Identity)
            or (digest, answer.perturbation) not in known
        ]
        run = replace(result, answers=news)
        show(Sum([*ended, run]))
        if result.complete:
            ended.append(run)
            known.update(
                (digest, answer.perturbation)
                for answer in news
                if isinstance(answer.perturbation, Identity)
            )

    return watch


State = Snapshot | Tally


class Progress:
    """Says how far a run, or several summed up, is on its way to `total` answers.

    missing: how many of these have to be sent, None where the ledger may lack all of them.
    clock: seconds, monotonic. throttling: what the pace knows at this moment; while a throttled
    run waits, no snapshot tells. `line` may be called from any thread.
    """

    def __init__(
        self,
        total: int,
        missing: int | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        throttling: Callable[[], Throttling] = Throttling,
    ) -> None:
        self.total = total
        self._missing = total if missing is None else missing
        self._clock = clock
        self._throttling = throttling
        self._before = throttling().times
        self._arrivals = deque[tuple[float, int]]()
        self._lock = Lock()

    def line(self, snapshot: State, width: int = WIDTH) -> str:
        """All that there is to say in `width` characters. Left out is what there is none of; then,
        where it is too long: requests, rate, calls, money, throttling, failures."""
        done, sent = counted(snapshot)
        now = self._throttling()
        rate = self._rate(sent) if done else 0.0
        times = max(snapshot.throttled, now.times - self._before)
        seconds = self._left(done, sent, rate, now.wait)
        return _fitted(
            [
                (0, f"{done}/{self.total} answers"),
                (4, f" · {count(snapshot.calls, 'call')}"),
                (6, f" in {count(snapshot.requests, 'request')}" if snapshot.requests else ""),
                (3, _money(snapshot)),
                (5, f" · {_number(rate)} answers/s" if rate else ""),
                (2, _throttled(times, now.wait)),
                (1, f" · {count(len(snapshot.failures), 'failure')}" if snapshot.failures else ""),
                (0, "" if seconds is None else f" · {duration(seconds)} left"),
            ],
            width,
        )

    def _rate(self, sent: int) -> float:
        """Answers a second that came from the service, lately. What the ledger knew came at once
        and is not among them; nor is the first, which is sent alone. A batch arrives as one, so
        that nothing came for as long as it usually takes slows nothing down."""
        now = self._clock()
        with self._lock:
            arrivals = self._arrivals
            if arrivals and sent < arrivals[-1][1]:
                arrivals.clear()
            if not arrivals or sent > arrivals[-1][1]:
                arrivals.append((now, sent))
            while len(arrivals) > 2 and arrivals[1][0] <= now - RECENT:
                arrivals.popleft()
            (start, before), (last, _) = arrivals[0], arrivals[-1]
            usual = (last - start) / max(1, len(arrivals) - 1)
            took = max(last, now - usual) - start
        return (sent - before) / took if sent > before and took > 0 else 0.0

    def _left(self, done: int, sent: int, rate: float, wait: float) -> float | None:
        """Seconds until the last answer, None where that cannot be told."""
        left = min(self.total - done, self._missing - sent)
        return wait + left / rate if rate and left > 0 else None


def counted(snapshot: State) -> tuple[int, int]:
    """Answers, and how many of them were sent in this run."""
    if isinstance(snapshot, Tally):
        return snapshot.done, snapshot.sent
    return len(snapshot.answers), sum(answer.source == "sent" for answer in snapshot.answers)


def duration(seconds: float) -> str:
    """`8 s`, `12 min`, `2.5 h`."""
    if seconds < 100:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def _number(rate: float) -> str:
    return f"{rate:.2g}" if rate < 9.95 else f"{rate:,.0f}"


def _money(snapshot: State) -> str:
    if snapshot.cost is None:
        return ""
    return f" · {snapshot.cost:.4g} {printable(snapshot.currency or '', 40)}"


def _throttled(times: int, wait: float) -> str:
    said = [f"throttled {count(times, 'time')}"] if times else []
    said += [f"waiting {duration(wait)}"] if wait >= SHORTEST_WAIT else []
    return f" · {', '.join(said)}" if said else ""


def _fitted(parts: Sequence[tuple[int, str]], width: int) -> str:
    """The parts as one line; of one that is too long the highest numbers go first, 0 never."""
    kept = [*parts]
    while sum(len(text) for _, text in kept) > width and any(number for number, _ in kept):
        kept.remove(max(kept, key=lambda part: part[0]))
    return "".join(text for _, text in kept)
