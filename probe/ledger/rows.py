"""Reading and writing answers on an open connection; transactions are the caller's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from sqlalchemy import Connection, and_, bindparam, delete, func, select
from sqlalchemy.dialects.sqlite import insert

from probe.ledger.record import (
    FIELDS,
    Question,
    Record,
    Subject,
    checksum,
    pack,
    pack_blob,
    subject,
    unpack_blob,
    unpack_labels,
    unpack_values,
)
from probe.ledger.schema import answers, blobs, intents, subjects
from probe.types import Scores

_PART = 500

Labels = dict[bytes, tuple[str, ...]]
"""Label lists already read, by digest; never many, however many differ."""

asked_about = and_(*(subjects.c[name] == bindparam(name) for name in FIELDS))
CONTENT = (answers.c.labels, answers.c.scores, answers.c.body, answers.c.host, answers.c.at)
_FIND = (
    select(answers.c.change, *CONTENT, answers.c.checksum)
    .join_from(answers, subjects, answers.c.subject == subjects.c.id)
    .where(asked_about, answers.c.change.in_(bindparam("changes", expanding=True)))
)
_SUBJECT = select(subjects.c.id).where(asked_about)
_OUTSTANDING = (
    select(func.count())
    .select_from(intents.join(subjects, intents.c.subject == subjects.c.id))
    .where(asked_about, intents.c.change.in_(bindparam("changes", expanding=True)))
)
_FORGET = delete(intents).where(
    intents.c.subject == _SUBJECT.scalar_subquery(),
    intents.c.change.in_(bindparam("changes", expanding=True)),
)
_LABELS = select(blobs).where(blobs.c.digest.in_(bindparam("names", expanding=True)))
_KEEP = insert(blobs)
_KEEP = _KEEP.on_conflict_do_update(
    index_elements=["digest"],
    set_={"data": _KEEP.excluded.data},
    where=blobs.c.data != _KEEP.excluded.data,
)
_ANSWER = insert(answers).prefix_with("OR REPLACE")
_INTEND = insert(intents).on_conflict_do_nothing()


def put(
    connection: Connection, records: Sequence[Record], labels: Labels
) -> tuple[dict[Question, Scores], set[Question]]:
    """Write the answers to questions that have none and settle their intents.

    Returns what `find` found before.
    """
    fresh = {record.question: record for record in reversed(records)}
    known, damaged = find(connection, fresh, labels)
    _write(connection, [record for q, record in reversed(fresh.items()) if q not in known])
    forget(connection, fresh)
    return known, damaged


def find(
    connection: Connection, questions: Iterable[Question], labels: Labels
) -> tuple[dict[Question, Scores], set[Question]]:
    """The answers on record without their bodies, and the questions whose row is damaged."""
    found, damaged = {}, set()
    for asked, part in _parts(questions):
        rows = connection.execute(_FIND, {**named(asked), "changes": list(part)}).all()
        read_labels(connection, (row.labels for row in rows), labels)
        for change, *content, check in rows:
            scores = read(asked, change, content, check, labels)
            if scores is None:
                damaged.add(part[change])
            else:
                found[part[change]] = scores
    return found, damaged


def read(
    asked: Subject, change: str, content: Sequence[Any], check: bytes, labels: Labels
) -> Scores | None:
    """The scores of a row, None when it is not what was written or its labels are not known."""
    try:
        if checksum(asked, change, *content) != check:
            return None
        name, scores = content[:2]
        return Scores(dict(zip(labels[name], unpack_values(scores), strict=True)))
    except (KeyError, TypeError, ValueError):
        return None


def read_labels(connection: Connection, names: Iterable[bytes], labels: Labels) -> None:
    """Make sure that these label lists are among `labels`, where they are undamaged."""
    needed = set(names)
    if needed <= labels.keys():
        return
    if len(labels) > _PART:
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


def _write(connection: Connection, records: Sequence[Record]) -> None:
    """Insert answers, in place of damaged ones, and clear their intents."""
    rows: list[dict[str, Any]] = []
    contents: dict[bytes, bytes] = {}
    ids = _subject_ids(connection, (record.question for record in records))
    for record in records:
        columns, referred = pack(record)
        contents |= referred
        rows.append({"subject": ids[subject(record.question)], **columns})
    if rows:
        data = [{"digest": name, "data": pack_blob(body)} for name, body in contents.items()]
        connection.execute(_KEEP, data)
        connection.execute(_ANSWER, rows)


def _subject_ids(connection: Connection, questions: Iterable[Question]) -> dict[Subject, int]:
    """The numbers of the subjects, new ones where there are none yet."""
    ids = {}
    for asked in dict.fromkeys(map(subject, questions)):
        values = named(asked)
        number = connection.execute(_SUBJECT, values).scalar_one_or_none()
        if number is None:
            number = connection.execute(insert(subjects).values(values)).lastrowid
        ids[asked] = number
    return ids


def intend(connection: Connection, questions: Sequence[Question], host: str | None) -> None:
    ids = _subject_ids(connection, questions)
    rows = [{"subject": ids[subject(q)], "change": q.change, "host": host} for q in questions]
    connection.execute(_INTEND, rows)


def forget(connection: Connection, questions: Iterable[Question]) -> None:
    for asked, part in _parts(questions):
        connection.execute(_FORGET, {**named(asked), "changes": list(part)})


def outstanding(connection: Connection, questions: Iterable[Question]) -> int:
    return sum(
        connection.execute(_OUTSTANDING, {**named(asked), "changes": list(part)}).scalar_one()
        for asked, part in _parts(questions)
    )


def named(asked: Subject) -> dict[str, Any]:
    return dict(zip(FIELDS, asked, strict=True))


def _parts(questions: Iterable[Question]) -> Iterator[tuple[Subject, dict[str, Question]]]:
    """The questions by subject and change, so many at once as one statement takes."""
    grouped: dict[Subject, dict[str, Question]] = {}
    for question in questions:
        grouped.setdefault(subject(question), {})[question.change] = question
    for asked, changes in grouped.items():
        rest = iter(changes.items())
        while part := dict(islice(rest, _PART)):
            yield asked, part
