"""Walking over every answer of a ledger, however damaged it is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, TableClause, func, select

from probe.errors import LedgerError
from probe.ledger import rows
from probe.ledger.opening import Store
from probe.ledger.record import FIELDS, Record, question_of, unreadable
from probe.ledger.schema import answers, subjects, unread
from probe.types import Failure, Scores

_STEP = 500


def scan(database: Store, bodies: bool = False) -> Iterator[Record | None]:
    """Every answer in the order of storing; None for one that is damaged.

    With `bodies`, each comes with its raw body; one whose body is damaged comes without. The
    ledger is read in steps and may be written meanwhile.
    """
    return _Walk(database, answers, bodies).all()


def scan_unread(database: Store, bodies: bool = False) -> Iterator[Record | None]:
    """Every body that is kept unread, likewise; with `bodies`, None too where it is damaged."""
    return _Walk(database, unread, bodies).all()


@dataclass
class _Walk:
    database: Store
    table: TableClause
    bodies: bool
    labels: rows.Labels = field(default_factory=dict)

    def all(self) -> Iterator[Record | None]:
        last = self._last()
        for start in range(0, last, _STEP):
            yield from self._range(start, min(start + _STEP, last), self.bodies)

    def _range(self, start: int, end: int, bodies: bool) -> Iterator[Record | None]:
        """Those with start < seq <= end; where a page is unreadable, row by row."""
        seq = self.table.c.seq
        statement = (
            select(self.table, *(subjects.c[name] for name in FIELDS))
            .join_from(self.table, subjects, self.table.c.subject == subjects.c.id, isouter=True)
            .where(seq > start, seq <= end)
            .order_by(seq)
        )
        try:
            with self.database.reading() as connection:
                found = connection.execute(statement).all()
                if self.table is answers:
                    rows.read_labels(connection, (row.labels for row in found), self.labels)
                records = [self._record(connection, row, bodies) for row in found]
        except LedgerError:
            if self.database.whole:
                raise
            middle = (start + end) // 2
            if middle > start:
                yield from self._range(start, middle, bodies)
                yield from self._range(middle, end, bodies)
            elif bodies and self.table is answers:
                yield from self._range(start, end, False)
            else:
                yield None
        else:
            yield from records

    def _record(self, connection: Connection, row: Any, bodies: bool) -> Record | None:
        asked = tuple(getattr(row, name) for name in FIELDS)
        origin = rows.origin(row)
        part = origin.part, origin.parts
        outcome: Scores | Failure
        if self.table is answers:
            scores = rows.read(asked, row, self.labels)
            if scores is None:
                return None
            raw = rows.load(connection, origin.body) if bodies and origin.body else None
            outcome = Scores(scores, raw, part)
        else:
            raw = rows.load(connection, row.body) if bodies else None
            if not rows.is_whole(asked, row) or (bodies and raw is None):
                return None
            outcome = unreadable(raw, part)
        question = question_of(asked, row.change)
        return Record(question, outcome, origin.host, origin.at, origin.reading)

    def _last(self) -> int:
        """The highest number of a row; from SQLite's own count when the table is damaged."""
        try:
            with self.database.reading() as connection:
                return connection.execute(select(func.max(self.table.c.seq))).scalar_one() or 0
        except LedgerError:
            if self.database.whole:
                raise
            with self.database.reading() as connection:
                statement = "SELECT seq FROM sqlite_sequence WHERE name = ?"
                found = connection.exec_driver_sql(statement, (self.table.name,)).scalar()
                return int(found or 0)
