"""Reading and writing answers on an open connection; transactions are the caller's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import Connection, Select, TableClause, bindparam, delete, select

from probe.ledger import dialect, intents
from probe.ledger.record import (
    Origin,
    Question,
    Record,
    Subject,
    checksum,
    columns,
    contents,
    is_worth_keeping,
    origin_of,
    pack_blob,
    pack_labels,
    subject,
    unpack_blob,
    unpack_labels,
    unpack_values,
)
from probe.ledger.schema import answers, blobs, subjects, unread
from probe.ledger.subjects import PART, asked_about, numbers, parts
from probe.types import Failure, Scores

Labels = dict[bytes, tuple[str, ...]]
"""Label lists already read, by digest; never many, however many differ."""

ORIGIN = ("body", "host", "at", "reading", "part", "parts")


def _statement(source: TableClause, *more: Any) -> Select[Any]:
    return (
        select(
            source.c.seq,
            source.c.subject,
            source.c.change,
            source.c.checksum,
            *(source.c[name] for name in ORIGIN),
            *more,
        )
        .join_from(source, subjects, source.c.subject == subjects.c.id)
        .where(asked_about, source.c.change.in_(bindparam("changes", expanding=True)))
        .order_by(source.c.seq)
    )


_FIND = _statement(answers, answers.c.labels, answers.c.scores)
_UNREAD = _statement(unread)
_LABELS = select(blobs).where(blobs.c.digest.in_(bindparam("names", expanding=True)))


@dataclass(frozen=True, slots=True)
class Body:
    """A body on record that the reading asked for has not read yet, and the row that holds it."""

    question: Question
    origin: Origin
    table: TableClause
    seq: int
    number: int
    check: bytes


@dataclass(slots=True)
class Found:
    """scores: answers as the reading asked for reads them. damaged: questions whose row is not
    what was written. stale: answers on record that were read otherwise."""

    scores: dict[Question, Scores] = field(default_factory=dict)
    damaged: set[Question] = field(default_factory=set)
    stale: list[Body] = field(default_factory=list)


def find(connection: Connection, wanted: Mapping[Question, str | None], labels: Labels) -> Found:
    """The answers to questions, each by the reading of this digest (None: by whichever)."""
    found = Found()
    for asked, part, values in parts(wanted):
        rows = connection.execute(_FIND, values).all()
        read_labels(connection, (row.labels for row in rows), labels)
        for row in rows:
            question = part[row.change]
            scores = read(asked, row, labels)
            if scores is None:
                found.damaged.add(question)
            elif wanted[question] in (None, row.reading):
                found.scores[question] = scores
            else:
                found.stale.append(_body(question, row, answers))
    return found


def kept(connection: Connection, wanted: Mapping[Question, str]) -> Iterator[Body]:
    """Bodies kept unread that the reading of this digest has not tried yet, oldest first."""
    for asked, part, values in parts(wanted):
        for row in connection.execute(_UNREAD, values).all():
            question = part[row.change]
            if row.reading != wanted[question] and is_whole(asked, row):
                yield _body(question, row, unread)


def put(connection: Connection, records: Sequence[Record], labels: Labels) -> Found:
    """Write the answers to questions that have none, settle them, and keep unread bodies.

    An answer on record that was read otherwise gives way; its body is kept. Returns what
    `find` found before.
    """
    scored = [record for record in records if isinstance(record.outcome, Scores)]
    fresh = {record.question: record for record in reversed(scored)}
    found = find(connection, {q: record.reading for q, record in fresh.items()}, labels)
    for body in found.stale:
        if body.origin.body is not None:
            move(connection, body, None, None)
    answered = [record for q, record in reversed(fresh.items()) if q not in found.scores]
    failed = [record for record in records if isinstance(record.outcome, Failure)]
    _write(connection, answers, answered)
    _write(connection, unread, [record for record in failed if is_worth_keeping(record)])
    intents.forget(connection, fresh)
    return found


def _write(connection: Connection, table: TableClause, records: Sequence[Record]) -> None:
    """Insert rows, in place of damaged ones, and all that they refer to."""
    if not records:
        return
    ids = numbers(connection, (record.question for record in records))
    rows = []
    for record in records:
        scores = record.outcome if isinstance(record.outcome, Scores) else None
        row = columns(record.question, origin_of(record), scores)
        rows.append({"subject": ids[subject(record.question)], **row})
    _keep(connection, dict(pair for record in records for pair in contents(record)))
    dialect.put_in_place(connection, table, rows)


def _keep(connection: Connection, known: Mapping[bytes, bytes]) -> None:
    data = [{"digest": name, "data": pack_blob(content)} for name, content in known.items()]
    dialect.keep(connection, blobs, data, "data")


def move(connection: Connection, body: Body, scores: Scores | None, reading: str | None) -> None:
    """Put on record what this reading made of a body: an answer, or nothing yet.

    Nothing is done when the row has changed meanwhile.
    """
    here = body.table.c
    gone = delete(body.table).where(here.seq == body.seq, here.checksum == body.check)
    if not connection.execute(gone).rowcount:
        return
    target = unread if scores is None else answers
    row = columns(body.question, replace(body.origin, reading=reading), scores)
    row["subject"] = body.number
    if target is body.table:
        row["seq"] = body.seq
    if scores is not None:
        _keep(connection, {row["labels"]: pack_labels(scores)})
        intents.forget(connection, [body.question])
    dialect.put_in_place(connection, target, [row])


def read(asked: Subject, row: Any, labels: Labels) -> Scores | None:
    """The scores of a row, None when it is not what was written or its labels are not known."""
    try:
        if not is_whole(asked, row):
            return None
        return Scores(dict(zip(labels[row.labels], unpack_values(row.scores), strict=True)))
    except (KeyError, TypeError, ValueError):
        return None


def is_whole(asked: Subject, row: Any) -> bool:
    """Whether the row of an answer or of an unread body is what was written."""
    told = getattr(row, "labels", b""), getattr(row, "scores", b"")
    try:
        return bool(checksum(asked, row.change, origin(row), *told) == row.checksum)
    except TypeError:
        return False


def origin(row: Any) -> Origin:
    return Origin(*(getattr(row, name) for name in ORIGIN))


def _body(question: Question, row: Any, table: TableClause) -> Body:
    return Body(question, origin(row), table, row.seq, row.subject, row.checksum)


def read_labels(connection: Connection, names: Iterable[bytes], labels: Labels) -> None:
    """Make sure that these label lists are among `labels`, where they are undamaged."""
    needed = set(names)
    if needed <= labels.keys():
        return
    if len(labels) > PART:
        labels.clear()
    missing = list(needed - labels.keys())
    for name, data in connection.execute(_LABELS, {"names": missing}):
        content = unpack_blob(name, data)
        if content is not None:
            labels[name] = unpack_labels(content)


def load(connection: Connection, name: bytes) -> bytes | None:
    """A blob by its digest, None when it is missing or damaged."""
    data = connection.execute(
        select(blobs.c.data).where(blobs.c.digest == name)
    ).scalar_one_or_none()
    return None if data is None else unpack_blob(name, data)
