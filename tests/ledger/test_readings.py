"""A corrected profile reads what was paid for once more, free; no body is lost on the way."""

import io
import json
import os
import sqlite3
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from probe.errors import BackendError, LedgerError
from probe.ledger import Exported, Ledger, erase, export, prune, recover, stats, verify
from probe.ledger.record import from_line, to_line
from probe.ledger.spill import spill
from probe.types import Failure, Scores


class Key:
    """Reads the number under one key of the picture's part of the body, as label `a`."""

    def __init__(self, key: str) -> None:
        self.key = self.digest = key
        self.asked: list[tuple[bytes, int, int]] = []

    def read(self, raw: bytes, part: int, parts: int) -> Scores | Failure:
        self.asked.append((raw, part, parts))
        found = json.loads(raw)
        if len(found) != parts:
            raise BackendError("another number of parts")
        if self.key not in found[part]:
            return Failure("invalid", f"no {self.key}")
        return Scores({"a": found[part][self.key]})


BODY = json.dumps([{"x": 0.1, "y": 0.2}, {"y": 0.3}]).encode()
MISREAD = Failure("invalid", "no x", billed=True, raw=BODY, part=(1, 2))


@pytest.fixture(params=["file", "memory"])
def ledger(request, path):
    with Ledger(path if request.param == "file" else None) as ledger:
        yield ledger


@pytest.fixture
def two(ledger, ask):
    """A batch of two, read by `x`: an answer, and a failure whose body may be read by `y`."""
    pairs = [(ask(0), Scores({"a": 0.1}, BODY, (0, 2))), (ask(1), MISREAD)]
    assert ledger.exchange(pairs, host="h", reading="x") == ([pairs[0][1], MISREAD], 0)
    return [ask(0), ask(1)]


def test_the_same_reading_and_none_do_no_work(ledger, two):
    x = Key("x")
    for reading in (None, x):
        assert ledger.lookup(two, reading) == {two[0]: {"a": 0.1}}
    assert x.asked == []


def test_another_reading_reads_each_body_once_and_its_answers_stay(ledger, two):
    y = Key("y")
    assert ledger.lookup(two, y) == {two[0]: {"a": 0.2}, two[1]: {"a": 0.3}}
    assert y.asked == [(BODY, 0, 2), (BODY, 1, 2)]
    if ledger.path:
        ledger.close()
    for reading in (y, None):
        assert ledger.lookup(two, reading) == {two[0]: {"a": 0.2}, two[1]: {"a": 0.3}}
    assert len(y.asked) == 2
    assert ledger.raw(two[1]) == BODY


def test_what_a_reading_cannot_read_has_no_answer_and_keeps_its_body(ledger, two):
    y, z = Key("y"), Key("z")
    assert ledger.lookup(two, z) == {}
    assert ledger.lookup(two, z) == {}
    assert len(z.asked) == 2, "it was tried again"
    assert ledger.lookup(two) == {}
    assert ledger.lookup(two, y) == {two[0]: {"a": 0.2}, two[1]: {"a": 0.3}}
    assert ledger.lookup(two, Key("x")) == {two[0]: {"a": 0.1}}
    assert ledger.lookup(two, y) == {two[0]: {"a": 0.2}, two[1]: {"a": 0.3}}


def test_only_what_is_asked_for_is_read(ledger, two):
    y = Key("y")
    assert ledger.lookup(two[1:], y) == {two[1]: {"a": 0.3}}
    assert y.asked == [(BODY, 1, 2)]


def test_a_body_that_becomes_an_answer_settles_the_note(ledger, two):
    ledger.exchange([], intended=two, host="h")
    ledger.lookup(two, Key("y"))
    assert ledger.exchange([], intended=two)[1] == 0


def test_several_bodies_of_one_question_are_tried_in_order(ledger, ask):
    bodies = [json.dumps([{"x": 0, "n": n}]).encode() for n in range(3)]
    for body in bodies:
        ledger.exchange([(ask(0), Failure("invalid", "", raw=body))], reading="x")
    assert ledger.lookup([ask(0)], Key("n")) == {ask(0): {"a": 0.0}}
    assert ledger.raw(ask(0)) == bodies[0]


