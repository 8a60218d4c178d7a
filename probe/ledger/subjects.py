"""Subjects, all of a question but its change, and statements about many questions at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from sqlalchemy import Connection, and_, bindparam, select

from probe.ledger.dialect import number_of_new
from probe.ledger.record import FIELDS, Question, Subject, subject
from probe.ledger.schema import subjects

PART = 500

asked_about = and_(*(subjects.c[name] == bindparam(name) for name in FIELDS))
NUMBER = select(subjects.c.id).where(asked_about)


def named(asked: Subject) -> dict[str, Any]:
    return dict(zip(FIELDS, asked, strict=True))


def numbers(connection: Connection, questions: Iterable[Question]) -> dict[Subject, int]:
    """The numbers of the subjects, new ones where there are none yet."""
    ids = {}
    for asked in dict.fromkeys(map(subject, questions)):
        values = named(asked)
        number = connection.execute(NUMBER, values).scalar_one_or_none()
        if number is None:
            number = number_of_new(connection, subjects, values)
        ids[asked] = number
    return ids


def parts(
    questions: Iterable[Question],
) -> Iterator[tuple[Subject, dict[str, Question], dict[str, Any]]]:
    """The questions by subject and change, so many at once as one statement takes; and the
    parameters of a statement about `asked_about` and `changes`."""
    grouped: dict[Subject, dict[str, Question]] = {}
    for question in questions:
        grouped.setdefault(subject(question), {})[question.change] = question
    for asked, changes in grouped.items():
        rest = iter(changes.items())
        while part := dict(islice(rest, PART)):
            yield asked, part, {**named(asked), "changes": list(part)}
