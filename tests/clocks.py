"""Time that passes only when somebody waits."""

from __future__ import annotations

from probe.api.transport.pace import Pace
from probe.limits import Limits


class Stuck(Exception):
    """Nobody is there to end the wait."""


class Clock:
    """`wait` lets the time pass, and remembers how much: no test waits itself."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.waits: list[float] = []

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float | None) -> None:
        if seconds is None:
            raise Stuck
        self.waits.append(seconds)
        self.now += seconds


def pace_of(limits: Limits, clock: Clock, uniform: float = 0.0) -> Pace:
    return Pace(
        limits.rate,
        limits.concurrency,
        limits.retry,
        clock=clock,
        wait=clock.wait,
        uniform=lambda: uniform,
    )