def test_an_answer_by_another_reading_gives_way_and_its_body_is_kept(ledger, two, ask):
    other = json.dumps([{"z": 0.7}]).encode()
    fresh = Scores({"a": 0.7}, other)
    assert ledger.exchange([(two[0], fresh)], reading="z") == ([fresh], 0)
    assert ledger.lookup(two, Key("z")) == {two[0]: {"a": 0.7}}
    assert ledger.raw(two[0]) == other
    assert ledger.lookup(two, Key("x")) == {two[0]: {"a": 0.1}}


def test_a_failure_changes_no_answer(ledger, two):
    failure = Failure("invalid", "", raw=b"[{}]")
    assert ledger.exchange([(two[0], failure)], reading="x") == ([failure], 0)
    assert ledger.lookup(two) == {two[0]: {"a": 0.1}}


def test_an_answer_without_a_body_is_asked_anew(ledger, ask):
    ledger.exchange([(ask(0), Scores({"a": 0.1}))], reading="x")
    assert ledger.lookup([ask(0)], Key("y")) == {}
    assert ledger.lookup([ask(0)], Key("x")) == {ask(0): {"a": 0.1}}
    ledger.exchange([(ask(0), Scores({"a": 0.2}))], reading="y")
    assert ledger.lookup([ask(0)], Key("y")) == {ask(0): {"a": 0.2}}


def test_failures_without_a_body_leave_nothing(path, ask):
    with Ledger(path) as ledger:
        ledger.exchange([(ask(0), Failure("lost", "reset"))], intended=[ask(0)], host="h")
        assert stats(path).outstanding == 1
    assert (stats(path).unread, stats(path).answers) == (0, 0)


def test_two_that_read_anew_at_once_agree(path, two, ask):
    if not path.exists():
        pytest.skip("a ledger in memory has one user")

    class Racing(Key):
        """While it reads, another process puts an answer of the same reading on record."""

        def read(self, raw, part, parts):
            with Ledger(path) as other:
                other.exchange([(two[1], Scores({"a": 0.9}))], reading="y")
            return super().read(raw, part, parts)

    with Ledger(path) as ledger:
        both = {two[0]: {"a": 0.2}, two[1]: {"a": 0.9}}
        assert ledger.lookup(two, Racing("y")) == both
        assert ledger.lookup(two, Key("y")) == both
    assert verify(path).ok


@pytest.fixture
def kept(path, ask):
    """A file with an answer and a body kept unread."""
    with Ledger(path) as ledger:
        pairs = [(ask(0), Scores({"a": 0.1}, BODY, (0, 2))), (ask(1), MISREAD)]
        ledger.exchange(pairs, host="h", reading="x")
    return [ask(0), ask(1)]


def test_a_ledger_that_may_only_be_read_is_read_anew_all_the_same(path, kept, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: not mode & os.W_OK)
    before = path.read_bytes()
    y = Key("y")
    for _ in range(2):
        with Ledger(path) as ledger:
            assert ledger.lookup(kept, y) == {kept[0]: {"a": 0.2}, kept[1]: {"a": 0.3}}
    assert path.read_bytes() == before


TAMPERING = [
    "UPDATE {} SET reading = 'y'",
    "UPDATE {} SET reading = NULL",
    "UPDATE {} SET part = 1 - part",
    "UPDATE {} SET parts = 3",
    "UPDATE {} SET part = 'first'",
    "UPDATE {} SET host = 'other'",
    "UPDATE {} SET body = x'00'",
    "UPDATE {} SET at = at + 1",
    "UPDATE {} SET checksum = x'00'",
    "UPDATE blobs SET data = x'00' WHERE length(data) > 30",
]


def change(path: Path, statement: str) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    assert connection.execute(statement).rowcount == 1
    connection.close()


