import json
import os
import struct
import subprocess
import sys
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.errors import LedgerError
from probe.ledger import Ledger, Question, default_path, stats
from probe.types import Scores


def test_an_answer_comes_back_from_a_reopened_file(path, ask):
    with Ledger(path) as ledger:
        ledger.exchange([(ask(1), Scores({"nsfw": 0.1, "sfw": 0.9}, raw=b"body"))])
    with Ledger(path) as ledger:
        found = ledger.lookup([ask(1), ask(2)])
        assert found == {ask(1): Scores({"nsfw": 0.1, "sfw": 0.9})}
        assert list(found[ask(1)]) == ["nsfw", "sfw"]
        assert found[ask(1)].raw is None
        assert ledger.raw(ask(1)) == b"body"
        assert ledger.raw(ask(2)) is None


@pytest.mark.parametrize(
    "other",
    [
        {"image": "cd" * 32},
        {"change": "box 0 0 8 9"},
        {"change": "identity 0"},
        {"change": "identity 1"},
        {"fill": "black"},
        {"send": (400, 512)},
        {"codec": "png"},
        {"render": 2},
        {"backend": "onnx:abd"},
    ],
)
def test_any_other_question_is_unanswered(path, ask, other):
    question = Question(**{**{f: getattr(ask(0), f) for f in Question.__slots__}, **other})
    with Ledger(path) as ledger:
        ledger.exchange([(ask(0), Scores({"a": 1.0}))])
        assert ledger.lookup([question]) == {}


def test_the_first_answer_stays_and_is_what_everybody_gets(path, ask):
    with Ledger(path) as one, Ledger(path) as two:
        mine = one.exchange([(ask(1), Scores({"a": 0.25}))])[0]
        theirs = two.exchange([(ask(1), Scores({"a": 0.75})), (ask(2), Scores({"a": 0.5}))])[0]
        assert mine == [Scores({"a": 0.25})]
        assert theirs == [Scores({"a": 0.25}), Scores({"a": 0.5})]
        assert one.lookup([ask(1)]) == two.lookup([ask(1)]) == {ask(1): Scores({"a": 0.25})}


def test_a_question_answered_twice_in_one_call_keeps_the_first(path, ask):
    with Ledger(path) as ledger:
        pairs = [(ask(1), Scores({"a": 1.0})), (ask(1), Scores({"a": 2.0}))]
        assert ledger.exchange(pairs)[0] == [Scores({"a": 1.0})] * 2
        assert ledger.lookup([ask(1)]) == {ask(1): Scores({"a": 1.0})}


bits = st.integers(0, 2**64 - 1).map(lambda n: struct.unpack("<d", n.to_bytes(8, "little"))[0])


@given(st.dictionaries(st.text(), bits, max_size=5), st.none() | st.binary())
def test_every_bit_of_scores_labels_and_bodies_survives(scores, body):
    with Ledger(None) as ledger:
        question = Question("i", "c", "f", (1, 2), "png", 1, "b")
        ledger.exchange([(question, Scores(scores, raw=body))])
        found = ledger.lookup([question])[question]
        assert list(found) == list(scores)
        packed = [struct.pack("<d", value) for value in found.values()]
        assert packed == [struct.pack("<d", value) for value in scores.values()]
        assert ledger.raw(question) == body


def test_more_questions_than_one_statement_takes(ask):
    ledger = Ledger(None)
    pairs = [(ask(n), Scores({"a": float(n)})) for n in range(1300)]
    ledger.exchange(pairs)
    assert ledger.lookup([question for question, _ in pairs]) == dict(pairs)


def test_answers_that_each_have_labels_of_their_own(path, ask):
    pairs = [(ask(n), Scores({f"label {n}": 0.5, "b": float(n)})) for n in range(1200)]
    with Ledger(path) as ledger:
        ledger.exchange(pairs)
        for start in range(0, 1200, 100):
            part = dict(pairs[max(start - 50, 0) : start + 100])
            assert ledger.lookup(list(part)) == part
        assert len(ledger._labels) < 1200, "memory grows with the number of answers"
        assert ledger.lookup([question for question, _ in pairs]) == dict(pairs)


