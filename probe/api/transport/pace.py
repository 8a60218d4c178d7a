"""When the next request to a service may go: rate windows, concurrency, pauses.

One Pace is shared by all threads that send to one service, and it outlives a run.
"""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import inf
from threading import Condition

from probe.errors import RateLimited
from probe.limits import Rate, Retry, Throttling

LONGEST_WAIT = 120.0
JITTER = 0.1
PATIENCE = Retry()
MARGIN = 1.02
"""A window is held for this much longer than stated: clocks are not all equal."""


@dataclass(eq=False)
class Ticket:
    """Leave for one request. episode: how often the service had throttled by then. took: seconds
    until the answer, None in flight."""

    sent: float
    episode: int
    took: float | None = None


class Pace:
    """Lets requests go as the service can take them.

    Rate windows: of every `rate`, at most `requests` requests arrive in any stretch of `seconds`,
    wherever a server's own windows begin. When exactly a request arrived nobody knows: one
    that was answered later than the quickest may have arrived so much later, so it counts for so
    much longer, and one without an answer counts until it has one.

    Concurrency: at first `concurrency` requests at once. Throttling halves it, every
    window of successes gives one back (AIMD). It also pauses everybody, once for all that was
    in flight then: for as long as the service says, and up to 10 % more, or for an exponential
    back-off with full jitter.

    clock: seconds, monotonic. wait: called with the seconds until something may change (None: until
    told), returns earlier when told. uniform: random numbers from 0 to 1.
    """

    def __init__(
        self,
        rates: Sequence[Rate] = (),
        concurrency: int = 1,
        retry: Retry = PATIENCE,
        *,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float | None], object] | None = None,
        uniform: Callable[[], float] = random.random,
    ) -> None:
        self._concurrency = concurrency
        self._retry = retry
        self._clock = clock
        self._changed = Condition()
        self._wait = wait or self._changed.wait
        self._uniform = uniform
        self._windows = [(rate, deque[Ticket]()) for rate in rates]
        self._allowed = float(concurrency)
        self._flying = 0
        self._answered = 0
        self._quickest = inf
        self._until = -inf
        self._episode = 0
        self._in_a_row = 0
        self._refusals = 0

    def enter(self, stopped: Callable[[], bool] = lambda: False) -> Ticket | None:
        """Wait until a request may go; None when `stopped` says so by then.

        Raises RateLimited rather than wait longer than LONGEST_WAIT.
        """
        with self._changed:
            while not stopped():
                now = self._clock()
                delay = self._delay(now)
                if delay is not None and delay > LONGEST_WAIT:
                    raise RateLimited(
                        f"the service takes no more for {delay:.0f} s, until {_time_in(delay)}"
                    )
                if delay is None or delay > 0:
                    self._wait(delay)
                    continue
                ticket = Ticket(now, self._episode)
                self._flying += 1
                for _, sent in self._windows:
                    sent.append(ticket)
                return ticket
            return None

    def leave(self, ticket: Ticket, scored: bool = False) -> None:
        """A request is over."""
        with self._changed:
            self._land(ticket, scored)

    def cancel(self, ticket: Ticket) -> None:
        """The request was not sent after all."""
        with self._changed:
            for _, sent in self._windows:
                sent.remove(ticket)
            self._land(ticket, False)

    def throttled(self, ticket: Ticket, wait: float | None = None, is_refusal: bool = True) -> None:
        """A request is over: the service wants less, and perhaps says for how many seconds.

        is_refusal: it said "too many requests", and not only when to come again.
        """
        with self._changed:
            self._land(ticket, False)
            self._refusals += is_refusal
            now = self._clock()
            if ticket.episode == self._episode:
                self._episode += 1
                self._allowed = max(1.0, self._allowed / 2)
                self._until = max(self._until, now + self._pause(wait))
                self._in_a_row += 1
            elif wait is not None:
                self._until = max(self._until, now + wait)

    @property
    def throttling(self) -> Throttling:
        """Of all runs so far, and at this moment."""
        with self._changed:
            return Throttling(self._refusals, max(0.0, self._until - self._clock()))

    def rest(self, seconds: float, stopped: Callable[[], bool] = lambda: False) -> None:
        """Wait, unless `stopped` says so."""
        with self._changed:
            until = self._clock() + seconds
            while not stopped() and (left := until - self._clock()) > 0:
                self._wait(left)

    def wake(self) -> None:
        """Let everybody who waits look again whether to stop."""
        with self._changed:
            self._changed.notify_all()

    def _pause(self, wait: float | None) -> float:
        if wait is not None:
            return min(wait * (1 + JITTER * self._uniform()), max(wait, LONGEST_WAIT))
        retry = self._retry
        steps = min(self._in_a_row, 64)
        return self._uniform() * min(retry.cap, retry.base * retry.factor**steps)

    def _land(self, ticket: Ticket, scored: bool) -> None:
        ticket.took = self._clock() - ticket.sent
        if scored:
            self._answered += 1
            self._quickest = min(self._quickest, ticket.took)
            self._in_a_row = 0
            self._allowed = min(self._concurrency, self._allowed + 1 / self._allowed)
        self._flying -= 1
        self._changed.notify_all()

    def _delay(self, now: float) -> float | None:
        """Seconds until the next request may go, None where that hangs on one in flight."""
        if self._flying >= int(self._allowed):
            return None
        free = max((self._free_at(now, rate, sent) for rate, sent in self._windows), default=now)
        delay = max(self._until, free) - now
        return None if delay == inf else delay

    def _free_at(self, now: float, rate: Rate, sent: deque[Ticket]) -> float:
        """When a window takes one more, inf where that hangs on a request in flight."""
        if len(sent) < rate.requests:
            return now
        ends = sorted(self._end(ticket, rate.seconds * MARGIN) for ticket in sent)
        over = sum(end <= now for end in ends)
        if over:
            kept = [t for t in sent if self._end(t, rate.seconds * MARGIN) > now]
            sent.clear()
            sent.extend(kept)
        return now if len(sent) < rate.requests else ends[over]

    def _end(self, ticket: Ticket, seconds: float) -> float:
        """Until when the request counts."""
        usual = self._quickest if self._answered > 1 else 0.0
        if ticket.took is not None:
            return ticket.sent + seconds + max(0.0, ticket.took - usual)
        return ticket.sent + seconds if seconds <= usual else inf


def _time_in(seconds: float) -> str:
    """The local time so many seconds from now, with the date where it is not today."""
    now = datetime.now()
    then = now + timedelta(seconds=seconds)
    return f"{then:%H:%M:%S}" if then.date() == now.date() else f"{then:%Y-%m-%d %H:%M}"
