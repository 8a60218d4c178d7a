import csv
import io
import json
import os
import sqlite3
from datetime import timedelta

import pytest

from probe.errors import LedgerError, UsageError
from probe.ledger import Exported, Ledger, erase, export, prune, recover, stats, verify
from probe.ledger.record import from_line
from probe.types import Scores

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


def test_recover_reads_around_torn_pages(path, ask):
    answers = [(ask(n), Scores({"a": float(n)}, raw=os.urandom(3000))) for n in range(300)]
    with Ledger(path) as ledger:
        for n in range(0, 300, 10):
            ledger.exchange(answers[n : n + 10])
    whole = path.read_bytes()
    pages = len(whole) // 4096
    kept = []
    for page in range(10, pages, pages // 12):
        torn = whole[: page * 4096] + b"\xa5" * 4096 + whole[(page + 1) * 4096 :]
        path.write_bytes(torn)
        new = path.with_name(f"new{page}.db")
        done = recover(path, new)
        kept.append(done.kept)
        assert path.read_bytes() == torn
        assert verify(new).ok
        with Ledger(new) as ledger:
            known = ledger.lookup([q for q, _ in answers])
        assert len(known) == done.kept
        assert known.items() <= dict(answers).items()
    assert sum(count == 300 for count in kept) > 0.7 * len(kept), "a lost body lost its answer"


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
