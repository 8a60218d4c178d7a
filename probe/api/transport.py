"""Sends batches of variants to any backend: threads, retries, splitting, caps.

A backend scores one request; everything around it is here. What was received is always
handed back, also when the run has to stop in the middle of a batch.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import SimpleQueue

from tenacity import RetryCallState, Retrying, retry_if_result, stop_when_event_set
from tenacity.nap import sleep_using_event
from tenacity.wait import wait_base, wait_random_exponential

from probe.api.purse import Purse
from probe.errors import BackendError, ContractError, LimitReached, Rejected, Unreachable
from probe.types import Backend, Codec, Failure, FailureKind, Scores, Variant

log = logging.getLogger(__name__)

ATTEMPTS: dict[FailureKind, int] = {
    "refused": 1,
    "invalid": 2,
    "lost": 2,
    "throttled": 4,
    "unavailable": 4,
}
MOST_THREADS = 64
LONGEST_WAIT = 120.0
UNSENT = Failure("unavailable", "not sent: the run was stopped")


@dataclass
class Delivery:
    """What came of a batch: an outcome a variant.

    error stops the run; cause is why a variant was refused, for the first call to raise.
    """

    tags: Sequence[int]
    outcomes: list[Scores | Failure]
    error: BaseException | None = None
    cause: BackendError | None = None


class _Hint(wait_base):
    """The longest wait the service asked for, else exponential back-off with full jitter."""

    def __init__(self) -> None:
        self._backoff = wait_random_exponential(multiplier=1, max=60)

    def __call__(self, retry_state: RetryCallState) -> float:
        assert retry_state.outcome is not None
        failures: Sequence[Failure] = retry_state.outcome.result()
        hints = [failure.wait for failure in failures if failure.wait is not None]
        if any(failure.kind in ("throttled", "unavailable") for failure in failures):
            return max(hints) if hints else float(self._backoff(retry_state))
        return 0.0


@dataclass
class _Batch:
    """One batch on its way: which variants still need an answer, and how often each was sent."""

    variants: Sequence[Variant]
    outcomes: list[Scores | Failure]
    sent: list[int]
    waiting: list[int]
    cause: BackendError | None = None


class Transport:
    """Worker threads that score batches on `backend`: `submit` them, take them from `done`.

    before_send is called in the worker with the variants of every request that goes out. The
    threads are daemons: a second Ctrl-C leaves at once.
    """

    def __init__(
        self,
        backend: Backend,
        codec: Codec,
        purse: Purse,
        before_send: Callable[[Sequence[Variant]], None] = lambda variants: None,
        sleep: threading.Event | None = None,
    ) -> None:
        self._backend = backend
        self._codec = codec
        self._limits = backend.limits
        self._concurrency = min(self._limits.concurrency, most_threads())
        self._purse = purse
        self._before_send = before_send
        self._stopped = threading.Event()
        self._nap = sleep_using_event(sleep or self._stopped)
        self._jobs: SimpleQueue[tuple[Sequence[int], Sequence[Variant]] | None] = SimpleQueue()
        self.done: SimpleQueue[Delivery | BaseException] = SimpleQueue()
        self._threads: list[threading.Thread] = []

    @property
    def batch(self) -> int:
        return self._limits.batch

    @property
    def slots(self) -> int:
        """How many batches may be in flight: one a worker and one in hand."""
        return self._concurrency + 1

    def submit(self, tags: Sequence[int], variants: Sequence[Variant]) -> None:
        self._jobs.put((tags, variants))
        if len(self._threads) < self._concurrency:
            thread = threading.Thread(target=self._work, name="probe-send", daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop(self) -> None:
        """No new sends from now on; sleeping retries wake up and give up."""
        self._stopped.set()

    def close(self, wait: bool = True) -> None:
        """End the threads, after what they have in flight unless told not to `wait`."""
        self.stop()
        for _ in self._threads:
            self._jobs.put(None)
        if wait:
            for thread in self._threads:
                thread.join()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            delivery = self._deliver(*job)
            if delivery.error is not None:
                self.stop()
            self.done.put(delivery)

    def _deliver(self, tags: Sequence[int], variants: Sequence[Variant]) -> Delivery:
        size = len(variants)
        batch = _Batch(variants, [UNSENT] * size, [0] * size, list(range(size)))
        error: BaseException | None = None
        try:
            Retrying(
                retry=retry_if_result(bool),
                stop=stop_when_event_set(self._stopped),
                wait=_Hint(),
                sleep=self._nap,
                retry_error_callback=lambda state: None,
            )(self._attempt, batch)
            if isinstance(batch.cause, Unreachable):
                error = batch.cause
        except BaseException as stopping:
            error = stopping
        return Delivery(tags, batch.outcomes, error, batch.cause)

    def _attempt(self, batch: _Batch) -> list[Failure]:
        """Send what is waiting; returns the failures that are worth another try."""
        if self._stopped.is_set():
            return []
        again = [i for i in batch.waiting if batch.sent[i]]
        if again:
            self._purse.retry(len(again), self._reason(batch, again[0]))
        batch.cause = None
        self._send(batch, batch.waiting)
        batch.waiting = [i for i in batch.waiting if _worth_retrying(batch, i)]
        failures = [f for i in batch.waiting if isinstance(f := batch.outcomes[i], Failure)]
        for failure in failures:
            log.info("to be sent again (%s): %s", failure.kind, failure.message)
            if failure.wait is not None and failure.wait > LONGEST_WAIT:
                raise LimitReached(f"the service asks to wait {failure.wait:.0f} s")
        return failures

    def _send(self, batch: _Batch, indexes: Sequence[int]) -> None:
        """One request; a batch that fails as a whole is halved down to the bad variant."""
        ready = [i for i in indexes if self._fits(batch, i)]
        if not ready:
            return
        allowed = self._purse.take(len(ready))
        if allowed:
            self._request(batch, ready[:allowed])
        if allowed < len(ready):
            raise LimitReached(self._purse.cap.message)

    def _request(self, batch: _Batch, ready: Sequence[int]) -> None:
        variants = [batch.variants[i] for i in ready]
        try:
            self._before_send(variants)
        except BaseException:
            self._purse.refund(len(ready))
            raise
        log.info("sending %d", len(variants))
        for i in ready:
            batch.sent[i] += 1
        try:
            outcomes = self._backend.score(variants, self._codec)
            if len(outcomes) != len(ready):
                raise ContractError(
                    f"the backend returned {len(outcomes)} answers to {len(ready)} variants"
                )
        except Rejected:
            raise
        except Unreachable as error:
            self._purse.refund(len(ready))
            batch.cause = error
            outcomes = [Failure("unavailable", str(error))] * len(ready)
        except BackendError as error:
            log.info("a request of %d failed: %s", len(ready), error)
            unreadable = isinstance(error, ContractError) and len(ready) == 1
            for i in ready:
                batch.outcomes[i] = Failure("refused", str(error), billed=True)
            self._purse.fail(str(error), unreadable)
            if len(ready) > 1:
                self._halve(batch, ready, str(error))
                return
            batch.cause = error
            outcomes = [Failure("refused", str(error), billed=True)]
        for i, outcome in zip(ready, outcomes, strict=True):
            batch.outcomes[i] = outcome
            if isinstance(outcome, Scores):
                self._purse.earn()
        if batch.cause is None and all(_is_final(outcome) for outcome in outcomes):
            self._purse.fail(self._reason(batch, ready[0]))

    def _halve(self, batch: _Batch, indexes: Sequence[int], reason: str) -> None:
        middle = len(indexes) // 2
        for half in (indexes[:middle], indexes[middle:]):
            if not self._stopped.is_set():
                self._purse.retry(1, reason)
                self._send(batch, half)

    @staticmethod
    def _reason(batch: _Batch, index: int) -> str:
        outcome = batch.outcomes[index]
        return outcome.message if isinstance(outcome, Failure) else ""

    def _fits(self, batch: _Batch, index: int) -> bool:
        most = self._limits.max_bytes
        if most is None or self._codec.format == "pixels":
            return True
        size = len(batch.variants[index].encode(self._codec))
        if size > most:
            batch.outcomes[index] = Failure(
                "refused",
                f"{size} bytes encoded, the service takes {most}: use a smaller --side or --codec",
            )
        return size <= most


def most_threads() -> int:
    """As many as have descriptors left for a connection each, and never more than MOST_THREADS."""
    try:
        import resource
    except ImportError:
        return MOST_THREADS
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST_THREADS if allowed < 0 else max(1, min(MOST_THREADS, (allowed - 40) // 2))


def _is_final(outcome: Scores | Failure) -> bool:
    return isinstance(outcome, Failure) and outcome.kind in ("refused", "invalid")


def _worth_retrying(batch: _Batch, index: int) -> bool:
    outcome = batch.outcomes[index]
    return isinstance(outcome, Failure) and 0 < batch.sent[index] < ATTEMPTS[outcome.kind]
