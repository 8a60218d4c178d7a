"""Many pictures probed side by side with one Prober: its pace, caps and ledger are theirs all."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from probe.errors import ImageError, Interrupted, ProbeError, UsageError
from probe.result import Result
from probe.signals import stop_thread

T = TypeVar("T")

Asked = tuple[T, Result | ProbeError]


def side_by_side(
    work: Callable[[T], Result], jobs: Iterable[T], at_once: int
) -> Iterator[Asked[T]]:
    """Each job with its result or error, in their order; no more than `at_once` are held.

    An error that ends a run (a cap, the service, the disk) ends all: the others receive what they
    have in flight, what was found by then is given out, and it is raised at the end. A picture
    that cannot be used ends nothing. An interrupt is handed to all.
    """
    crew = _Crew(work)
    waiting: deque[tuple[T, Future[Result | ProbeError]]] = deque()
    with ThreadPoolExecutor(at_once, "probe-many") as pool:
        try:
            for job in jobs:
                waiting.append((job, pool.submit(crew.done, job)))
                if len(waiting) > at_once:
                    yield _taken(waiting)
            while waiting:
                yield _taken(waiting)
        except BaseException:
            crew.stop()
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    if crew.stopped is not None:
        raise crew.stopped


def _taken(waiting: deque[tuple[T, Future[Result | ProbeError]]]) -> Asked[T]:
    job, future = waiting.popleft()
    return job, future.result()


class _Crew:
    """The threads, and what stopped them."""

    def __init__(self, work: Callable[[Any], Result]) -> None:
        self._work = work
        self._working: set[int] = set()
        self._lock = threading.Lock()
        self.stopped: ProbeError | None = None
        self._ended = False

    def done(self, job: Any) -> Result | ProbeError:
        own = threading.get_ident()
        self._working.add(own)
        try:
            return self._done(job)
        finally:
            self._working.discard(own)

    def _done(self, job: Any) -> Result | ProbeError:
        if self._ended:
            return self.stopped or ProbeError("stopped")
        try:
            return self._work(job)
        except (ImageError, UsageError) as error:
            return error
        except Interrupted as error:
            return error.partial or self.stopped or ProbeError(str(error))
        except ProbeError as error:
            self.stop(error)
            return error

    def stop(self, reason: ProbeError | None = None) -> None:
        """Those that are at work receive what is in flight and send no more; told once, for the
        second time means to leave at once."""
        with self._lock:
            if self._ended:
                return
            self._ended, self.stopped = True, reason
        left = {*self._working} - {threading.get_ident()}
        while left:
            told = {one for one in left if stop_thread(one, Interrupted("stopped with the others"))}
            left = (left - told) & {*self._working}
            if left:  # what has not begun to send yet is told when it does
                time.sleep(0.01)
