"""One batch on its way: packed, paced, paid, sent, halved and sent again until it is settled."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf
from threading import Event

from tenacity import RetryCallState, Retrying, retry_if_result, stop_when_event_set
from tenacity.wait import wait_base, wait_random_exponential

from probe.api.transport.pace import Pace, Ticket
from probe.api.transport.purse import Oversized, Purse, is_throttled
from probe.errors import (
    BackendError,
    ContractError,
    LimitReached,
    Rejected,
    Unreachable,
    UsageError,
)
from probe.limits import Retry
from probe.types import Backend, Codec, Failure, FailureKind, Scores, Variant

log = logging.getLogger(__name__)

UNSENT = Failure("unavailable", "not sent: the run was stopped")
PERHAPS_BILLED = 2
NOBODY_THERE = 3
THROTTLED_FOR_GOOD = 60
"""A variant that is turned away so often, while others are not, will never be scored."""
ENVELOPE = 512
"""Bytes that a request may have around each picture."""


@dataclass
class Delivery:
    """What came of a batch: an outcome a variant.

    error stops the run; cause is why a variant was refused, for the first call to raise.
    """

    tags: Sequence[int]
    outcomes: list[Scores | Failure]
    error: BaseException | None = None
    cause: BackendError | None = None


class _Backoff(wait_base):
    """Exponential with full jitter after an outage; all other waits are the pace's."""

    def __init__(self, retry: Retry) -> None:
        self._backoff = wait_random_exponential(retry.base, retry.cap, retry.factor)

    def __call__(self, retry_state: RetryCallState) -> float:
        assert retry_state.outcome is not None
        failures: Sequence[Failure] = retry_state.outcome.result()
        down = any(f.kind == "unavailable" and f.wait is None for f in failures)
        return self._backoff(retry_state) if down else 0.0


class _Batch:
    """Which variants still need an answer, and how often each failed in which way."""

    def __init__(self, variants: Sequence[Variant]) -> None:
        self.variants = variants
        self.outcomes: list[Scores | Failure] = [UNSENT] * len(variants)
        self.failed = [Counter[FailureKind]() for _ in variants]
        self.waiting = list(range(len(variants)))
        self.cause: BackendError | None = None

    def told(self) -> list[Scores | Failure]:
        """The outcomes. What was lost once, perhaps billed, and could not be sent again is lost."""
        return [
            replace(outcome, kind="lost", billed=True)
            if isinstance(outcome, Failure)
            and outcome.kind in ("unavailable", "throttled")
            and failed["lost"]
            else outcome
            for outcome, failed in zip(self.outcomes, self.failed, strict=True)
        ]

    def failures(self, indexes: Sequence[int]) -> list[Failure]:
        outcomes = [self.outcomes[i] for i in indexes]
        return [outcome for outcome in outcomes if isinstance(outcome, Failure)]

    def reason(self, indexes: Sequence[int]) -> str | None:
        """Why the first of these failed, None where all are still to be sent."""
        failures = self.failures(indexes)
        return next((failure.message for failure in failures if failure is not UNSENT), None)


