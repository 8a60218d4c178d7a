"""What a run may still send: caps on calls, and when failures are too many to go on."""

from __future__ import annotations

import threading

from probe.errors import BackendError

RETRY_TOKENS = 100
FAILURES_IN_A_ROW = 20


class Cap:
    """A hard cap on calls, retries included, over all runs and threads that share it."""

    def __init__(self, most: int | None = None, said: str = "calls") -> None:
        self._left = most
        self._lock = threading.Lock()
        self.message = f"the cap of {said} is reached"

    def take(self, calls: int) -> int:
        """Take leave for up to `calls` calls; returns how many are allowed."""
        with self._lock:
            if self._left is not None:
                calls = min(calls, self._left)
                self._left -= calls
            return calls

    def give_back(self, calls: int) -> None:
        with self._lock:
            if self._left is not None:
                self._left += calls


class Purse:
    """Counts the calls and requests of one run, under its cap, and knows when to give up.

    Retries are paid from a run-wide budget: an outage empties it and the run fails fast, while
    a service that answers four times in five never does. So do many failed requests in a row.
    """

    def __init__(self, cap: Cap | None = None) -> None:
        self.cap = cap or Cap()
        self.calls = 0
        self.requests = 0
        self._tokens = RETRY_TOKENS
        self._failed = 0
        self._lock = threading.Lock()

    def take(self, calls: int) -> int:
        """Take leave for one request of up to `calls` calls; returns how many are allowed."""
        allowed = self.cap.take(calls)
        with self._lock:
            self.calls += allowed
            self.requests += allowed > 0
        return allowed

    def refund(self, calls: int) -> None:
        """Give back calls that never left: no connection could be made."""
        self.cap.give_back(calls)
        with self._lock:
            self.calls -= calls
            self.requests -= 1

    def earn(self) -> None:
        """A variant got its score."""
        with self._lock:
            self._failed = 0
            self._tokens = min(RETRY_TOKENS, self._tokens + 1)

    def retry(self, items: int, reason: str) -> None:
        """Pay for sending again; raises BackendError when the budget is empty."""
        with self._lock:
            self._tokens -= 2 * items
            if self._tokens < 0:
                raise BackendError(f"too many failures, sending stopped; the last one: {reason}")

    def fail(self, reason: str, unreadable: bool = False) -> None:
        """A whole request failed; raises BackendError when too many did in a row."""
        with self._lock:
            self._failed += FAILURES_IN_A_ROW // 3 + 1 if unreadable else 1
            if self._failed >= FAILURES_IN_A_ROW:
                raise BackendError(
                    f"too many requests failed in a row, sending stopped; the last one: {reason}"
                )