def test_a_body_shared_by_a_batch_is_stored_once(path, ask):
    body = os.urandom(20_000)
    with Ledger(path) as ledger:
        ledger.exchange([(ask(n), Scores({"a": 1.0}, raw=body)) for n in range(32)])
        assert ledger.raw(ask(31)) == body
    assert path.stat().st_size < 2 * len(body) + 60_000


def test_sent_and_never_answered_is_counted_until_it_is_settled(path, ask):
    questions = [ask(n) for n in range(5)]
    with Ledger(path) as ledger:
        assert ledger.exchange([], intended=questions, host="a.example") == ([], 0)
        assert ledger.exchange([], intended=questions[:2], host="a.example") == ([], 2)
    with Ledger(path) as ledger:
        assert stats(path).outstanding == 5
        answer = (questions[0], Scores({"a": 1.0}))
        told, unknown = ledger.exchange([answer], intended=[questions[4], ask(9)], host="a.example")
        assert (told, unknown) == ([answer[1]], 1)
        assert stats(path).outstanding == 5
        ledger.exchange([], settled=[*questions[:2], ask(9), ask(1, backend="other")])
        assert stats(path).outstanding == 3
        assert ledger.exchange([], intended=[ask(0, backend="other"), ask(9)]) == ([], 0)
        assert ledger.lookup(questions).keys() == {questions[0]}


def test_what_is_settled_and_sent_again_at_once_is_noted_and_not_unknown(path, ask):
    with Ledger(path) as ledger:
        ledger.exchange([], intended=[ask(0)], host="h")
        assert ledger.exchange([], settled=[ask(0)], intended=[ask(0)], host="h") == ([], 0)
    assert stats(path).outstanding == 1


def test_nothing_to_put_on_record_touches_nothing(path):
    assert Ledger(path).exchange([]) == ([], 0)
    assert not path.parent.exists()


def test_a_server_is_remembered_as_it_was_last(path):
    with Ledger(path) as ledger:
        assert ledger.recall("http://a") is None
        ledger.remember("http://a", "one")
        ledger.remember("http://a", "two")
    with Ledger(path) as ledger:
        assert ledger.recall("http://a") == "two"
        assert ledger.recall("http://b") is None


def test_nothing_is_touched_before_the_first_use(path):
    Ledger(path).close()
    with Ledger(path):
        pass
    assert not path.parent.exists()


def test_only_the_owner_may_read_the_ledger(path, ask):
    before = os.umask(0)
    try:
        with Ledger(path) as ledger:
            ledger.exchange([(ask(0), Scores({"a": 1.0}))])
            modes = {file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()}
    finally:
        os.umask(before)
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert modes.keys() >= {"ledger.db", "ledger.db-wal", "ledger.db-lock"}
    assert set(modes.values()) == {0o600}


def test_a_ledger_in_memory_writes_nothing(tmp_path, monkeypatch, ask):
    monkeypatch.chdir(tmp_path)
    with Ledger(None) as ledger:
        ledger.check_writable()
        ledger.exchange([(ask(0), Scores({"a": 1.0}))])
        assert ledger.lookup([ask(0)])
        assert "memory" in ledger.name
    assert list(tmp_path.iterdir()) == []


def test_commits_are_durable(path, ask):
    with Ledger(path) as ledger:
        ledger.lookup([ask(0)])
        with ledger._database.reading() as connection:
            pragmas = [
                connection.exec_driver_sql(f"PRAGMA {name}").scalar()
                for name in ("journal_mode", "synchronous", "mmap_size", "busy_timeout")
            ]
    assert pragmas == ["wal", 2, 0, 30_000]


