"""Ledger: what the loop talks to."""

from __future__ import annotations

import os
import time
import weakref
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from sqlalchemy import select
from sqlalchemy.dialects.sqlite import insert

from probe.ledger import rows
from probe.ledger.database import Database
from probe.ledger.record import Question, Record, subject
from probe.ledger.schema import answers, servers, subjects
from probe.types import Scores


def default_path() -> Path:
    """$PROBE_LEDGER, else ledger.db in the user's data folder."""
    chosen = os.environ.get("PROBE_LEDGER")
    if chosen:
        return Path(chosen)
    from platformdirs import user_data_dir

    return Path(user_data_dir("probe", appauthor=False)) / "ledger.db"


class Ledger:
    """The database of every answer ever paid for.

    path: the file; None keeps everything in memory and writes nothing. The file is opened, and
    made if need be, by the first use. One Ledger may be used from several threads, and several
    processes may use one file. Pictures are never stored.

    Every method raises LedgerError when the file cannot be used.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        self.path = None if path is None else Path(path)
        self._database = Database(self.path)
        self._labels: rows.Labels = {}
        self._damaged: set[Question] = set()
        self._finalizer = weakref.finalize(self, self._database.close)

    @property
    def name(self) -> str:
        """The ledger for people."""
        return "the ledger in memory" if self.path is None else f"the ledger {self.path}"

    @property
    def damaged(self) -> int:
        """Questions met so far whose row does not fit its checksum; they count as unanswered."""
        return len(self._damaged)

    def lookup(self, questions: Sequence[Question]) -> dict[Question, Scores]:
        """The answers on record, without their raw bodies (`raw` is None)."""
        with self._database.reading() as connection:
            found, damaged = rows.find(connection, questions, self._labels)
        self._damaged |= damaged
        return found

    def store(
        self, answers: Sequence[tuple[Question, Scores]], host: str | None = None
    ) -> list[Scores]:
        """Put answers on record, all in one transaction, and return what is on record now.

        The first answer of a question stays, so that everybody who asks uses the same one.
        host: where the picture went, None when it stayed in this process. Clears the intents.
        """
        if not answers:
            return []
        at = time.time_ns() // 1_000_000
        fresh = dict(reversed(answers))
        with self._database.writing() as connection:
            known, damaged = rows.find(connection, fresh, self._labels)
            rows.write(
                connection,
                [Record(q, s, host, at) for q, s in reversed(fresh.items()) if q not in known],
            )
            rows.forget(connection, fresh)
        self._damaged |= damaged
        return [known.get(question, fresh[question]) for question, _ in answers]

    def raw(self, question: Question) -> bytes | None:
        """The body that the answer was read from, None where none was kept."""
        with self._database.reading() as connection:
            name = connection.execute(
                select(answers.c.body)
                .join_from(answers, subjects, answers.c.subject == subjects.c.id)
                .where(rows.asked_about, answers.c.change == question.change),
                rows.named(subject(question)),
            ).scalar_one_or_none()
            return None if name is None else rows.load(connection, name)

    def intend(self, questions: Sequence[Question], host: str | None) -> None:
        """Note that these are about to be sent, so that a crash leaves a trace of them."""
        if questions:
            with self._database.writing() as connection:
                rows.intend(connection, questions, host)

    def forget(self, questions: Sequence[Question]) -> None:
        """Drop the notes of `intend`: what was sent is settled, answered or not."""
        if self.outstanding(questions):
            with self._database.writing() as connection:
                rows.forget(connection, questions)

    def outstanding(self, questions: Sequence[Question]) -> int:
        """How many of these were sent and never settled: perhaps billed, perhaps not."""
        with self._database.reading() as connection:
            return rows.outstanding(connection, questions)

    def remember(self, url: str, description: str) -> None:
        """Keep what a server said of itself, in place of what it said before."""
        row = {"url": url, "description": description, "at": time.time_ns() // 1_000_000}
        with self._database.writing() as connection:
            connection.execute(
                insert(servers).values(row).on_conflict_do_update(index_elements=["url"], set_=row)
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

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
