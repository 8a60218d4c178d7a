"""Two runs side by side, so that the services' latencies do not add up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from queue import SimpleQueue
from threading import Event, Thread
from typing import TypeVar

from probe.errors import Interrupted, ProbeError
from probe.signals import caught, stop_thread

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

    When one fails, or Ctrl-C is pressed, the others are stopped, keep what is in flight, and are
    waited for; then the first error is raised. Ctrl-C while they stop leaves at once.
    """
    stop, errors = Event(), list[BaseException]()
    done: SimpleQueue[int] = SimpleQueue()
    outcomes: dict[int, T] = {}

    def run(number: int) -> None:
        try:
            outcomes[number] = works[number](stop)
        except BaseException as error:
            errors.append(error)
        done.put(number)

    def interrupt(interrupted: Interrupted) -> None:
        if stop.is_set():
            raise interrupted
        errors.append(interrupted)
        halt()

    def halt() -> None:
        if not stop.is_set():
            stop.set()
            for thread in threads:
                stop_thread(thread.ident, Interrupted("the other one was stopped"))

    threads = [
        Thread(target=run, args=(number,), name="probe-compare", daemon=True)
        for number in range(len(works))
    ]
    with caught(interrupt):
        for thread in threads:
            thread.start()
        for _ in works:
            done.get()
            if errors:
                halt()
    if errors:
        raise errors[0]
    return [outcomes[number] for number in range(len(works))]