class Sender:
    """Settles batches with `backend`, until `stopped` is set."""

    def __init__(
        self, backend: Backend, codec: Codec, purse: Purse, pace: Pace, stopped: Event
    ) -> None:
        self._backend = backend
        self._codec = codec
        self._limits = backend.limits
        self._purse = purse
        self._pace = pace
        self._stopped = stopped

    def deliver(self, tags: Sequence[int], variants: Sequence[Variant]) -> Delivery:
        """Whatever happens, what was received is in the delivery."""
        batch = _Batch(variants)
        error: BaseException | None = None
        try:
            Retrying(
                retry=retry_if_result(bool),
                stop=stop_when_event_set(self._stopped),
                wait=_Backoff(self._limits.retry),
                sleep=lambda seconds: self._pace.rest(seconds, self._stopped.is_set),
                retry_error_callback=lambda state: None,
            )(self._attempt, batch)
            if isinstance(batch.cause, Unreachable):
                error = batch.cause
        except BaseException as stopping:
            error = stopping
        return Delivery(tags, batch.told(), error, batch.cause)

    def _attempt(self, batch: _Batch) -> list[Failure]:
        """Send what is waiting; returns the failures that are worth another try."""
        batch.cause = None
        for part in self._packed(batch):
            if self._stopped.is_set():
                return []
            reason = batch.reason(part)
            if reason is not None:
                self._purse.retry(reason)
            self._send(batch, part)
            if isinstance(batch.cause, Unreachable):
                break
        batch.waiting = [i for i in batch.waiting if self._is_open(batch, i)]
        failures = batch.failures(batch.waiting)
        for failure in failures:
            log.info("to be sent again (%s): %s", failure.kind, failure.message)
        return failures

    def _packed(self, batch: _Batch) -> list[list[int]]:
        """What is waiting, in as many requests as its encoded bytes need."""
        most, one = self._limits.max_request_bytes, self._limits.max_bytes
        if self._codec.format == "pixels" or most is one is None:
            return [batch.waiting]
        parts: list[list[int]] = []
        room = 0.0
        for i in batch.waiting:
            size = len(batch.variants[i].encode(self._codec))
            weight = size * self._limits.inflation + ENVELOPE
            if size > (one or inf) or weight > (most or inf):
                takes = f"{one} a picture" if size > (one or inf) else f"{most} a request"
                batch.outcomes[i] = Failure(
                    "refused",
                    f"{size} bytes encoded, the service takes {takes}: "
                    "use a smaller --side or --codec",
                )
                continue
            if not parts or weight > room:
                parts.append([])
                room = most or inf
            parts[-1].append(i)
            room -= weight
        return parts

    def _send(self, batch: _Batch, indexes: Sequence[int]) -> None:
        """One request, as far as the caps allow."""
        ticket = self._pace.enter(self._stopped.is_set)
        if ticket is None:
            return
        allowed = self._purse.take(len(indexes))
        if allowed:
            self._request(batch, indexes[:allowed], ticket)
        else:
            self._pace.cancel(ticket)
        if allowed < len(indexes):
            raise LimitReached(self._purse.cap.message)

    def _request(self, batch: _Batch, indexes: Sequence[int], ticket: Ticket) -> None:
        before = batch.failures(indexes)
        self._purse.risk(sum(failure.kind == "lost" for failure in before))
        log.info("sending %d", len(indexes))
        cause: BackendError | None = None
        try:
            outcomes = self._scored([batch.variants[i] for i in indexes])
        except Unreachable as error:
            cause, outcomes = error, [Failure("unavailable", str(error))] * len(indexes)
            self._purse.refund(len(indexes))
        except BackendError as error:
            if isinstance(error, Rejected):
                self._pace.leave(ticket)
                raise
            cause, outcomes = error, _failed(error, len(indexes), self._kind_of(error))
        except BaseException as error:
            self._pace.leave(ticket)
            if hasattr(error, "raw"):
                outcomes = _failed(error, len(indexes))
            elif isinstance(error, UsageError):
                self._purse.refund(len(indexes))
                raise
            elif isinstance(error, LimitReached):
                raise
            else:
                outcomes = [Failure("lost", "the backend failed", billed=True)] * len(indexes)
            for i, outcome in zip(indexes, outcomes, strict=True):
                batch.outcomes[i] = outcome
            raise
        for i, outcome in zip(indexes, outcomes, strict=True):
            batch.outcomes[i] = outcome
            if isinstance(outcome, Failure):
                batch.failed[i][outcome.kind] += 1
        batch.cause = cause
        if not isinstance(cause, Unreachable):
            self._purse.settle(outcomes)
        self._leave(ticket, outcomes)
        self._judge(batch, indexes)

    def _scored(self, variants: Sequence[Variant]) -> list[Scores | Failure]:
        outcomes = list(self._backend.score(variants, self._codec))
        if len(outcomes) != len(variants):
            raise ContractError(
                f"the backend returned {len(outcomes)} answers to {len(variants)} variants"
            )
        return outcomes

    def _kind_of(self, error: BackendError) -> FailureKind:
        """What makes no sense is asked once more, where an answer of this run did make sense."""
        senseless = isinstance(error, ContractError) and not isinstance(error, Oversized)
        return "invalid" if senseless and self._purse.has_scored else "refused"

    def _leave(self, ticket: Ticket, outcomes: Sequence[Scores | Failure]) -> None:
        """Tell the pace how it went; a wait that the service asks for is everybody's."""
        failures = [outcome for outcome in outcomes if isinstance(outcome, Failure)]
        waits = [failure.wait for failure in failures if failure.wait is not None]
        is_refusal = any(map(is_throttled, outcomes))
        if waits or is_refusal:
            self._pace.throttled(ticket, max(waits, default=None), is_refusal)
        else:
            self._pace.leave(ticket, scored=len(failures) < len(outcomes))

    def _judge(self, batch: _Batch, indexes: Sequence[int]) -> None:
        """A request that failed for good as a whole is halved down to the bad variant."""
        if isinstance(batch.cause, Unreachable) or len(batch.failures(indexes)) < len(indexes):
            return
        reason = batch.reason(indexes) or ""
        if isinstance(batch.cause, Oversized):
            self._purse.oversized(reason)
        elif isinstance(batch.cause, ContractError) and len(indexes) == 1:
            self._purse.unreadable(reason)
        if any(self._is_open(batch, i) for i in indexes):
            return
        log.info("a request of %d failed: %s", len(indexes), reason)
        self._purse.fail(reason)
        down = all(failure.kind == "unavailable" for failure in batch.failures(indexes))
        if len(indexes) > 1 and self._limits.retry.split and (batch.cause is not None or down):
            middle = len(indexes) // 2
            for half in (indexes[:middle], indexes[middle:]):
                if not self._stopped.is_set():
                    self._purse.retry(reason)
                    self._send(batch, half)

    def _is_open(self, batch: _Batch, index: int) -> bool:
        """It is not sent yet, or failed in a way that is worth another try."""
        outcome = batch.outcomes[index]
        if not isinstance(outcome, Failure) or outcome.kind == "refused":
            return False
        if outcome is UNSENT:
            return True
        attempts = self._limits.retry.attempts
        if outcome.kind == "throttled":
            attempts = THROTTLED_FOR_GOOD
        elif isinstance(batch.cause, Unreachable):
            attempts = min(attempts, NOBODY_THERE)
        elif outcome.billed or outcome.kind != "unavailable":
            attempts = min(attempts, PERHAPS_BILLED)
        return batch.failed[index][outcome.kind] < attempts


def _failed(
    error: BaseException, count: int, kind: FailureKind = "refused"
) -> list[Scores | Failure]:
    """The failures of a request that failed as a whole. A body that could not be read is kept: it
    was paid for."""
    raw = getattr(error, "raw", None)
    return [Failure(kind, str(error), billed=True, raw=raw, part=(i, count)) for i in range(count)]
