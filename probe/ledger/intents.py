"""Notes of what is about to be sent, so that a crash leaves a trace of it.

A question has one note: who sent it last. The note goes when an answer, or the certainty that
none will come, is on record. A note that another living process made is in flight there; one of
this process's earlier runs or of a process that is gone is *unknown*: perhaps billed, perhaps not.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, bindparam, delete, func, select
from sqlalchemy.dialects.sqlite import insert

from probe.ledger.process import elsewhere, mark
from probe.ledger.record import Question, subject
from probe.ledger.schema import intents, subjects
from probe.ledger.subjects import NUMBER, asked_about, numbers, parts

_CHANGES = intents.c.change.in_(bindparam("changes", expanding=True))
_COUNT = select(intents.c.who, func.count().label("notes")).group_by(intents.c.who)
_COUNT_SOME = _COUNT.join_from(intents, subjects, intents.c.subject == subjects.c.id).where(
    asked_about, _CHANGES
)
_FORGET = delete(intents).where(intents.c.subject == NUMBER.scalar_subquery(), _CHANGES)
_INTEND = insert(intents).prefix_with("OR REPLACE")


def intend(connection: Connection, questions: Sequence[Question], host: str | None) -> None:
    ids, who = numbers(connection, questions), mark()
    rows = [{"subject": ids[subject(q)], "change": q.change, "host": host} for q in questions]
    if rows:
        connection.execute(_INTEND, [{**row, "who": who} for row in rows])


def forget(connection: Connection, questions: Iterable[Question]) -> None:
    for _, _, values in parts(questions):
        connection.execute(_FORGET, values)


def unknown(connection: Connection, questions: Iterable[Question] | None = None) -> int:
    """How many of these (None: of all) were sent and never settled, by nobody who still may."""
    if questions is None:
        noted = list(connection.execute(_COUNT))
    else:
        noted = [
            row for _, _, some in parts(questions) for row in connection.execute(_COUNT_SOME, some)
        ]
    living = {row.who for row in noted if elsewhere(row.who)}
    return sum(row.notes for row in noted if row.who not in living)
