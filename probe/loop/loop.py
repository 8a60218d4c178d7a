"""The one loop: ask -> look up -> send -> store -> tell.

Only the variants in flight are held. Answers are told and kept in plan order, whatever order
they arrive in, so a map depends neither on threads nor on what the ledger already knew.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from queue import Empty
from threading import TIMEOUT_MAX
from typing import Protocol

from probe.api.transport.sending import Delivery
from probe.api.transport.threads import Transport
from probe.errors import (
    BackendError,
    Interrupted,
    LedgerError,
    LimitReached,
    StorageError,
    UsageError,
)
from probe.ledger import Ledger, Question
from probe.loop.asking import Ask, phases
from probe.loop.ending import explained
from probe.loop.table import Reader, Table
from probe.result import Answer
from probe.signals import caught
from probe.text import count
from probe.types import Failure, Identity, Order, Perturbation, Reading, Sampler, Scores, Variant

log = logging.getLogger(__name__)


class Renderer(Protocol):
    """Makes what is sent: of one picture `probe.perturb.Renderer`."""

    def changes(self, perturbation: Perturbation) -> bool: ...
    def variant(self, perturbation: Perturbation) -> Variant: ...


@dataclass
class Loop:
    """Runs one order.

    deadline: on the monotonic clock, after which nothing more is sent.
    unknown: variants of this run that an earlier run sent and that were never answered; they
    may have been billed then, and are asked again now. flying: batches on their way.
    abandoned: the user would not wait for them.
    """

    order: Order
    renderer: Renderer
    question: Callable[[Perturbation], Question]
    ledger: Ledger
    transport: Transport
    host: str | None
    deadline: float | None = None
    reading: Reading | None = None
    unknown: int = 0
    flying: int = 0
    abandoned: bool = False
    _arrived: list[Delivery] = field(default_factory=list)
    _made: dict[Perturbation, Variant] = field(default_factory=dict)
    _ready: bool = False
    _stop: BaseException | None = None
    _cause: BackendError | None = None
    _pid: int = field(default_factory=os.getpid)

    def __post_init__(self) -> None:
        self._table = Table(watched=self.host is not None)

    @property
    def answers(self) -> list[Answer]:
        """So far, in plan order."""
        return self._table.answers

    def reference(self, first: Ask = lambda n: ()) -> Scores:
        """The outcome of the first call; raises where there is no score."""
        outcome = self.begin(first)
        if isinstance(outcome, Failure):
            raise self._cause or BackendError(
                f"the unchanged picture got no score: {outcome.message}"
            )
        return outcome

    def begin(self, first: Ask = lambda n: ()) -> Scores | Failure:
        """The first call: the unchanged picture alone, so that whatever is wrong costs one call.

        first: what will be asked next, as far as that is known; it is encoded meanwhile.
        """
        with caught(self._interrupt):
            missing = self._lookup([Identity()])
            if missing and self._free():
                self._exchange([missing])
                self._make(first(self.transport.ahead))
            while self.flying:
                self._receive()
                self._exchange()
            self._raise_if_stopped()
        return self.answers[0].outcome

    def run(self, sampler: Sampler, read: Reader = lambda outcome: outcome) -> Iterator[None]:
        """Ask all that the order allows; yields whenever the table has grown.

        read: what an answer says of the label that is mapped; that is what the sampler is told.
        Raises what stopped it, after everything in flight was received and stored.
        """
        self._table.begin(sampler, read)
        for ask in phases(self.order, sampler):
            known = len(self.answers)
            while self._advance(ask):
                if known < len(self.answers):
                    known = len(self.answers)
                    yield
        self._table.close_gaps()
        self._raise_if_stopped()

    def _advance(self, ask: Ask) -> bool:
        """Send what may be sent, wait for an answer, use all that arrived and send on; False
        when nothing is left to do.

        Signals are caught here and not between the snapshots, where the user's code runs.
        """
        known = len(self.answers)
        with caught(self._interrupt):
            self._exchange(self._gather(ask))
            if self.flying:
                self._receive()
                self._exchange(self._gather(ask))
                return True
        return known < len(self.answers)

    def _free(self) -> int:
        """How many batches may be sent."""
        if self._patience() == 0:
            self._halt(LimitReached("the cap on time is reached"))
        return 0 if self._stop else max(0, self.transport.slots - self.flying)

    def _gather(self, ask: Ask) -> list[list[int]]:
        """Ask until there is a batch for every free slot of what only the backend can answer."""
        size, missing = self.transport.batch, list[int]()
        wanted = self._free() * size
        while len(missing) < wanted and self._stop is None:
            proposals = ask(wanted - len(missing))
            if not proposals:
                break
            try:
                missing += self._lookup(proposals)
            except StorageError as error:
                self._halt(error)
        if self._stop is not None:
            return []
        return [missing[i : i + size] for i in range(0, len(missing), size)]

    def _lookup(self, proposals: Sequence[Perturbation]) -> list[int]:
        """Number the proposals; settle those that need no call, return the others."""
        questions = [self.question(perturbation) for perturbation in proposals]
        known = self.ledger.lookup(questions, self.reading)
        missing = []
        for perturbation, question in zip(proposals, questions, strict=True):
            index = self._table.ask(perturbation)
            if question in known:
                self._table.arrive(index, known[question], "ledger")
            elif not isinstance(perturbation, Identity) and not self.renderer.changes(perturbation):
                self._table.arrive(index, self.answers[0].outcome, "same")
            elif self.order.offline:
                raise LedgerError(
                    f"offline, and {self.ledger.name} has no answer for {question.change!r}: "
                    "run once without --offline"
                )
            elif self._table.leads(index, question):
                missing.append(index)
        return missing

    def _receive(self) -> None:
        """Wait for a batch, and take all that arrived with it."""
        if os.getpid() != self._pid:
            raise UsageError("a run cannot go on in a forked process: start a new one there")
        while not self._arrived or not self.transport.done.empty():
            try:
                delivery = self.transport.done.get(timeout=self._patience())
            except Empty:
                return self._halt(LimitReached("the cap on time is reached"))
            if isinstance(delivery, BaseException):
                return self._halt(delivery)
            self.flying -= 1
            self._arrived.append(delivery)
            self._cause = delivery.cause
            if delivery.error is not None:
                self._halt(delivery.error)

    def _exchange(self, batches: Sequence[Sequence[int]] = ()) -> None:
        """Put what arrived and what goes out next on the disk, in one transaction; then use the
        one and send the other."""
        arrived, self._arrived = self._arrived, []
        outcomes = {i: o for d in arrived for i, o in zip(d.tags, d.outcomes, strict=True)}
        kept = [i for i, outcome in outcomes.items() if outcome.raw or isinstance(outcome, Scores)]
        settled = [i for i, o in outcomes.items() if isinstance(o, Failure) and o.kind != "lost"]
        try:
            if batches and not self._ready:
                self.ledger.check_writable()
                self._ready = True
            recorded, unknown = self.ledger.exchange(
                [(self._question(i), outcomes[i]) for i in kept],
                settled=self._noted(settled),
                intended=self._noted([i for batch in batches for i in batch]),
                host=self.host,
                reading=None if self.reading is None else self.reading.digest,
            )
        except StorageError as error:
            self._halt(error)
        else:
            outcomes |= zip(kept, map(_light, recorded), strict=True)
            self.unknown += unknown
            self._submit(batches)
        for i, outcome in outcomes.items():
            self._table.settle(i, self._question(i), outcome)

    def _make(self, changes: Sequence[Perturbation]) -> None:
        """Have variants encoded before they are asked about, those that the ledger lacks."""
        if not changes:
            return
        questions = [self.question(change) for change in changes]
        known = self.ledger.lookup(questions, self.reading)
        for change, question in zip(changes, questions, strict=True):
            if question not in known:
                self._made.setdefault(change, self.renderer.variant(change))
        self.transport.prepare(list(self._made.values()))

    def _submit(self, batches: Sequence[Sequence[int]]) -> None:
        if self._stop is not None:
            self.transport.stop()
        for batch in batches:
            changes = [self._table[i] for i in batch]
            variants = [self._made.get(c) or self.renderer.variant(c) for c in changes]
            self.transport.submit(batch, variants)
            self.flying += 1
        if batches:
            self._made.clear()

    def _question(self, index: int) -> Question:
        return self.question(self._table[index])

    def _noted(self, indexes: Sequence[int]) -> list[Question]:
        """What is noted before it is sent, as it leaves this process."""
        return [] if self.host is None else [self._question(index) for index in indexes]

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
                "stopping: waiting for %s in flight; again to leave at once",
                count(self.flying, "request"),
            )
        self._stop = self._stop or reason
        self.transport.stop()

    def settle(self) -> None:
        """Receive and store what is in flight, for a run that is left early."""
        self._halt(GeneratorExit())
        while self.flying or self._arrived:
            if not self._arrived:
                self._receive()
            self._exchange()

    def _raise_if_stopped(self) -> None:
        if self._stop is not None:
            raise explained(self._stop, self.order, self.answers)


def _light(outcome: Scores | Failure) -> Scores | Failure:
    """Without its raw body, which is on the disk and need not be held."""
    return Scores(outcome) if isinstance(outcome, Scores) else replace(outcome, raw=None)
