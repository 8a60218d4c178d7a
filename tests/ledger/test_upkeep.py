import csv
import io
import json
import os
import sqlite3
import struct
import tempfile
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probe.errors import LedgerError, UsageError
from probe.ledger import Exported, Ledger, Question, erase, export, prune, recover, stats, verify
from probe.ledger.record import from_line
from probe.types import Failure, Scores

FUNCTIONS = [
    stats,
    verify,
    lambda path: export(path, io.StringIO()),
    lambda path: recover(path, path.with_name("new.db")),
    lambda path: prune(path, backend="b"),
    lambda path: erase(path, host="h"),
]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_ledger_that_is_not_there_is_not_made(path, function):
    with pytest.raises(LedgerError, match="there is no ledger"):
        function(path)
    assert not path.exists()


def test_stats(path, filled, ask):
    with Ledger(path) as ledger:
        ledger.exchange([], intended=[ask(99)], host="three.example")
        ledger.exchange(
            [(ask(n, image="ef" * 32, backend="x"), Scores({"a": 1.0})) for n in range(3)]
        )
        found = stats(path)
    assert (found.answers, found.pictures, found.outstanding, found.schema) == (23, 3, 1, 3)
    assert found.backends == {"onnx:abc": 20, "x": 3}
    assert found.hosts == {"one.example": 10, "two.example": 10, None: 3}
    assert found.first <= found.last
    assert found.bytes >= path.stat().st_size


def test_stats_of_an_empty_ledger(path):
    with Ledger(path) as ledger:
        ledger.lookup([])
    found = stats(path)
    assert (found.answers, found.first, found.last, found.backends) == (0, None, None, {})
    assert verify(path).ok


def test_verify_counts_what_is_damaged_and_changes_nothing(path, filled):
    assert verify(path) == verify(path)
    assert verify(path).ok
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("UPDATE answers SET host = 'x' WHERE seq IN (2, 3)")
    connection.execute("DELETE FROM blobs WHERE digest = (SELECT body FROM answers WHERE seq = 7)")
    connection.execute("UPDATE subjects SET fill = 'black' WHERE id = 2")
    connection.close()
    before = path.read_bytes()
    health = verify(path)
    assert (health.answers, health.damaged, health.bodies, health.ok) == (8, 12, 1, False)
    assert path.read_bytes() == before


def test_jsonl_holds_all_that_is_needed_to_make_the_ledger_again(path, filled):
    lines = io.StringIO()
    assert export(path, lines) == Exported(20, 0, 0)
    records = [from_line(line) for line in lines.getvalue().splitlines()]
    assert [(record.question, record.outcome) for record in records] == filled
    assert [record.outcome.raw for record in records] == [scores.raw for _, scores in filled]
    assert {record.host for record in records} == {"one.example", "two.example"}


def test_csv_has_a_row_a_label_and_no_formulas(path, ask):
    with Ledger(path) as ledger:
        ledger.exchange(
            [(ask(0, fill="=1+1"), Scores({"@cmd": -0.5, "ok": 0.1 + 0.2, "-a": 1e-300}))]
        )
    text = io.StringIO()
    export(path, text, "csv")
    rows = list(csv.DictReader(io.StringIO(text.getvalue())))
    assert [row["label"] for row in rows] == ["'@cmd", "ok", "'-a"]
    assert [float(row["score"]) for row in rows] == [-0.5, 0.1 + 0.2, 1e-300]
    assert {row["fill"] for row in rows} == {"'=1+1"}
    assert rows[0]["change"] == "box 0 0 8 8"


def test_csv_holds_nothing_that_a_terminal_or_a_reader_of_lines_would_act_on(path, ask):
    label = "x\r=cmd|' /C calc'!A0\x1b]52;c;aGk=\x07\u202e"
    with Ledger(path) as ledger:
        ledger.exchange([(ask(0), Scores({label: 0.5}))])
    text = io.StringIO()
    export(path, text, "csv")
    assert not {"\r", "\x1b", "\x07", "\u202e"} & set(text.getvalue())
    assert len(text.getvalue().splitlines()) == 2


def test_export_leaves_damaged_rows_out_and_counts_them(path, filled):
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE answers SET at = 5 WHERE seq = 5")
    connection.close()
    lines = io.StringIO()
    assert export(path, lines) == Exported(19, 0, 1)
    assert len(lines.getvalue().splitlines()) == 19


