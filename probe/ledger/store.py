"""Ledger: what the loop talks to."""

from __future__ import annotations

import os
import shutil
import time
import weakref
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from sqlalchemy import Connection, select

from probe.errors import LedgerError
from probe.ledger import intents, rows
from probe.ledger.dialect import insert
from probe.ledger.errors import ELSEWHERE, is_full, mapped
from probe.ledger.opening import open_store
from probe.ledger.place import Server, place_of
from probe.ledger.readings import read_anew
from probe.ledger.record import Question, Record, is_worth_keeping, subject
from probe.ledger.schema import answers, servers, subjects
from probe.ledger.spill import spill, take_up
from probe.ledger.subjects import asked_about, named
from probe.types import Failure, Reading, Scores

T = TypeVar("T")

FREE_BYTES = 16 * 2**20
"""Less free space than this, and nothing is bought."""


class Ledger:
    """The database of every answer ever paid for.

    path      the file; None keeps everything in memory and writes nothing. It is opened, and
              made if need be, by the first use. One Ledger may be used from several threads,
              and several processes may use one file. Pictures are never stored. An address,
              postgresql://USER@HOST:PORT/DATABASE, is a database that several machines may use.
    raw       False leaves out the raw bodies of answers that were read: a corrected profile must
              then ask, and pay, anew. Bodies that could not be read are always kept.
    patience  seconds to wait for space when the disk is full. Answers that could not be stored
              then are written to a file beside, which the next use takes up.
    pause     how to wait a number of seconds; returns true to give up waiting.

    Every method raises LedgerError when the file cannot be used.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | Server | None = None,
        *,
        raw: bool = True,
        patience: float = 30.0,
        pause: Callable[[float], object] = time.sleep,
    ) -> None:
        self.path = None if path is None else place_of(path)
        self._raw = raw
        self._patience = patience
        self._pause = pause
        self._database = open_store(self.path)
        self._labels: rows.Labels = {}
        self._damaged: set[Question] = set()
        self._fresh = True
        self._finalizer = weakref.finalize(self, self._database.close, for_good=True)

    @property
    def name(self) -> str:
        """The ledger for people."""
        return "the ledger in memory" if self.path is None else f"the ledger {self.path}"

    @property
    def damaged(self) -> int:
        """Questions met so far whose row does not fit its checksum; they count as unanswered."""
        return len(self._damaged)

    def check_writable(self) -> None:
        """Raise LedgerError now if answers could not be stored: for before the first call."""
        self._take_up()
        with self._database.writing():
            pass
        if isinstance(self.path, Path) and self._database.path is not None:
            with mapped(self._database.path):
                free = shutil.disk_usage(self._database.path.parent).free
            if free < FREE_BYTES:
                raise LedgerError(
                    f"{free >> 20} MB are free where {self.name} lies, {FREE_BYTES >> 20} are "
                    f"needed: free some space, or {ELSEWHERE}"
                )

    def lookup(
        self, questions: Sequence[Question], reading: Reading | None = None
    ) -> dict[Question, Scores]:
        """The answers on record, without their raw bodies (`raw` is None).

        With a `reading`, those that another one made are made anew of their raw bodies, and so
        are bodies that none could read; that is put on record and costs nothing. What this one
        cannot read has no answer: its body is kept for the next.
        """
        if self._fresh:
            with suppress(LedgerError):
                self._take_up()
        digest = None if reading is None else reading.digest
        wanted = dict.fromkeys(questions, digest)
        with self._database.reading() as connection:
            found = rows.find(connection, wanted, self._labels)
        if reading is not None and len(found.scores) < len(wanted):
            missing = [question for question in wanted if question not in found.scores]
            found = read_anew(self._database, found, missing, reading)
        self._damaged |= found.damaged
        return found.scores

    def exchange(
        self,
        answers: Sequence[tuple[Question, Scores | Failure]],
        *,
        settled: Sequence[Question] = (),
        intended: Sequence[Question] = (),
        host: str | None = None,
        reading: str | None = None,
    ) -> tuple[list[Scores | Failure], int]:
        """Put on record what came and what goes out next, in one transaction.

        answers: the first answer of a question stays, so that everybody who asks uses the same
            one; the raw bodies of failures are kept, to be read by a better reading.
        settled: questions that will get no other answer to what was sent; answered ones are.
        intended: questions about to be sent, noted so that a crash leaves a trace of them.
        host: where the pictures go, None when they stay in this process.
        reading: digest of what the answers were read by.

        Returns the answers as they are on record now, and how many of `intended` are unknown: an
        earlier run sent them and never learned what became of them.
        """
        if not (answers or settled or intended):
            return [], 0
        at = time.time_ns() // 1_000_000
        records = [Record(q, self._lean(outcome), host, at, reading) for q, outcome in answers]

        def write(connection: Connection) -> tuple[rows.Found, int]:
            found = rows.put(connection, records, self._labels)
            intents.forget(connection, settled)
            unknown = intents.unknown(connection, intended)
            intents.intend(connection, intended, host)
            return found, unknown

        found, unknown = self._write(write, records)
        self._damaged |= found.damaged
        known: dict[Question, Scores] = found.scores
        for question, outcome in answers:
            if isinstance(outcome, Scores):
                known.setdefault(question, outcome)
        told = [known[q] if isinstance(outcome, Scores) else outcome for q, outcome in answers]
        return told, unknown

    def raw(self, question: Question) -> bytes | None:
        """The body that the answer was read from, None where none was kept."""
        with self._database.reading() as connection:
            name = connection.execute(
                select(answers.c.body)
                .join_from(answers, subjects, answers.c.subject == subjects.c.id)
                .where(asked_about, answers.c.change == question.change),
                named(subject(question)),
            ).scalar_one_or_none()
            return None if name is None else rows.load(connection, name)

    def remember(self, url: str, description: str) -> None:
        """Keep what a server said of itself, in place of what it said before."""
        row = {"url": url, "description": description, "at": time.time_ns() // 1_000_000}
        with self._database.writing() as connection:
            connection.execute(
                insert(connection, servers)
                .values(row)
                .on_conflict_do_update(index_elements=["url"], set_=row)
            )

    def recall(self, url: str) -> str | None:
        """What the server said of itself last, None when it never did."""
        with self._database.reading() as connection:
            return connection.execute(
                select(servers.c.description).where(servers.c.url == url)
            ).scalar_one_or_none()

    def close(self) -> None:
        """Close the file; a later use opens it again."""
        self._database.close()
        self._fresh = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _lean(self, outcome: Scores | Failure) -> Scores | Failure:
        if self._raw or not isinstance(outcome, Scores):
            return outcome
        return Scores(outcome, None, outcome.part)

    def _write(self, act: Callable[[Connection], T], records: Sequence[Record]) -> T:
        """Run `act` in one transaction; wait for space, and never lose `records`."""
        waited = 0.0
        while True:
            try:
                with self._database.writing() as connection:
                    return act(connection)
            except LedgerError as error:
                if is_full(error.__cause__) and waited < self._patience and not self._pause(1.0):
                    waited += 1.0
                    continue
                paid = [record for record in records if is_worth_keeping(record)]
                if not paid:
                    raise
                raise LedgerError(f"{error}; {self._spilled(paid)}") from error

    def _spilled(self, records: Sequence[Record]) -> str:
        path = self._database.path
        if path is not None and isinstance(self.path, Server):
            with suppress(OSError):
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = None if path is None else spill(path, records)
        if file is None:
            return f"{len(records)} answers just received are lost"
        return f"{len(records)} answers just received wait in {file} for the next command"

    def _take_up(self) -> None:
        self._fresh = False
        with mapped(self._database.path):
            take_up(self._database)
