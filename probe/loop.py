"""The one loop: ask -> look up -> send -> store -> tell.

Only the variants in flight are held. Answers are told and kept in plan order, whatever order
they arrive in, so a map depends neither on threads nor on what the ledger already knew.
"""

from __future__ import annotations

import logging
import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from queue import Empty
from threading import TIMEOUT_MAX
from typing import Literal

from probe.api.transport import UNSENT, Delivery, Transport
from probe.errors import (
    BackendError,
    Interrupted,
    LedgerError,
    LimitReached,
    StorageError,
    UsageError,
)
from probe.ledger import Ledger, Question
from probe.perturb import Renderer
from probe.result import Answer
from probe.signals import caught
from probe.types import Failure, Identity, Order, Perturbation, Sampler, Scores

log = logging.getLogger(__name__)

Ask = Callable[[int], Sequence[Perturbation]]
Source = Literal["sent", "ledger", "same"]


@dataclass
class Loop:
    """Runs one order. `answers` is the table so far, in plan order.

    deadline: on the monotonic clock, after which nothing more is sent.
    unknown: variants of this run that an earlier run sent and that were never answered; they
    may have been billed then, and are asked again now. flying: requests in flight.
    abandoned: the user would not wait for them.
    """

    order: Order
    renderer: Renderer
    question: Callable[[Perturbation], Question]
    ledger: Ledger
    transport: Transport
    host: str | None
    deadline: float | None = None
    answers: list[Answer] = field(default_factory=list)
    unknown: int = 0
    flying: int = 0
    abandoned: bool = False
    _asked: dict[int, Perturbation] = field(default_factory=dict)
    _leaders: dict[Question, int] = field(default_factory=dict)
    _followers: dict[int, list[int]] = field(default_factory=dict)
    _early: dict[int, Answer] = field(default_factory=dict)
    _next: int = 0
    _ready: bool = False
    _stop: BaseException | None = None
    _cause: BackendError | None = None
    _sampler: Sampler | None = None
    _pid: int = field(default_factory=os.getpid)

    def reference(self) -> Scores:
        """The first call: the unchanged picture alone, so that whatever is wrong costs one call."""
        with caught(self._interrupt):
            missing = self._lookup([Identity()])
            if missing and self._may_send():
                self._submit(missing)
            while self.flying:
                self._receive()
            self._raise_if_stopped()
        outcome = self.answers[0].outcome
        if isinstance(outcome, Failure):
            raise self._cause or BackendError(
                f"the unchanged picture got no score: {outcome.message}"
            )
        return outcome

    def run(self, sampler: Sampler) -> Iterator[None]:
        """Ask all that the order allows; yields whenever the table has grown.

        Raises what stopped it, after everything in flight was received and stored.
        """
        self._sampler = sampler
        sampler.tell(Identity(), self.answers[0].outcome)
        for ask in (self._budgeted(sampler), _sequence(self.order.closing)):
            known = len(self.answers)
            while self._advance(ask):
                if known < len(self.answers):
                    known = len(self.answers)
                    yield
        self._close_gaps()
        self._raise_if_stopped()

    def _advance(self, ask: Ask) -> bool:
        """Send what may be sent, then wait for one batch; False when nothing is left to do.

        Signals are caught here and not between the snapshots, where the user's code runs.
        """
        known = len(self.answers)
        with caught(self._interrupt):
            while self._may_send():
                batch = self._gather(ask)
                if not batch:
                    break
                self._submit(batch)
            if self.flying:
                self._receive()
                return True
        return known < len(self.answers)

    def _may_send(self) -> bool:
        if self._patience() == 0:
            self._halt(LimitReached("the cap on time is reached"))
        return self._stop is None and self.flying < self.transport.slots

    def _gather(self, ask: Ask) -> list[int]:
        """Ask until a batch of questions is found that only the backend can answer."""
        batch: list[int] = []
        while len(batch) < self.transport.batch and self._stop is None:
            proposals = ask(self.transport.batch - len(batch))
            if not proposals:
                break
            try:
                batch += self._lookup(proposals)
            except StorageError as error:
                self._halt(error)
        return batch

    def _budgeted(self, sampler: Sampler) -> Ask:
        """The opening, then what the sampler proposes, up to the order's number of variants."""
        opening, left = _sequence(self.order.opening), self.order.variants

        def ask(n: int) -> Sequence[Perturbation]:
            nonlocal left
            first = opening(n)
            wanted = min(n - len(first), left)
            proposals = sampler.ask(wanted) if wanted else []
            left -= len(proposals)
            return [*first, *proposals]

        return ask

    def _lookup(self, proposals: Sequence[Perturbation]) -> list[int]:
        """Number the proposals; settle those that need no call, return the others."""
        questions = [self.question(perturbation) for perturbation in proposals]
        known = self.ledger.lookup(questions)
        missing = []
        for perturbation, question in zip(proposals, questions, strict=True):
            index = self._next
            self._next += 1
            self._asked[index] = perturbation
            if question in known:
                self._arrive(index, known[question], "ledger")
            elif not isinstance(perturbation, Identity) and not self.renderer.changes(perturbation):
                self._arrive(index, self.answers[0].outcome, "same")
            elif self.order.offline:
                raise LedgerError(
                    f"offline, and {self.ledger.name} has no answer for {question.change!r}: "
                    "run once without --offline"
                )
            elif question in self._leaders:
                self._followers.setdefault(self._leaders[question], []).append(index)
            else:
                self._leaders[question] = index
                missing.append(index)
        return missing

    def _submit(self, batch: Sequence[int]) -> None:
        if not self._ready:
            self.ledger.check_writable()
            self._ready = True
        if self.host is not None:
            self.unknown += self.ledger.outstanding([self.question(self._asked[i]) for i in batch])
        variants = [self.renderer.variant(self._asked[i]) for i in batch]
        self.transport.submit(batch, variants)
        self.flying += 1

    def _receive(self) -> None:
        """Wait for one batch, store it, then use it."""
        if os.getpid() != self._pid:
            raise UsageError("a run cannot go on in a forked process: start a new one there")
        try:
            delivery = self.transport.done.get(timeout=self._patience())
        except Empty:
            self._halt(LimitReached("the cap on time is reached"))
            return
        if isinstance(delivery, BaseException):
            self._halt(delivery)
            return
        self.flying -= 1
        self._cause = delivery.cause
        if delivery.error is not None:
            self._halt(delivery.error)
        for index, outcome in zip(delivery.tags, self._store(delivery), strict=True):
            self._leaders.pop(self.question(self._asked[index]), None)
            for same in (index, *self._followers.pop(index, ())):
                if outcome is not UNSENT:
                    self._arrive(same, outcome, "sent" if same == index else "ledger")

    def _store(self, delivery: Delivery) -> list[Scores | Failure]:
        """Store what was received; returns what is on record, where two runs asked at once."""
        outcomes = list(delivery.outcomes)
        questions = [self.question(self._asked[i]) for i in delivery.tags]
        scored = [(n, outcome) for n, outcome in enumerate(outcomes) if isinstance(outcome, Scores)]
        settled = [
            question
            for question, outcome in zip(questions, outcomes, strict=True)
            if isinstance(outcome, Failure) and outcome.kind != "lost" and outcome is not UNSENT
        ]
        try:
            recorded = self.ledger.store([(questions[n], s) for n, s in scored], self.host)
            if self.host is not None and settled:
                self.ledger.forget(settled)
        except StorageError as error:
            self._halt(error)
            return outcomes
        for (n, _), scores in zip(scored, recorded, strict=True):
            outcomes[n] = Scores(scores)  # its raw body is on the disk and need not be held
        return outcomes

    def _arrive(self, index: int, outcome: Scores | Failure, source: Source) -> None:
        self._early[index] = Answer(self._asked.pop(index), outcome, source)
        while (answer := self._early.pop(len(self.answers), None)) is not None:
            self._tell(answer)

    def _close_gaps(self) -> None:
        """After a stop: keep what arrived behind a variant that was never sent."""
        for index in sorted(self._early):
            self._tell(self._early.pop(index))

    def _tell(self, answer: Answer) -> None:
        self.answers.append(answer)
        if self._sampler is not None:
            self._sampler.tell(answer.perturbation, answer.outcome)

    def _patience(self) -> float | None:
        """Seconds until the deadline; None where nothing has to be given up any more."""
        if self.deadline is None or self._stop is not None:
            return None
        return min(max(0.0, self.deadline - time.monotonic()), TIMEOUT_MAX)

    def _interrupt(self, interrupted: Interrupted) -> None:
        """Called from a signal handler: only assignments and a reentrant queue.

        The first one stops sending, the second leaves at once.
        """
        if isinstance(self._stop, Interrupted):
            self.abandoned = True
            raise interrupted
        self._stop = self._stop or interrupted
        self.transport.done.put(interrupted)

    def _halt(self, reason: BaseException) -> None:
        if isinstance(reason, Interrupted) and self.flying:
            log.warning(
                "stopping: waiting for %d request%s in flight; again to leave at once",
                self.flying,
                "s" if self.flying > 1 else "",
            )
        self._stop = self._stop or reason
        self.transport.stop()

    def settle(self) -> None:
        """Receive and store what is in flight, for a run that is left early."""
        self._halt(GeneratorExit())
        while self.flying:
            self._receive()

    def _raise_if_stopped(self) -> None:
        if self._stop is None:
            return
        if isinstance(self._stop, BackendError) and len(self.answers) > 1:
            self._stop.exit_code = 3
        raise self._stop


def _sequence(perturbations: Sequence[Perturbation]) -> Ask:
    left = deque(perturbations)
    return lambda n: [left.popleft() for _ in range(min(n, len(left)))]
