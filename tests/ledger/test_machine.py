"""Any order of sending, answering, losing, crashing and resuming, by two processes."""

import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from probe.ledger import Ledger, Question, verify
from probe.types import Scores

PLAN = [Question("i", f"box {n} 0 8 8", "mean", (64, 64), "png", 1, "b") for n in range(6)]
who = st.sampled_from([0, 1])


class Runs(RuleBasedStateMachine):
    """Two runs of the same plan on one file; each asks only what the ledger does not know."""

    @initialize()
    def start(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "ledger.db"
        self.ledgers = [Ledger(self.path), Ledger(self.path)]
        self.flying: list[list[Question]] = [[], []]
        self.bought = 0
        self.unknown = 0
        self.told: dict[Question, Scores] = {}

    @rule(k=who, n=st.integers(1, 3))
    def send(self, k: int, n: int) -> None:
        ledger = self.ledgers[k]
        known = ledger.lookup(PLAN)
        anywhere = {*self.flying[0], *self.flying[1]}
        batch = [q for q in PLAN if q not in known and q not in anywhere][:n]
        ledger.intend(batch, "a.example")
        self.flying[k] += batch
        self.bought += len(batch)

    @precondition(lambda self: any(self.flying))
    @rule(k=who, n=st.integers(1, 3))
    def answer(self, k: int, n: int) -> None:
        batch, self.flying[k] = self.flying[k][:n], self.flying[k][n:]
        pairs = [(q, Scores({"a": float(self.bought + i)})) for i, q in enumerate(batch)]
        for question, recorded in zip(batch, self.ledgers[k].store(pairs), strict=True):
            assert self.told.setdefault(question, recorded) == recorded

    @precondition(lambda self: any(self.flying))
    @rule(k=who)
    def lose(self, k: int) -> None:
        """Sent, and known not to be answered: settled, and may be asked again."""
        if self.flying[k]:
            question = self.flying[k].pop()
            self.ledgers[k].forget([question])
            self.unknown += 1

    @rule(k=who)
    def crash(self, k: int) -> None:
        self.unknown += len(self.flying[k])
        self.flying[k] = []
        self.ledgers[k].close()
        self.ledgers[k] = Ledger(self.path)

    @rule(k=who)
    def answer_a_known_question_again(self, k: int) -> None:
        pairs = [(q, Scores({"a": -1.0})) for q in self.told]
        assert self.ledgers[k].store(pairs) == list(self.told.values())

    @invariant()
    def never_two_answers_for_one_question(self) -> None:
        for ledger in getattr(self, "ledgers", []):
            assert ledger.lookup(PLAN) == self.told

    @invariant()
    def bought_is_at_most_planned_and_unknown(self) -> None:
        if hasattr(self, "ledgers"):
            flying = sum(map(len, self.flying))
            assert self.bought == len(self.told) + flying + self.unknown
            assert self.bought <= len(PLAN) + self.unknown

    @invariant()
    def what_is_not_settled_is_counted(self) -> None:
        if hasattr(self, "ledgers"):
            outstanding = self.ledgers[0].outstanding(PLAN)
            flying = sum(map(len, self.flying))
            assert flying <= outstanding <= flying + self.unknown
            assert outstanding <= len(PLAN) - len(self.told)

    def teardown(self) -> None:
        if hasattr(self, "ledgers"):
            for ledger in self.ledgers:
                ledger.close()
            if self.path.exists():
                assert verify(self.path).ok
            self.folder.cleanup()


Runs.TestCase.settings = settings(
    max_examples=25,
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestRuns = Runs.TestCase
