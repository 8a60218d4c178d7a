"""Reading raw bodies anew, after a profile was corrected: free, once a reading."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from probe.errors import LedgerError, ProbeError
from probe.ledger import rows
from probe.ledger.opening import Store
from probe.ledger.record import Question
from probe.types import Reading, Scores


def read_anew(
    database: Store, found: rows.Found, missing: Sequence[Question], reading: Reading
) -> rows.Found:
    """`found` with what `reading` makes of the bodies of the questions that it misses.

    That is put on record, where the ledger may be written.
    """
    with database.reading() as connection:
        kept = rows.kept(connection, dict.fromkeys(missing, reading.digest))
        bodies = [*found.stale, *kept]
    anew = rows.Found(found.scores, found.damaged)
    outcomes: list[tuple[rows.Body, Scores | None]] = []
    name = raw = None
    for body in bodies:
        if body.question in anew.scores or body.origin.body is None:
            continue
        if body.origin.body != name:
            name = body.origin.body
            with database.reading() as connection:
                raw = rows.load(connection, name)
        if raw is None:
            anew.damaged.add(body.question)
            continue
        scores = _read(reading, raw, body)
        if scores is not None:
            anew.scores[body.question] = scores
        outcomes.append((body, scores))
    if outcomes:
        anew.scores |= _record(database, outcomes, reading.digest)
    return anew


def _read(reading: Reading, raw: bytes, body: rows.Body) -> Scores | None:
    with suppress(ProbeError):
        outcome = reading.read(raw, body.origin.part, body.origin.parts)
        if isinstance(outcome, Scores):
            return Scores(outcome)
    return None


def _record(
    database: Store, outcomes: list[tuple[rows.Body, Scores | None]], digest: str
) -> dict[Question, Scores]:
    """Returns the answers that another process put on record meanwhile: they stay."""
    with suppress(LedgerError), database.writing() as connection:
        questions = {body.question: digest for body, _ in outcomes}
        known = rows.find(connection, questions, {}).scores
        for body, scores in outcomes:
            if body.question not in known:
                rows.move(connection, body, scores, digest)
        return known
    return {}