def test_recover_copies_good_rows_and_leaves_the_original_alone(path, filled, tmp_path):
    with Ledger(path) as ledger:
        ledger.remember("http://a", "description")
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE answers SET at = 5 WHERE seq = 5")
        connection.execute("DELETE FROM blobs WHERE digest = (SELECT body FROM answers LIMIT 1)")
    connection.close()
    before = path.read_bytes()
    new = tmp_path / "new.db"
    done = recover(path, new)
    assert (done.kept, done.lost) == (19, 1)
    assert path.read_bytes() == before
    good = {q: s for i, (q, s) in enumerate(filled) if i != 4}
    with Ledger(new) as ledger:
        assert ledger.lookup([q for q, _ in filled]) == good
        assert ledger.raw(filled[0][0]) is None
        assert ledger.raw(filled[1][0]) == filled[1][1].raw
        assert ledger.recall("http://a") == "description"
    assert verify(new).ok
    assert stats(new).hosts == {"one.example": 9, "two.example": 10}


class Anything:
    """Reads whatever body there is."""

    digest = "any"

    def read(self, raw: bytes, part: int, parts: int) -> Scores:
        return Scores({"read": 1.0})


def rooted(path):
    """The number of the first page of each table and index."""
    connection = sqlite3.connect(path)
    found = dict(connection.execute("SELECT name, rootpage FROM sqlite_master"))
    connection.close()
    return found


def tear(path, whole, page):
    start = (page - 1) * 4096
    path.write_bytes(whole[:start] + b"\xa5" * 4096 + whole[start + 4096 :])


@pytest.fixture
def many(path, ask):
    """Three hundred answers about two pictures in batches of ten, with bodies of all sizes, and
    a body that could not be read."""
    pairs = [
        (
            ask(n, image=("ab" if n < 150 else "cd") * 32),
            Scores({"a": n / 7}, os.urandom(9000 if n % 10 == 0 else 300)),
        )
        for n in range(300)
    ]
    with Ledger(path) as ledger:
        for n in range(0, 300, 10):
            ledger.exchange(pairs[n : n + 10], host="h", reading="r")
        ledger.exchange([(ask(999), Failure("invalid", "", raw=b"kept"))], reading="r")
    return dict(pairs)


def test_recover_reads_whatever_a_torn_page_did_not_hold_itself(path, ask, many):
    whole = path.read_bytes()
    pages, roots = len(whole) // 4096, rooted(path)
    for page in sorted({*range(1, 20), *roots.values(), *range(20, pages, 7)}):
        tear(path, whole, page)
        before, new = path.read_bytes(), path.with_name(f"new{page}.db")
        done = recover(path, new)
        assert path.read_bytes() == before
        assert verify(new).ok
        with Ledger(new) as ledger:
            known = ledger.lookup(list(many))
            bodies = [ledger.raw(question) for question in known]
            read = ledger.lookup(list(many), Anything())
        assert len(known) == done.kept
        assert known.items() <= many.items()
        assert all(raw in (None, many[q].raw) for q, raw in zip(known, bodies, strict=True))
        if page in roots.values() or page == 1:
            assert (done.kept, done.unread) == (300, 0 if page == roots["unread"] else 1), page
            assert done.lost == (None if page == 1 else 0 if page != roots["unread"] else 1)
            assert bodies == [scores.raw for scores in many.values()]
        assert done.kept > 250 or len(read) > 250, "the page of the labels took all with it"


def test_recover_reads_a_torn_ledger_and_its_log_as_they_were_committed_last(
    path, ask, many, tmp_path
):
    ledger = Ledger(path)
    more = {ask(501): Scores({"b": 1.0}, b"other labels"), ask(502): Scores({"b": 2.0})}
    ledger.exchange(list(more.items()))
    for end in ("", "-wal"):
        (tmp_path / f"torn.db{end}").write_bytes(path.with_name(f"ledger.db{end}").read_bytes())
    ledger.close()
    tear(tmp_path / "torn.db", (tmp_path / "torn.db").read_bytes(), 1)
    pages = (tmp_path / "torn.db").stat().st_size // 4096
    with open(tmp_path / "torn.db-wal", "r+b") as log:
        salt = log.read(32)[16:24]
        log.seek(0, 2)
        for page in range(1, pages + 1):
            log.write(struct.pack(">II", page, 0) + salt + bytes(8) + b"\xa5" * 4096)
        log.write(b"half a frame")
    tear(tmp_path / "torn.db", (tmp_path / "torn.db").read_bytes(), 2)
    assert recover(tmp_path / "torn.db", tmp_path / "new.db").kept == 302
    with Ledger(tmp_path / "new.db") as ledger:
        assert ledger.lookup([*many, *more]) == many | more


