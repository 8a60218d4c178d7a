"""What all runs of one Prober may send together, and when."""

from __future__ import annotations

from threading import Lock

from probe.api.transport.pace import Pace
from probe.api.transport.purse import Cap
from probe.errors import UsageError
from probe.limits import Limits, Throttling


class Allowance:
    """The caps, the deadline and the pace that all runs share, made by the first one.

    calls, money, seconds: hard caps, None for none. deadline: on the monotonic clock.
    """

    def __init__(self, calls: int | None, money: float | None, seconds: float | None) -> None:
        self._calls = calls
        self._money = money
        self._seconds = seconds
        self._cap: Cap | None = None
        self._lock = Lock()
        self.pace: Pace | None = None
        self.deadline: float | None = None

    def start(self, limits: Limits, now: float) -> tuple[Cap, Pace]:
        """For a run that begins `now`; raises UsageError for a cap on money without a price."""
        with self._lock:
            if self._cap is None or self.pace is None:
                if self._money is not None and limits.price is None:
                    raise UsageError(
                        "a cap on cost needs a price, and this backend states none: cap the calls "
                        "(max_calls), or state `price` in a copy of its profile"
                    )
                self._cap = Cap(self._calls, self._money, limits.price)
                self.pace = Pace(limits.rate, limits.concurrency, limits.retry)
                self.deadline = None if self._seconds is None else now + self._seconds
            return self._cap, self.pace

    @property
    def throttling(self) -> Throttling:
        return Throttling() if self.pace is None else self.pace.throttling