def test_one_ledger_in_many_threads(path, ask):
    ledger, errors = Ledger(path), []

    def work(k: int) -> None:
        try:
            for n in range(10):
                ledger.exchange([(ask(10 * k + n), Scores({"a": float(k)}))])
                assert ledger.lookup([ask(10 * k + n)])
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(ledger.lookup([ask(n) for n in range(60)])) == 60
    ledger.close()


def test_nobody_reads_what_another_thread_has_not_committed(path, ask):
    from probe.ledger import rows
    from probe.ledger.record import Record

    ledger, found = Ledger(path), []
    record = Record(ask(1), Scores({"a": 1.0}), None, 0)
    reader = threading.Thread(target=lambda: found.append(ledger.lookup([ask(1)])))

    def write_half() -> None:
        with ledger._database.writing() as connection:
            rows.put(connection, [record], {})
            reader.start()
            reader.join(0.2)
            raise KeyboardInterrupt

    ledger.lookup([])
    with pytest.raises(KeyboardInterrupt):
        write_half()
    reader.join()
    assert found == [{}]
    ledger.close()


def test_a_ledger_may_be_collected_while_another_writes(path, ask, monkeypatch):
    monkeypatch.setattr("probe.ledger.file.BUSY_SECONDS", 0.0)
    one, two = Ledger(path), Ledger(path)
    one.lookup([]), two.lookup([])
    collected = two._database._connection
    with one._database.writing():
        two.close()
    assert collected.closed
    one.exchange([(ask(0), Scores({"a": 1.0}))])
    one.close()


def test_order_is_by_sequence_whatever_the_clock_says(path, ask, monkeypatch):
    from io import StringIO

    from probe.ledger import export

    clock = iter([2_000, 1_000])
    monkeypatch.setattr("time.time_ns", lambda: next(clock) * 10**6)
    with Ledger(path) as ledger:
        ledger.exchange([(ask(0), Scores({"a": 1.0}))])
        ledger.exchange([(ask(1), Scores({"a": 1.0}))])
    found = stats(path)
    assert (found.first.timestamp(), found.last.timestamp()) == (2.0, 1.0)
    lines = StringIO()
    export(path, lines)
    assert [json.loads(line)["at"] for line in lines.getvalue().splitlines()] == [2_000, 1_000]


def test_the_place_of_the_default_ledger(monkeypatch, tmp_path):
    monkeypatch.setenv("PROBE_LEDGER", str(tmp_path / "mine.db"))
    assert default_path() == tmp_path / "mine.db"
    monkeypatch.setenv("PROBE_LEDGER", "")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert default_path().name == "ledger.db"
    if sys.platform == "linux":
        assert default_path() == tmp_path / "probe" / "ledger.db"


def test_odd_names_of_files(tmp_path, ask):
    for name in ("a b?c#d%41.db", "ü\n.db", os.fsdecode(b"\xff.db")):
        with Ledger(tmp_path / name) as ledger:
            ledger.exchange([(ask(0), Scores({"a": 1.0}))])
        assert (tmp_path / name).stat().st_size > 0
        with Ledger(tmp_path / name) as ledger:
            assert ledger.lookup([ask(0)])


def test_a_link_and_its_target_share_one_lock(tmp_path, ask):
    (tmp_path / "link.db").symlink_to(tmp_path / "real.db")
    with Ledger(tmp_path / "link.db") as ledger:
        ledger.exchange([(ask(0), Scores({"a": 1.0}))])
    assert (tmp_path / "real.db-lock").exists()
    assert not (tmp_path / "link.db-lock").exists()


def test_text_that_is_no_text_is_an_error_of_ours(path, ask):
    with Ledger(path) as ledger, pytest.raises(LedgerError):
        ledger.exchange([(ask(0, backend="\udcff"), Scores({"a": 1.0}))])


def test_importing_the_package_does_not_import_the_database_library():
    code = "import probe, sys; sys.exit('sqlalchemy' in sys.modules or 'filelock' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
