"""What a ledger holds and whether it is whole: for people and for other programs."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import chain
from typing import Any, Literal, TextIO

from sqlalchemy import distinct, func, select, union

from probe.errors import LedgerError
from probe.ledger import intents
from probe.ledger.opening import Store, open_store
from probe.ledger.place import Place
from probe.ledger.record import FIELDS, Record, subject, to_line, unpack_blob
from probe.ledger.scan import scan, scan_unread
from probe.ledger.schema import answers, blobs, subjects, unread, version_of
from probe.text import inert, printable
from probe.types import Failure, Scores


@dataclass(frozen=True, slots=True)
class Stats:
    """answers, pictures: how many. unread: bodies that could not be read and are kept.
    backends, hosts: answers of each; host None: this process. outstanding: sent and never
    settled. bytes: on the disk, `log` of them in the -wal file beside it, because another process
    uses the ledger. first, last: when stored (UTC)."""

    schema: int
    answers: int
    pictures: int
    unread: int
    outstanding: int
    bytes: int
    log: int
    backends: dict[str, int]
    hosts: dict[str | None, int]
    first: datetime | None
    last: datetime | None


@dataclass(frozen=True, slots=True)
class Health:
    """answers: readable ones. damaged: rows that are not. bodies: damaged raw bodies and label
    lists. problems: what SQLite says of a file."""

    answers: int
    damaged: int
    bodies: int
    problems: tuple[str, ...]

    @property
    def ok(self) -> bool:
        return not (self.damaged or self.bodies or self.problems)


@dataclass(frozen=True, slots=True)
class Exported:
    """answers, unread: written. damaged: left out."""

    answers: int
    unread: int
    damaged: int


def stats(path: Place) -> Stats:
    database = open_store(path, create=False)
    joined = answers.join(subjects, answers.c.subject == subjects.c.id)
    try:
        with database.reading() as connection:

            def one(expression: Any, source: Any) -> Any:
                return connection.execute(select(expression).select_from(source)).scalar_one()

            def counts(name: Any) -> dict[Any, int]:
                grouped = select(name, func.count()).select_from(joined).group_by(name)
                rows = connection.execute(grouped.order_by(func.count().desc()))
                return {row[0]: row[1] for row in rows}

            def when(order: Any) -> datetime | None:
                found = connection.execute(select(answers.c.at).order_by(order).limit(1)).scalar()
                return None if found is None else _time(found)

            found = Stats(
                schema=version_of(connection),
                answers=one(func.count(), answers),
                pictures=one(func.count(distinct(subjects.c.image)), joined),
                unread=one(func.count(), unread),
                outstanding=intents.unknown(connection),
                bytes=0,
                log=0,
                backends=counts(subjects.c.backend),
                hosts=counts(answers.c.host),
                first=when(answers.c.seq),
                last=when(answers.c.seq.desc()),
            )
    finally:
        database.close()
    total, log = database.size()
    return replace(found, bytes=total, log=log)


def verify(path: Place) -> Health:
    """Check the file's structure and every row and body against its checksum; changes nothing."""
    database = open_store(path, create=False, salvage=True)
    try:
        problems = _problems(database)
        readable = damaged = bodies = 0
        try:
            for record in scan(database):
                readable += record is not None
                damaged += record is None
            damaged += sum(record is None for record in scan_unread(database))
            bodies = _damaged_blobs(database)
        except LedgerError as error:
            problems.append(str(error))
        return Health(readable, damaged, bodies, tuple(problems))
    finally:
        database.close()


def export(path: Place, file: TextIO, form: Literal["jsonl", "csv"] = "jsonl") -> Exported:
    """Write every answer, in the order of storing.

    jsonl: one object a line with the raw body in base64; bodies that are kept unread come last,
    with null for scores. csv: one row a label.
    """
    database = open_store(path, create=False)
    lines = form == "jsonl"
    told: Counter[type | None] = Counter()

    def records() -> Iterator[Record]:
        more = scan_unread(database, bodies=True) if lines else ()
        for record in chain(scan(database, bodies=lines), more):
            told[None if record is None else type(record.outcome)] += 1
            if record is not None:
                yield record

    try:
        if lines:
            file.writelines(f"{to_line(record)}\n" for record in records())
        else:
            _write_table(records(), file)
        return Exported(told[Scores], told[Failure], told[None])
    finally:
        database.close()


def _write_table(records: Iterator[Record], file: TextIO) -> None:
    table = csv.writer(file, lineterminator="\n")
    table.writerow((*FIELDS, "change", "host", "at", "label", "score"))
    for record in records:
        start = (*subject(record.question), record.question.change, record.host)
        at = _time(record.at).isoformat(timespec="milliseconds")
        assert isinstance(record.outcome, Scores)
        for label, score in record.outcome.items():
            table.writerow((*map(_cell, start), at, _cell(label), repr(score)))


def _cell(value: str | int | None) -> str | int | None:
    return inert(printable(value)) if isinstance(value, str) else value


def _problems(database: Store) -> list[str]:
    with database.reading() as connection:
        version_of(connection)
    if database.whole:
        return []
    try:
        with database.reading() as connection:
            found = connection.exec_driver_sql("PRAGMA integrity_check(20)").scalars().all()
    except LedgerError as error:
        return [str(error.__cause__ or error)]
    return [line for line in found if line != "ok"]


def _damaged_blobs(database: Store) -> int:
    """Blobs that are not what their name says, and names of bodies without a blob."""
    with database.reading() as connection:
        named = union(select(answers.c.body), select(unread.c.body)).subquery()
        known = select(blobs.c.digest)
        missing = select(named.c.body).where(named.c.body.is_not(None), named.c.body.not_in(known))
        count: int = connection.execute(
            select(func.count()).select_from(missing.subquery())
        ).scalar_one()
        contents = connection.execute(select(blobs).execution_options(yield_per=100))
        return count + sum(unpack_blob(row.digest, row.data) is None for row in contents)


def _time(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
