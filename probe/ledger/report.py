"""What a ledger holds and whether it is whole: for people and for other programs."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, TextIO

from sqlalchemy import distinct, func, select

from probe.errors import LedgerError
from probe.ledger.database import Database
from probe.ledger.record import FIELDS, Record, subject, to_line, unpack_blob
from probe.ledger.scan import scan
from probe.ledger.schema import answers, blobs, intents, subjects, version_of
from probe.text import inert


@dataclass(frozen=True, slots=True)
class Stats:
    """answers, pictures: how many. backends, hosts: answers of each; host None: this process.
    outstanding: sent and never settled. bytes: on the disk. first, last: when stored (UTC)."""

    schema: int
    answers: int
    pictures: int
    outstanding: int
    bytes: int
    backends: dict[str, int]
    hosts: dict[str | None, int]
    first: datetime | None
    last: datetime | None


@dataclass(frozen=True, slots=True)
class Health:
    """answers: readable ones. damaged: those that are not. bodies: damaged raw bodies and label
    lists. problems: what SQLite says of the file."""

    answers: int
    damaged: int
    bodies: int
    problems: tuple[str, ...]

    @property
    def ok(self) -> bool:
        return not (self.damaged or self.bodies or self.problems)


def stats(path: Path) -> Stats:
    database = Database(path, create=False)
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

            return Stats(
                schema=version_of(connection),
                answers=one(func.count(), answers),
                pictures=one(func.count(distinct(subjects.c.image)), joined),
                outstanding=one(func.count(), intents),
                bytes=_size(path),
                backends=counts(subjects.c.backend),
                hosts=counts(answers.c.host),
                first=when(answers.c.seq),
                last=when(answers.c.seq.desc()),
            )
    finally:
        database.close()


def verify(path: Path) -> Health:
    """Check the file's structure and every row and body against its checksum; changes nothing."""
    database = Database(path, create=False, salvage=True)
    try:
        problems = _problems(database)
        readable = damaged = bodies = 0
        try:
            for record in scan(database):
                readable += record is not None
                damaged += record is None
            bodies = _damaged_blobs(database)
        except LedgerError as error:
            problems.append(str(error))
        return Health(readable, damaged, bodies, tuple(problems))
    finally:
        database.close()


def export(path: Path, file: TextIO, form: Literal["jsonl", "csv"] = "jsonl") -> tuple[int, int]:
    """Write every answer, in the order of storing; returns how many, and how many are damaged.

    jsonl: one object a line with the raw body in base64. csv: one row a label.
    """
    database = Database(path, create=False)
    lost = 0

    def records() -> Iterator[Record]:
        nonlocal lost
        for record in scan(database, bodies=form == "jsonl"):
            if record is None:
                lost += 1
            else:
                yield record

    try:
        write = _write_lines if form == "jsonl" else _write_table
        written = write(records(), file)
        return written, lost
    finally:
        database.close()


def _write_lines(records: Iterator[Record], file: TextIO) -> int:
    count = 0
    for count, record in enumerate(records, 1):  # noqa: B007
        file.write(f"{to_line(record)}\n")
    return count


def _write_table(records: Iterator[Record], file: TextIO) -> int:
    table = csv.writer(file, lineterminator="\n")
    table.writerow((*FIELDS, "change", "host", "at", "label", "score"))
    count = 0
    for count, record in enumerate(records, 1):  # noqa: B007
        start = (*subject(record.question), record.question.change, record.host)
        at = _time(record.at).isoformat(timespec="milliseconds")
        for label, score in record.scores.items():
            table.writerow((*map(_cell, start), at, _cell(label), repr(score)))
    return count


def _cell(value: str | int | None) -> str | int | None:
    return inert(value) if isinstance(value, str) else value


def _problems(database: Database) -> list[str]:
    with database.reading() as connection:
        version_of(connection)
    try:
        with database.reading() as connection:
            found = connection.exec_driver_sql("PRAGMA integrity_check(20)").scalars().all()
    except LedgerError as error:
        return [str(error.__cause__ or error)]
    return [line for line in found if line != "ok"]


def _damaged_blobs(database: Database) -> int:
    """Blobs that are not what their name says, and names of bodies without a blob."""
    with database.reading() as connection:
        named = select(answers.c.body).where(answers.c.body.is_not(None))
        missing = named.where(answers.c.body.not_in(select(blobs.c.digest))).distinct()
        count: int = connection.execute(
            select(func.count()).select_from(missing.subquery())
        ).scalar_one()
        contents = connection.execution_options(yield_per=100).execute(select(blobs))
        return count + sum(unpack_blob(row.digest, row.data) is None for row in contents)


def _size(path: Path) -> int:
    total = 0
    for name in (path, path.with_name(f"{path.name}-wal")):
        with suppress(OSError):
            total += name.stat().st_size
    return total


def _time(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
