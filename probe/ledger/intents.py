"""Notes of what is about to be sent, so that a crash leaves a trace of it.

A question has one note: who sent it last. The note goes when an answer, or the certainty that
none will come, is on record. A note that another living process made is in flight there; one of
this process's earlier runs or of a process that is gone is *unknown*: perhaps billed, perhaps not.
On a server, another machine's note is believed for an hour: nobody can look whether it lives.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import (
    Connection,
    Label,
    Select,
    bindparam,
    delete,
    func,
    literal_column,
    select,
    text,
)

from probe.ledger.dialect import is_postgres, put_in_place
from probe.ledger.process import elsewhere, foreign, mark
from probe.ledger.record import Question, subject
from probe.ledger.schema import intents, subjects
from probe.ledger.subjects import NUMBER, asked_about, numbers, parts

_CHANGES = intents.c.change.in_(bindparam("changes", expanding=True))
_NOTES = func.count().label("notes")
_COUNT = select(intents.c.who, literal_column("0").label("young"), _NOTES).group_by(intents.c.who)
_AT = "intents.at > extract(epoch FROM now()) * 1000 - 3600000"
_YOUNG: Label[Any] = literal_column(_AT).label("young")
_COUNT_ON_SERVER = select(intents.c.who, _YOUNG, _NOTES).group_by(intents.c.who, text("young"))
_FORGET = delete(intents).where(intents.c.subject == NUMBER.scalar_subquery(), _CHANGES)


def intend(connection: Connection, questions: Sequence[Question], host: str | None) -> None:
    ids, who = numbers(connection, questions), mark()
    rows = [{"subject": ids[subject(q)], "change": q.change, "host": host} for q in questions]
    if rows:
        put_in_place(connection, intents, [{**row, "who": who} for row in rows])


def forget(connection: Connection, questions: Iterable[Question]) -> None:
    for _, _, values in parts(questions):
        connection.execute(_FORGET, values)


def unknown(connection: Connection, questions: Iterable[Question] | None = None) -> int:
    """How many of these (None: of all) were sent and never settled, by nobody who still may."""
    count = _COUNT_ON_SERVER if is_postgres(connection) else _COUNT
    if questions is None:
        noted = list(connection.execute(count))
    else:
        statement = _among(count)
        noted = [
            row for _, _, some in parts(questions) for row in connection.execute(statement, some)
        ]
    living = {row.who for row in noted if elsewhere(row.who)}
    return sum(
        row.notes for row in noted if row.who not in living and not (row.young and foreign(row.who))
    )


def _among(count: Select[Any]) -> Select[Any]:
    """The same of some questions alone."""
    joined = count.join_from(intents, subjects, intents.c.subject == subjects.c.id)
    return joined.where(asked_about, _CHANGES)