@pytest.mark.parametrize("statement", TAMPERING)
@pytest.mark.parametrize("table", ["answers", "unread"])
def test_a_tampered_row_is_not_read_anew(path, kept, table, statement):
    change(path, statement.format(table))
    victim = kept[table == "unread"]
    assert not verify(path).ok
    with Ledger(path) as ledger:
        assert victim not in ledger.lookup(kept, Key("y"))
        assert victim not in ledger.lookup(kept, Key("z"))
        ledger.exchange([(victim, Scores({"a": 0.5}, BODY, (0, 2)))], host="h", reading="y")
        assert ledger.lookup([victim], Key("y")) == {victim: {"a": 0.5}}


def test_stats_verify_and_export_know_what_is_kept_unread(path, kept, tmp_path):
    assert (stats(path).answers, stats(path).unread) == (1, 1)
    assert (verify(path).answers, verify(path).ok) == (1, True)
    text = io.StringIO()
    assert export(path, text) == Exported(1, 1, 0)
    answer, body = map(from_line, text.getvalue().splitlines())
    assert (answer.outcome, answer.reading) == (Scores({"a": 0.1}), "x")
    assert (answer.outcome.raw, answer.outcome.part) == (BODY, (0, 2))
    assert isinstance(body.outcome, Failure)
    assert (body.outcome.raw, body.outcome.part, body.reading) == (BODY, (1, 2), "x")
    assert (body.question, body.host, body.at) == (kept[1], "h", answer.at)
    text = io.StringIO()
    assert export(path, text, "csv") == Exported(1, 0, 0)
    assert len(text.getvalue().splitlines()) == 2


def test_verify_sees_that_an_unread_body_is_gone(path, ask):
    with Ledger(path) as ledger:
        ledger.exchange([(ask(1), MISREAD)], reading="x")
    change(path, "DELETE FROM blobs")
    assert (verify(path).ok, verify(path).bodies) == (False, 1)


def test_recover_takes_readings_and_unread_bodies_along(path, kept, tmp_path):
    before = path.read_bytes()
    done = recover(path, tmp_path / "new.db")
    assert (done.kept, done.lost) == (1, 0)
    assert path.read_bytes() == before
    x = Key("x")
    with Ledger(tmp_path / "new.db") as ledger:
        assert ledger.lookup(kept, x) == {kept[0]: {"a": 0.1}}
        assert x.asked == []
        assert ledger.lookup(kept, Key("y")) == {kept[0]: {"a": 0.2}, kept[1]: {"a": 0.3}}


def test_erasing_and_pruning_reach_what_is_kept_unread(path, ask):
    secret = json.dumps([{"secret": os.urandom(50).hex()}]).encode()
    acts = (
        lambda: erase(path, image=ask().image),
        lambda: erase(path, host="h"),
        lambda: prune(path, older_than=timedelta(days=-1)),
        lambda: prune(path, backend="onnx:abc"),
    )
    for act in acts:
        with Ledger(path) as ledger:
            ledger.exchange([(ask(0), Failure("invalid", "", raw=secret))], host="h", reading="x")
        with sqlite3.connect(path) as connection:
            packed = connection.execute("SELECT data FROM blobs").fetchone()[0]
        connection.close()
        assert packed in path.read_bytes()
        assert (act().bodies, stats(path).unread) == (1, 0)
        assert packed not in path.read_bytes()


def test_an_unread_body_keeps_its_blob_when_the_answer_beside_it_goes(path, kept, ask):
    other = ask(5, image="cd" * 32)
    with Ledger(path) as ledger:
        ledger.exchange([(other, Failure("invalid", "", raw=BODY, part=(1, 2)))], reading="x")
    erase(path, image=ask().image)
    with Ledger(path) as ledger:
        assert ledger.lookup([other], Key("y")) == {other: {"a": 0.3}}


