"""Any order of sending, answering, losing, crashing and resuming, by two processes."""

import json
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from probe.ledger import Ledger, Question, stats, verify
from probe.types import Failure, Scores

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
        _, unknown = ledger.exchange([], intended=batch, host="a.example")
        assert unknown <= self.unknown
        self.flying[k] += batch
        self.bought += len(batch)

    @precondition(lambda self: any(self.flying))
    @rule(k=who, n=st.integers(1, 3))
    def answer(self, k: int, n: int) -> None:
        batch, self.flying[k] = self.flying[k][:n], self.flying[k][n:]
        pairs = [(q, Scores({"a": float(self.bought + i)})) for i, q in enumerate(batch)]
        told, _ = self.ledgers[k].exchange(pairs, host="a.example")
        for question, recorded in zip(batch, told, strict=True):
            assert self.told.setdefault(question, recorded) == recorded

    @precondition(lambda self: any(self.flying))
    @rule(k=who)
    def lose(self, k: int) -> None:
        """Sent, and known not to be answered: settled, and may be asked again."""
        if self.flying[k]:
            question = self.flying[k].pop()
            self.ledgers[k].exchange([], settled=[question])
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
        assert self.ledgers[k].exchange(pairs) == (list(self.told.values()), 0)

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
            outstanding = stats(self.path).outstanding if self.path.exists() else 0
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


class Profiles(RuleBasedStateMachine):
    """Answers bought under one profile and read by another: whatever was ever received is read
    by every profile that can read it, whichever came first, and none is asked twice."""

    READINGS = ("x", "y", "z")

    class Reading:
        def __init__(self, digest: str) -> None:
            self.digest = digest

        def read(self, raw: bytes, part: int, parts: int) -> Scores | Failure:
            known = json.loads(raw)[part]
            if self.digest not in known:
                return Failure("invalid", "", raw=raw, part=(part, parts))
            return Scores({"a": known[self.digest]}, raw, (part, parts))

    @initialize(place=st.sampled_from([None, "ledger.db"]))
    def start(self, place: str | None) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.path = None if place is None else Path(self.folder.name) / place
        self.ledger = Ledger(self.path)
        self.readable: dict[Question, set[str]] = {}
        self.reading = self.Reading("x")

    @rule(digest=st.sampled_from(READINGS))
    def correct_the_profile(self, digest: str) -> None:
        self.reading = self.Reading(digest)

    @rule(
        some=st.lists(st.sampled_from(range(6)), min_size=1, max_size=3, unique=True),
        keys=st.sets(st.sampled_from(READINGS)),
        junk=st.integers(0, 1),
    )
    def ask(self, some: list[int], keys: set[str], junk: int) -> None:
        known = self.ledger.lookup(PLAN, self.reading)
        batch = [PLAN[n] for n in some if PLAN[n] not in known]
        parts = [{key: value(q, key) for key in sorted(keys)} | {"n": junk} for q in batch]
        raw = json.dumps(parts).encode()
        answers = [(q, self.reading.read(raw, part, len(batch))) for part, q in enumerate(batch)]
        self.ledger.exchange(answers, host="h", reading=self.reading.digest)
        for question in batch:
            self.readable.setdefault(question, set()).update(keys)

    @rule()
    def reopen(self) -> None:
        if self.path:
            self.ledger.close()
            self.ledger = Ledger(self.path)

    @invariant()
    def all_that_was_received_is_read(self) -> None:
        if hasattr(self, "ledger"):
            digest = self.reading.digest
            told = {
                q: {"a": value(q, digest)} for q, keys in self.readable.items() if digest in keys
            }
            assert self.ledger.lookup(PLAN, self.reading) == told
            assert self.ledger.lookup(PLAN) == told

    def teardown(self) -> None:
        if hasattr(self, "ledger"):
            self.ledger.close()
            if self.path and self.path.exists():
                assert verify(self.path).ok
            self.folder.cleanup()


def value(question: Question, key: str) -> float:
    return PLAN.index(question) + "xyz".index(key) / 10


Profiles.TestCase.settings = Runs.TestCase.settings
TestProfiles = Profiles.TestCase
