"""Two runs side by side, so that the services' latencies do not add up."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from threading import Event, Thread
from typing import TypeVar

from probe.errors import Interrupted, ProbeError
from probe.signals import caught

log = logging.getLogger(__name__)

T = TypeVar("T")
Work = Callable[[Event], T]
"""Something long; it is to end early, losing nothing, once the event is set."""


def blamed(name: str, work: Callable[[], T]) -> T:
    """What `work` returns; its errors say whose they are."""
    try:
        return work()
    except ProbeError as error:
        error.args = (f"{name}: {error}",)
        raise


def one_by_one(works: Sequence[Work[T]]) -> list[T]:
    """Each after the other, for two that share the limits of one service."""
    return [work(Event()) for work in works]


def side_by_side(works: Sequence[Work[T]]) -> list[T]:
    """All at once, each in a thread of its own.

    When one fails, or Ctrl-C is pressed, the others are told to stop and waited for; then the
    first error is raised. A second Ctrl-C leaves at once.
    """
    stop, errors = Event(), list[BaseException]()
    done: SimpleQueue[int] = SimpleQueue()
    outcomes: dict[int, T] = {}

    def run(number: int) -> None:
        try:
            outcomes[number] = works[number](stop)
        except BaseException as error:
            errors.append(error)
            stop.set()
        done.put(number)

    def interrupt(interrupted: Interrupted) -> None:
        if stop.is_set() and any(isinstance(error, Interrupted) for error in errors):
            raise interrupted
        errors.append(interrupted)
        stop.set()
        log.warning("stopping: waiting for what is in flight; again to leave at once")

    with caught(interrupt):
        for number in range(len(works)):
            Thread(target=run, args=(number,), name="probe-compare", daemon=True).start()
        for _ in works:
            done.get()
    if errors:
        raise errors[0]
    return [outcomes[number] for number in range(len(works))]