def test_rows_from_before_there_were_readings_are_dug_up(path, ask, tmp_path):
    path.parent.mkdir()
    connection = sqlite3.connect(path)
    connection.executescript((Path(__file__).parent / "data" / "schema2.sql").read_text())
    connection.close()
    for migrated in (False, True):
        if migrated:
            Ledger(path).lookup([])
        whole = path.read_bytes()
        tear(path, whole, 1)
        new = tmp_path / f"{migrated}.db"
        assert recover(path, new).kept == 3
        with Ledger(new) as ledger:
            assert ledger.lookup([ask(0)]) == {ask(0): {"nsfw": 0.0, "sfw": 1.0}}
            assert ledger.raw(ask(1)) == b'{"nsfw": 1}'
        path.write_bytes(whole)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_recover_believes_nothing_that_was_not_written(data):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.db"
        asked = [Question("i", f"c{n}", "f", (1, 2), "png", 1, "b") for n in range(40)]
        answers = {q: Scores({"a": float(n)}, b"body" * n) for n, q in enumerate(asked)}
        with Ledger(path) as ledger:
            ledger.exchange(list(answers.items()), host="h", reading="r")
            ledger.exchange([(asked[0], Failure("invalid", "", raw=b"x" * 5000))])
        content = bytearray(path.read_bytes())
        for _ in range(data.draw(st.integers(1, 8))):
            at = data.draw(st.integers(0, len(content) - 1))
            junk = data.draw(st.binary(min_size=1, max_size=40))
            content[at : at + len(junk)] = junk
        content = content[: data.draw(st.sampled_from([len(content), len(content) // 2, 5000]))]
        path.write_bytes(content)
        with suppress(LedgerError):
            done = recover(path, Path(folder) / "new.db")
            with Ledger(Path(folder) / "new.db") as ledger:
                known = ledger.lookup(asked)
                assert len(known) == done.kept
                assert known.items() <= answers.items()
            assert verify(Path(folder) / "new.db").ok


@pytest.mark.parametrize("content", [b"", b"text" * 9999, os.urandom(20_000), b"\x0d" * 20_000])
def test_out_of_what_was_never_a_ledger_nothing_is_recovered(tmp_path, content):
    (tmp_path / "no.db").write_bytes(content)
    with pytest.raises(LedgerError):
        recover(tmp_path / "no.db", tmp_path / "new.db")
    assert not (tmp_path / "new.db").exists()


def test_recover_takes_what_a_killed_process_left_in_the_log(path, ask, filled, tmp_path):
    ledger = Ledger(path)
    ledger.exchange([(ask(77), Scores({"a": 1.0}))])
    for name in ("ledger.db", "ledger.db-wal"):
        (tmp_path / name).write_bytes(path.with_name(name).read_bytes())
    log = (tmp_path / "ledger.db-wal").read_bytes()
    assert recover(tmp_path / "ledger.db", tmp_path / "new.db").kept == 21
    assert (tmp_path / "ledger.db-wal").read_bytes() == log
    ledger.close()


def test_recover_never_writes_over_a_file(path, filled, tmp_path):
    (tmp_path / "new.db").write_text("mine")
    with pytest.raises(UsageError, match="exists already"):
        recover(path, tmp_path / "new.db")
    assert (tmp_path / "new.db").read_text() == "mine"


def bytes_beside(path):
    return b"".join(file.read_bytes() for file in path.parent.iterdir())


def test_an_erased_picture_leaves_no_byte(path, ask):
    secret = Scores({"secret-label": 0.123456789}, raw=b"\x00secret-body" + os.urandom(200))
    plain = Scores({"plain": 0.5}, raw=b"plain-body")
    theirs, mine = ask(1, image="5ec2e7" + "00" * 29), ask(1)
    with Ledger(path) as ledger:
        ledger.exchange([(theirs, secret), (mine, plain)], host="a.example")
        ledger.exchange([], intended=[ask(2, image=theirs.image)], host="a.example")
    with sqlite3.connect(path) as connection:
        packed = [row[0] for row in connection.execute("SELECT data FROM blobs ORDER BY rowid")]
        values = connection.execute("SELECT scores FROM answers WHERE seq = 1").fetchone()[0]
    connection.close()
    traces = [theirs.image.encode(), values, *packed[:2]]
    assert all(trace in bytes_beside(path) for trace in traces)
    removed = erase(path, image=theirs.image)
    assert (removed.answers, removed.bodies) == (1, 2)
    assert not any(trace in bytes_beside(path) for trace in traces)
    with Ledger(path) as ledger:
        assert ledger.lookup([mine, theirs]) == {mine: plain}
        assert ledger.raw(mine) == b"plain-body"
    assert (stats(path).pictures, stats(path).outstanding) == (1, 0)
    assert verify(path).ok


def test_erasing_reaches_the_log_of_a_run_that_goes_on(path, ask):
    with Ledger(path) as ledger:
        ledger.exchange([(ask(1, image="5ec2e7" + "00" * 29), Scores({"a": 1.0}))])
        ledger.exchange([(ask(1), Scores({"a": 1.0}))])
        assert b"5ec2e7" in bytes_beside(path)
        erase(path, image="5ec2e7" + "00" * 29)
        assert b"5ec2e7" not in bytes_beside(path)
        assert ledger.lookup([ask(1)])


def test_erasing_says_when_a_reader_keeps_the_log(path, filled, ask, monkeypatch):
    monkeypatch.setattr("probe.ledger.file.BUSY_SECONDS", 0.0)
    with Ledger(path) as ledger:
        ledger.exchange([(ask(50), Scores({"a": 1.0}))])
        reader = sqlite3.connect(path, isolation_level=None)
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM answers").fetchone()
        with pytest.raises(LedgerError, match="another process"):
            erase(path, image=ask().image)
        reader.execute("COMMIT")
        reader.close()
        erase(path, image=ask().image)
    assert b"ab" * 32 not in bytes_beside(path)


def test_erase_by_host_takes_answers_intents_and_descriptions(path, filled, ask):
    with Ledger(path) as ledger:
        ledger.exchange([], intended=[ask(70)], host="one.example")
        ledger.remember("http://one.example:8000/x", "d")
        ledger.remember("http://two.example", "d")
    assert erase(path, host="one.example").answers == 10
    with Ledger(path) as ledger:
        assert ledger.lookup([q for q, _ in filled]).keys() == {q for q, _ in filled[10:]}
        assert ledger.recall("http://one.example:8000/x") is None
        assert ledger.recall("http://two.example") == "d"
        assert ledger.exchange([], intended=[ask(70)])[1] == 0


def test_a_body_that_another_answer_shares_stays(path, ask):
    with Ledger(path) as ledger:
        ledger.exchange([(ask(1), Scores({"a": 1.0}, raw=b"both"))], host="x")
        ledger.exchange([(ask(2), Scores({"a": 1.0}, raw=b"both"))], host="y")
    assert erase(path, host="x").bodies == 0
    with Ledger(path) as ledger:
        assert ledger.raw(ask(2)) == b"both"


def test_prune_by_age_and_backend(path, ask, monkeypatch):
    now = 10_000_000.0
    monkeypatch.setattr("time.time", lambda: now)
    with Ledger(path) as ledger:
        for n, (days, backend) in enumerate([(9, "a"), (9, "b"), (1, "a"), (1, "b")]):
            monkeypatch.setattr("time.time_ns", lambda d=days: int((now - d * 86400) * 1e9))
            ledger.exchange([(ask(n, backend=backend), Scores({"a": 1.0}))])
    assert prune(path, older_than=timedelta(days=5), backend="a").answers == 1
    assert prune(path, older_than=timedelta(days=5)).answers == 1
    assert prune(path, backend="b").answers == 1
    assert prune(path, backend="b").answers == 0
    assert stats(path).answers == 1


@pytest.mark.parametrize("given", [{}, {"image": "a", "host": "b"}])
def test_erase_must_be_told_exactly_what(path, filled, given):
    with pytest.raises(UsageError):
        erase(path, **given)
    with pytest.raises(UsageError):
        prune(path)
    assert stats(path).answers == 20


def test_what_was_spilled_is_erased_too(path, filled, ask):
    from probe.ledger.record import Record
    from probe.ledger.spill import spill

    record = Record(ask(30), Scores({"a": 1.0}), "one.example", 0)
    assert spill(path, [record]).parent == path.parent
    assert erase(path, image=ask().image).answers == 11
    assert b"ab" * 32 not in bytes_beside(path)


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="needs the superuser")
def test_what_another_user_put_into_the_temp_folder_is_not_taken_up(
    path, filled, ask, tmp_path, monkeypatch
):
    from probe.ledger.record import Record
    from probe.ledger.spill import spill

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temp"))
    (tmp_path / "temp").mkdir()
    aside = path.parent.rename(path.parent.with_name("aside"))
    record = Record(ask(30), Scores({"a": 1.0}), None, 0)
    files = [spill(path, [record]) for _ in range(2)]
    aside.rename(path.parent)
    assert {file.parent for file in files} == {tmp_path / "temp"}
    os.chown(files[0], 12345, -1)
    files[1].unlink()
    files[1].symlink_to(files[0])
    with Ledger(path) as ledger:
        assert ledger.lookup([ask(30)]) == {}
        os.chown(files[0], 0, -1)
    with Ledger(path) as ledger:
        assert ledger.lookup([ask(30)])


def test_a_spilled_line_that_is_cut_or_foreign_is_passed_over(path, filled, ask):
    from probe.ledger.record import Record, to_line

    good = to_line(Record(ask(40), Scores({"a": 1.0}), None, 0))
    cut = to_line(Record(ask(41), Scores({"a": 1.0}), None, 0))[:-20]
    path.with_name(".ledger.db.unsaved-x.jsonl").write_text(
        "\n".join([cut, "[]", json.dumps({"image": 1}), "\x00", good])
    )
    with Ledger(path) as ledger:
        assert ledger.lookup([ask(40), ask(41)]).keys() == {ask(40)}