def test_bodies_that_could_not_be_stored_wait_like_answers(path, ask):
    with Ledger(path, patience=0) as ledger:
        ledger.lookup([])
        with ledger._database.reading() as connection:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
            connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
        big = json.dumps([{"y": 0.3, "rest": os.urandom(50_000).hex()}]).encode()
        lost = Failure("lost", "reset")
        pairs = [(ask(1), Failure("invalid", "", raw=big)), (ask(2), lost)]
        with pytest.raises(LedgerError, match="1 answers just received wait in"):
            ledger.exchange(pairs, host="h", reading="x")
    with Ledger(path) as ledger:
        assert ledger.lookup([ask(1), ask(2)], Key("y")) == {ask(1): {"a": 0.3}}
        assert ledger.raw(ask(1)) == big


def test_a_note_that_could_not_be_made_says_nothing_of_answers(path, ask):
    with Ledger(path, patience=0) as ledger:
        ledger.lookup([])
        with ledger._database.reading() as connection:
            connection.exec_driver_sql("PRAGMA max_page_count = 1")
        with pytest.raises(LedgerError) as caught:
            ledger.exchange([], intended=[ask(n) for n in range(5000)], host="h")
    assert "just received" not in str(caught.value)
    assert list(path.parent.glob(".*unsaved*")) == []


def test_lines_from_before_there_were_readings_are_taken_up(path, ask):
    with Ledger(path) as ledger:
        ledger.exchange([(ask(0), Scores({"a": 0.1}, b"[]"))], host="h")
    text = io.StringIO()
    export(path, text)
    line = json.loads(text.getvalue())
    for name in ("reading", "part", "parts"):
        del line[name]
    path.unlink()
    with Ledger(path) as ledger:
        ledger.lookup([])
    path.with_name(f".{path.name}.unsaved-1.jsonl").write_text(json.dumps(line) + "\n")
    with Ledger(path) as ledger:
        assert ledger.lookup([ask(0)]) == {ask(0): {"a": 0.1}}
        assert ledger.raw(ask(0)) == b"[]"


@pytest.mark.parametrize(
    "foreign",
    [{"at": None}, {"at": "now"}, {"host": 5}, {"reading": {}}, {"part": True}, {"raw": None}],
)
def test_a_line_with_something_else_in_it_does_not_keep_the_others_out(path, kept, ask, foreign):
    text = io.StringIO()
    export(path, text)
    good, body = text.getvalue().splitlines()
    bad = json.dumps(json.loads(body) | foreign)
    waiting = path.with_name(f".{path.name}.unsaved-1.jsonl")
    path.unlink()
    with Ledger(path) as ledger:
        ledger.lookup([])
    waiting.write_text(f"{bad}\n{good}\n")
    with Ledger(path) as ledger:
        assert ledger.lookup(kept, Key("y")) == {kept[0]: {"a": 0.2}}
    assert not waiting.exists()


numbers = st.integers(0, 200)
outcomes = st.one_of(
    st.builds(Scores, st.dictionaries(st.text(), st.floats(), max_size=3), st.binary()),
    st.builds(
        lambda raw, part, more: Failure("invalid", "", raw=raw, part=(part, part + more)),
        st.binary(),
        numbers,
        numbers,
    ),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(outcomes, st.none() | st.text(), st.none() | st.text())
def test_a_line_holds_every_bit_of_a_record(ask, outcome, host, reading):
    from probe.ledger.record import Record

    record = Record(ask(0), outcome, host, 7, reading)
    again = from_line(to_line(record))
    assert (again.question, again.host, again.at) == (ask(0), host, 7)
    assert (again.reading, again.outcome.raw) == (reading, outcome.raw)
    assert again.outcome.part == outcome.part
    assert to_line(again) == to_line(record)


def test_what_waits_keeps_its_reading(path, kept, ask):
    from probe.ledger.record import Record

    record = Record(ask(5), Scores({"a": 0.1}, BODY, (0, 2)), "h", 0, "x")
    spill(path, [record])
    with Ledger(path) as ledger:
        x = Key("x")
        assert ledger.lookup([ask(5)], x) == {ask(5): {"a": 0.1}}
        assert x.asked == []
        assert ledger.lookup([ask(5)], Key("y")) == {ask(5): {"a": 0.2}}
