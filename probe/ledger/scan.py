"""Walking over every answer of a ledger, however damaged it is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import func, select

from probe.errors import LedgerError
from probe.ledger import rows
from probe.ledger.database import Database
from probe.ledger.record import FIELDS, Record, question_of
from probe.ledger.schema import answers, subjects
from probe.types import Scores

_STEP = 500
_ROWS = select(
    answers.c.seq,
    *(subjects.c[name] for name in FIELDS),
    *rows.CONTENT,
    answers.c.checksum,
    answers.c.change,
).join_from(answers, subjects, answers.c.subject == subjects.c.id, isouter=True)


def scan(database: Database, bodies: bool = False) -> Iterator[Record | None]:
    """Every answer in the order of storing; None for one that is damaged.

    With `bodies`, each comes with its raw body; one whose body is damaged comes without. The
    ledger is read in steps and may be written meanwhile.
    """
    labels: rows.Labels = {}
    last = _last(database)
    for start in range(0, last, _STEP):
        yield from _range(database, start, min(start + _STEP, last), bodies, labels)


def _range(
    database: Database, start: int, end: int, bodies: bool, labels: rows.Labels
) -> Iterator[Record | None]:
    """Those with start < seq <= end; where a page is unreadable, row by row."""
    try:
        with database.reading() as connection:
            statement = _ROWS.where(answers.c.seq > start, answers.c.seq <= end)
            found = connection.execute(statement.order_by(answers.c.seq)).all()
            rows.read_labels(connection, (row.labels for row in found), labels)
            records = [_record(connection, row, bodies, labels) for row in found]
    except LedgerError:
        middle = (start + end) // 2
        if middle > start:
            yield from _range(database, start, middle, bodies, labels)
            yield from _range(database, middle, end, bodies, labels)
        elif bodies:
            yield from _range(database, start, end, False, labels)
        else:
            yield None
    else:
        yield from records


def _record(connection: Any, row: Any, bodies: bool, labels: rows.Labels) -> Record | None:
    _, *asked, name, values, body, host, at, check, change = row
    scores = rows.read(tuple(asked), change, (name, values, body, host, at), check, labels)
    if scores is None:
        return None
    if bodies and body is not None:
        scores = Scores(scores, rows.load(connection, body))
    return Record(question_of(asked, change), scores, host, at)


def _last(database: Database) -> int:
    """The highest number of an answer; from SQLite's own count when the table is damaged."""
    try:
        with database.reading() as connection:
            return connection.execute(select(func.max(answers.c.seq))).scalar_one() or 0
    except LedgerError:
        with database.reading() as connection:
            statement = "SELECT seq FROM sqlite_sequence WHERE name = 'answers'"
            return int(connection.exec_driver_sql(statement).scalar_one())
