"""What a run may still send: caps on calls and money, and when failures are too many to go on."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from math import floor, inf

from probe.errors import BackendError, ContractError
from probe.limits import Price
from probe.types import Failure, Scores

RETRY_TOKENS = 100
FAILURES_IN_A_ROW = 20
UNREADABLE_IN_A_ROW = 3
OVERSIZED_IN_A_ROW = 2


class Oversized(ContractError):
    """An answer is larger than any could be, and was not read to its end."""


class Cap:
    """Hard caps on calls and on money, retries included, over all runs and threads that share it.

    calls: images sent at most. money: in the currency of `price`, what may be billed at most.
    """

    def __init__(
        self, calls: int | None = None, money: float | None = None, price: Price | None = None
    ) -> None:
        self._calls = inf if calls is None else calls
        self._bills = inf
        if money is not None and price is not None and price.per_call > 0:
            self._bills = min(floor(money / price.per_call + 1e-9), 10**15)
        self._names = f"{calls} calls", f"{money:g} {price.currency}" if money and price else "0"
        self._lock = threading.Lock()

    @property
    def message(self) -> str:
        """Which cap is the one that is reached."""
        return f"the cap of {self._names[self._bills < self._calls]} is reached"

    def take(self, calls: int) -> int:
        """Take leave for up to `calls` calls; returns how many are allowed."""
        with self._lock:
            allowed = int(min(calls, self._calls, self._bills))
            self._calls -= allowed
            self._bills -= allowed
            return allowed

    def give_back(self, calls: int = 0, bills: int = 0) -> None:
        """calls: that never left. bills: that the service will not charge."""
        with self._lock:
            self._calls += calls
            self._bills += bills


class Purse:
    """Counts the calls and requests of one run, under its cap, and knows when to give up.

    calls: images sent. bills: those of them that the service may charge. lost: those sent again
    though they may be charged already. throttled: requests that the service answered with "too
    many". has_scored: an answer of this run could be read.

    Retries are paid from a run-wide budget: an outage empties it and the run fails fast, while
    a service that answers four times in five never does. So do many failed requests in a row.
    """

    def __init__(self, cap: Cap | None = None) -> None:
        self.cap = cap or Cap()
        self.calls = 0
        self.bills = 0
        self.requests = 0
        self.lost = 0
        self.throttled = 0
        self.has_scored = False
        self._tokens = RETRY_TOKENS
        self._failed = 0
        self._unreadable = 0
        self._oversized = 0
        self._lock = threading.Lock()

    def take(self, calls: int) -> int:
        """Take leave for one request of up to `calls` calls; returns how many are allowed."""
        allowed = self.cap.take(calls)
        with self._lock:
            self.calls += allowed
            self.bills += allowed
            self.requests += allowed > 0
        return allowed

    def refund(self, calls: int) -> None:
        """Give back a request that never left: no connection could be made."""
        self.cap.give_back(calls, calls)
        with self._lock:
            self.calls -= calls
            self.bills -= calls
            self.requests -= 1

    def risk(self, calls: int) -> None:
        """These are sent again though they may be charged already."""
        with self._lock:
            self.lost += calls

    def settle(self, outcomes: Sequence[Scores | Failure]) -> None:
        """Book what came of a request."""
        free = sum(is_free(outcome) for outcome in outcomes)
        scored = sum(isinstance(outcome, Scores) for outcome in outcomes)
        self.cap.give_back(bills=free)
        with self._lock:
            self.bills -= free
            self.throttled += any(map(is_throttled, outcomes))
            if scored:
                self.has_scored = True
                self._failed = self._unreadable = self._oversized = 0
                self._tokens = min(RETRY_TOKENS, self._tokens + scored)

    def retry(self, reason: str) -> None:
        """Pay for a request that sends again; raises BackendError when the budget is empty."""
        with self._lock:
            self._tokens -= 2
            if self._tokens < 0:
                raise BackendError(f"too many failures, sending stopped; the last one: {reason}")

    def fail(self, reason: str) -> None:
        """A whole request failed for good; raises BackendError when too many did in a row."""
        with self._lock:
            self._failed += 1
            if self._failed >= FAILURES_IN_A_ROW:
                raise BackendError(
                    f"too many requests failed in a row, sending stopped; the last one: {reason}"
                )

    def unreadable(self, reason: str) -> None:
        """The answer to a single variant makes no sense; raises BackendError after a few."""
        with self._lock:
            self._unreadable += 1
            if self._unreadable >= UNREADABLE_IN_A_ROW:
                raise BackendError(
                    f"{UNREADABLE_IN_A_ROW} answers in a row could not be read, sending stopped; "
                    f"the last one: {reason}"
                )

    def oversized(self, reason: str) -> None:
        """An answer is too large to be one; raises ContractError for the second in a row."""
        with self._lock:
            self._oversized += 1
            if self._oversized >= OVERSIZED_IN_A_ROW:
                raise ContractError(f"sending stopped: {reason}, and so was the one before")


def is_throttled(outcome: Scores | Failure) -> bool:
    return isinstance(outcome, Failure) and outcome.kind == "throttled"


def is_free(outcome: Scores | Failure) -> bool:
    """The service turned it away before doing anything: nobody charges for that."""
    return (
        isinstance(outcome, Failure)
        and not outcome.billed
        and outcome.kind in ("throttled", "unavailable")
    )
