"""The table of a run's answers, in plan order, whatever order they arrive in."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Literal

from probe.api.transport.sending import UNSENT
from probe.ledger import Question
from probe.result import Answer
from probe.types import Failure, Identity, Perturbation, Sampler, Scores

log = logging.getLogger(__name__)

Reader = Callable[[Scores | Failure], Scores | Failure]
Source = Literal["sent", "ledger", "same"]
ALIKE = 20
"""So many variants that all score as the unchanged picture are worth a warning."""


class Table:
    """`answers` so far, the reference first; each is told to the sampler when its turn comes.

    watched: warn when a service gives every variant the reference's scores.
    """

    def __init__(self, watched: bool) -> None:
        self.answers: list[Answer] = []
        self._tell_sampler: Callable[[Answer], None] = lambda answer: None
        self._next = 0
        self._asked: dict[int, Perturbation] = {}
        self._leaders: dict[Question, int] = {}
        self._followers: dict[int, list[int]] = {}
        self._early: dict[int, Answer] = {}
        self._alike = 0 if watched else None

    def begin(self, sampler: Sampler, read: Reader) -> None:
        """Tell the sampler the reference now, and every answer when its turn comes."""

        def tell(answer: Answer) -> None:
            sampler.tell(answer.perturbation, read(answer.outcome))

        tell(self.answers[0])
        self._tell_sampler = tell

    def __getitem__(self, index: int) -> Perturbation:
        """What was asked under a number, as long as it has no answer."""
        return self._asked[index]

    def ask(self, perturbation: Perturbation) -> int:
        """Give it the next number."""
        index = self._next
        self._next += 1
        self._asked[index] = perturbation
        return index

    def leads(self, index: int, question: Question) -> bool:
        """Whether it has to be sent; otherwise it gets the answer to one that is on its way."""
        leader = self._leaders.setdefault(question, index)
        if leader != index:
            self._followers.setdefault(leader, []).append(index)
        return leader == index

    def settle(self, index: int, question: Question, outcome: Scores | Failure) -> None:
        """What was sent has its outcome, and with it all that asked the same."""
        del self._leaders[question]
        for same in (index, *self._followers.pop(index, ())):
            if outcome is not UNSENT:
                self.arrive(same, outcome, "sent" if same == index else "ledger")

    def arrive(self, index: int, outcome: Scores | Failure, source: Source) -> None:
        self._early[index] = Answer(self._asked.pop(index), outcome, source)
        while (answer := self._early.pop(len(self.answers), None)) is not None:
            self._tell(answer)

    def close_gaps(self) -> None:
        """After a stop: keep what arrived behind a variant that was never sent."""
        for index in sorted(self._early):
            self._tell(self._early.pop(index))

    def _tell(self, answer: Answer) -> None:
        self._compare(answer)
        self.answers.append(answer)
        self._tell_sampler(answer)

    def _compare(self, answer: Answer) -> None:
        known = answer.source != "sent" or isinstance(answer.perturbation, Identity)
        if known or self._alike is None:
            return
        same = answer.outcome == self.answers[0].outcome
        self._alike = self._alike + 1 if same else None
        if self._alike == ALIKE:
            log.warning(
                "the first %d variants all scored as the unchanged picture: "
                "the service may ignore or cache what it is sent, or answer too coarsely",
                ALIKE,
            )
