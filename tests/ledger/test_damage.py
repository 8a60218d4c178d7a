"""What is wrong with the file is one line: which file, what, and the remedy; nothing is lost."""

import errno
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

import pytest
from filelock import FileLock
from sqlalchemy import event

from probe.errors import LedgerError
from probe.ledger import Ledger, Question, default_path, file, stats, verify
from probe.ledger import database as database_module
from probe.ledger.database import Database
from probe.types import Failure, Scores

ONE = Scores({"a": 1.0})


def refused(ledger, question, *words):
    """Both reading and writing fail, by one line that holds these words."""
    for act in (
        lambda: ledger.lookup([question]),
        lambda: ledger.exchange([(question, ONE)]),
        ledger.check_writable,
    ):
        with pytest.raises(LedgerError) as caught:
            act()
        assert caught.value.exit_code == 7
        assert "\n" not in str(caught.value)
        for word in (*words, str(ledger.path)):
            assert word in str(caught.value)
    ledger.close()


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"", ("empty", "--ledger")), (b"this is a text, not a database " * 99, ("not a ledger",))],
)
def test_a_file_that_is_no_ledger_is_left_as_it_is(tmp_path, ask, content, words):
    path = tmp_path / "ledger.db"
    path.write_bytes(content)
    refused(Ledger(path), ask(), *words)
    assert path.read_bytes() == content


def test_another_programs_database_is_left_as_it_is(tmp_path, ask):
    path = tmp_path / "history.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE answers (seq, subject)")
    connection.close()
    before = path.read_bytes()
    refused(Ledger(path), ask(), "another program")
    assert path.read_bytes() == before
    assert not list(tmp_path.glob("history.db-*"))


def test_a_folder_a_pipe_and_a_device_are_no_ledgers(tmp_path, ask):
    refused(Ledger(tmp_path), ask(), "not a regular file")
    os.mkfifo(tmp_path / "pipe")
    refused(Ledger(tmp_path / "pipe"), ask(), "not a regular file")
    refused(Ledger("/dev/null"), ask(), "not a regular file")


def test_a_place_where_no_file_can_be(tmp_path, ask, monkeypatch):
    (tmp_path / "home").write_text("a file where a folder should be")
    monkeypatch.delenv("PROBE_LEDGER", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    refused(Ledger(default_path()), ask(), "--ledger", "PROBE_LEDGER")


@pytest.fixture
def read_only(filled, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: not mode & os.W_OK)


@pytest.mark.usefixtures("read_only")
def test_a_read_only_ledger_answers_and_refuses_before_the_first_call(path, ask, filled):
    with Ledger(path) as ledger:
        assert len(ledger.lookup([q for q, _ in filled])) == 20
        assert ledger.raw(filled[0][0]) == filled[0][1].raw
        for act in (ledger.check_writable, lambda: ledger.exchange([], intended=[ask(99)])):
            with pytest.raises(LedgerError, match="read-only: use another file with --ledger"):
                act()
    assert stats(path).answers == 20


NOBODY = """
import os, sys
from probe.errors import LedgerError
from probe.ledger import Ledger, Question
from probe.types import Failure, Scores
question = Question("i", "c", "f", (1, 2), "png", 1, "b")
Ledger(None).lookup([question])
if os.getuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
with Ledger(sys.argv[1]) as ledger:
    print(len(ledger.lookup([question])))
    for act in (ledger.check_writable, lambda: ledger.exchange([(question, Scores({"a": 2.0}))])):
        try:
            act()
        except LedgerError as error:
            print(error)
"""


@pytest.mark.parametrize(("folder_mode", "file_mode"), [(0o555, 0o444), (0o777, 0o444)])
def test_a_ledger_that_this_user_may_only_read(folder_mode, file_mode):
    """By a real user without rights, in a folder outside pytest's own closed ones."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / "ledger.db"
        with Ledger(path) as ledger:
            question = Question("i", "c", "f", (1, 2), "png", 1, "b")
            ledger.exchange([(question, ONE)])
        before = path.read_bytes()
        path.chmod(file_mode)
        folder.chmod(folder_mode)
        run = subprocess.run([sys.executable, "-c", NOBODY, path], capture_output=True, text=True)
        folder.chmod(0o700)
        assert run.returncode == 0, run.stderr
        known, *errors = run.stdout.splitlines()
        assert known == "1"
        assert len(errors) == 2
        assert all("is read-only: use another file with --ledger" in error for error in errors)
        assert path.read_bytes() == before


def test_a_newer_schema_is_read_and_never_written(path, ask, filled):
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    before = path.read_bytes()
    with Ledger(path) as ledger:
        assert len(ledger.lookup([q for q, _ in filled])) == 20
        for act in (ledger.check_writable, lambda: ledger.exchange([(ask(99), ONE)])):
            with pytest.raises(LedgerError, match=r"schema 99, this probe writes 3: `pip install"):
                act()
    assert path.read_bytes() == before


TAMPERING = [
    "UPDATE answers SET scores = x'000000000000f03f000000000000f03f' WHERE seq = 5",
    "UPDATE answers SET scores = x'00' WHERE seq = 5",
    "UPDATE answers SET scores = 'text' WHERE seq = 5",
    "UPDATE answers SET scores = (SELECT scores FROM answers WHERE seq = 6) WHERE seq = 5",
    "UPDATE answers SET body = (SELECT body FROM answers WHERE seq = 6) WHERE seq = 5",
    "UPDATE answers SET host = 'other' WHERE seq = 5",
    "UPDATE answers SET at = 'yesterday' WHERE seq = 5",
    "UPDATE answers SET labels = 7 WHERE seq = 5",
    "UPDATE answers SET checksum = NULL WHERE seq = 5",
    "UPDATE answers SET checksum = x'00' WHERE seq = 5",
]


def tamper(path: Path, statement: str) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA ignore_check_constraints = ON")
    connection.execute("PRAGMA writable_schema = ON")
    connection.execute(
        "UPDATE sqlite_master SET sql = replace(sql, 'checksum BLOB NOT NULL', 'checksum BLOB')"
    )
    connection.close()
    connection = sqlite3.connect(path, isolation_level=None)
    assert connection.execute(statement).rowcount >= 1
    connection.close()


@pytest.mark.parametrize("statement", TAMPERING)
def test_a_tampered_row_is_unanswered_counted_and_replaced(path, filled, statement):
    tamper(path, statement)
    victim, scores = filled[4]
    with Ledger(path) as ledger:
        found = ledger.lookup([q for q, _ in filled])
        assert found == {q: s for q, s in filled if q != victim}
        ledger.lookup([victim])
        assert ledger.damaged == 1
        assert ledger.exchange([(victim, scores)])[0] == [scores]
    with Ledger(path) as ledger:
        assert ledger.lookup([victim]) == {victim: scores}
        assert ledger.damaged == 0
    assert verify(path).ok


OTHER_LABELS = zlib.compress(b'["sfw", "nsfw"]').hex()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE blobs SET data = x'00'",
        "UPDATE blobs SET data = 'text'",
        f"UPDATE blobs SET data = x'{OTHER_LABELS}'",
        "DELETE FROM blobs",
    ],
)
def test_damaged_labels_and_bodies_are_never_used_and_heal_when_asked_again(
    path, filled, statement
):
    tamper(path, statement)
    with Ledger(path) as ledger:
        assert ledger.lookup([q for q, _ in filled]) == {}
        assert ledger.damaged == 20
        assert ledger.raw(filled[0][0]) is None
        ledger.exchange(filled[:10])
        assert ledger.lookup([q for q, _ in filled[:10]]) == dict(filled[:10])
        assert ledger.raw(filled[0][0]) == filled[0][1].raw


def test_bytes_torn_out_of_the_file_are_noticed_when_it_is_opened(path, ask):
    with Ledger(path) as ledger:
        ledger.exchange([(ask(n), Scores({"a": 1.0}, raw=os.urandom(3000))) for n in range(200)])
    whole = path.read_bytes()
    for start in range(4096, len(whole) - 4096, 40 * 4096):
        path.write_bytes(whole[:start] + b"\xa5" * 4096 + whole[start + 4096 :])
        with Ledger(path) as ledger, pytest.raises(LedgerError, match="probe ledger recover"):
            ledger.lookup([ask(n) for n in range(200)])
        assert not verify(path).ok
    path.write_bytes(whole[: len(whole) // 2])
    refused(Ledger(path), ask(), "probe ledger recover")


def test_a_ledger_moved_away_in_use_stops_the_run(path, ask, filled):
    ledger = Ledger(path)
    ledger.exchange([(ask(50), ONE)])
    path.rename(path.with_name("moved.db"))
    with pytest.raises(LedgerError, match="removed or replaced while in use"):
        ledger.exchange([(ask(51), ONE)])
    ledger.close()
    refused(Ledger(path), ask(), "its log ledger.db-wal with the last answers is there")
    path.with_name("moved.db").rename(path)
    with Ledger(path) as ledger:
        assert ledger.lookup([ask(50), ask(51)]) == {ask(50): ONE, ask(51): ONE}


def test_a_ledger_replaced_in_use_stops_the_run_and_leaves_the_new_one_alone(path, ask, filled):
    ledger = Ledger(path)
    ledger.exchange([(ask(50), ONE)])
    path.parent.rename(path.parent.with_name("moved"))
    newer = Ledger(path)
    newer.exchange([(ask(60), ONE)])
    with pytest.raises(LedgerError, match="removed or replaced while in use"):
        ledger.exchange([(ask(51), ONE)])
    wal = path.with_name("ledger.db-wal")
    size = wal.stat().st_size
    ledger.close()
    assert wal.stat().st_size == size > 0, "closing the old one took the new one's log away"
    newer.close()
    with Ledger(path) as ledger:
        asked = [ask(50), ask(51), ask(60)]
        assert ledger.lookup(asked) == {ask(51): ONE, ask(60): ONE}, "the one in hand was lost"


def test_a_ledger_replaced_in_the_middle_of_a_write_is_not_written(path, ask, filled):
    def act():
        with ledger._database.writing() as connection:
            connection.exec_driver_sql("DELETE FROM answers")
            path.rename(path.with_name("moved.db"))
            shutil.copy(path.with_name("moved.db"), path)

    ledger = Ledger(path)
    with pytest.raises(LedgerError, match="removed or replaced while in use"):
        act()
    path.with_name("moved.db").replace(path)
    assert len(ledger.lookup([q for q, _ in filled])) == 20
    ledger.close()


def test_a_folder_removed_in_use_stops_the_run_and_saves_what_is_in_hand(
    path, ask, filled, tmp_path, monkeypatch
):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    ledger = Ledger(path)
    ledger.lookup([])
    shutil.rmtree(path.parent)
    with pytest.raises(LedgerError, match="removed or replaced while in use"):
        ledger.exchange([(ask(51), ONE)])
    ledger.close()
    with Ledger(path) as ledger:
        assert ledger.lookup([ask(51)]) == {ask(51): ONE}


def test_a_write_keeps_others_from_writing_from_its_start(path, filled):
    other = sqlite3.connect(path, isolation_level=None, timeout=0)
    with (
        Ledger(path) as ledger,
        ledger._database.writing(),
        pytest.raises(sqlite3.OperationalError, match="locked"),
    ):
        other.execute("BEGIN IMMEDIATE")
    other.close()


def failing(ledger: Ledger, statement: str, name: str, times: int = 10**9) -> dict[str, int]:
    """Let SQLite fail at statements that start so."""
    count = {"left": times, "met": 0}
    ledger.lookup([])
    with ledger._database.reading() as connection:
        engine = connection.engine

    @event.listens_for(engine, "before_cursor_execute")
    def fail(connection, cursor, text, *rest):
        if text.startswith(statement) and count["left"]:
            count["left"] -= 1
            count["met"] += 1
            error = sqlite3.OperationalError("injected")
            error.sqlite_errorname = name
            raise error

    return count


def test_a_disk_that_fails_to_sync_is_not_asked_twice(path, ask, filled):
    ledger = Ledger(path)
    count = failing(ledger, "COMMIT", "SQLITE_IOERR_FSYNC")
    for _ in range(2):
        with pytest.raises(LedgerError, match="the disk failed"):
            ledger.exchange([(ask(70), ONE)])
    assert count["met"] == 1
    ledger.close()
    with Ledger(path) as ledger:
        assert ledger.lookup([ask(70)]) == {ask(70): ONE}


def full(ledger: Ledger) -> None:
    with ledger._database.reading() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")


BIG = Scores({"a": 2.0}, raw=os.urandom(50_000))


def test_a_full_disk_keeps_what_was_there_and_what_is_in_hand(path, ask, filled):
    waits = []
    ledger = Ledger(path, patience=3, pause=waits.append)
    full(ledger)
    with pytest.raises(LedgerError, match=r"disk is full.*1 answers just received wait in") as e:
        ledger.exchange([(ask(80), BIG)], host="one.example")
    assert waits == [1.0, 1.0, 1.0]
    waiting = [Path(word) for word in str(e.value).split() if word.endswith(".jsonl")]
    assert waiting[0].stat().st_mode & 0o777 == 0o600
    assert len(ledger.lookup([q for q, _ in filled])) == 20
    ledger.close()
    with Ledger(path) as ledger:
        assert ledger.lookup([ask(80)]) == {ask(80): Scores({"a": 2.0})}
        assert ledger.raw(ask(80)) == BIG.raw
    assert not waiting[0].exists()
    assert stats(path).hosts["one.example"] == 11


def test_space_that_comes_back_in_time_is_used(path, ask, filled):
    def pause(seconds: float) -> None:
        with ledger._database.reading() as connection:
            connection.exec_driver_sql("PRAGMA max_page_count = 100000")

    ledger = Ledger(path, pause=pause)
    full(ledger)
    assert ledger.exchange([(ask(80), BIG)])[0] == [BIG]
    ledger.close()
    assert verify(path).ok


def test_waiting_for_space_ends_when_the_pause_says_so(path, ask, filled):
    waits = []
    ledger = Ledger(path, pause=lambda seconds: waits.append(seconds) or True)
    full(ledger)
    with pytest.raises(LedgerError, match="disk is full"):
        ledger.exchange([(ask(80), BIG)])
    assert len(waits) == 1
    ledger.close()


def test_answers_that_even_the_side_file_cannot_take_are_said_to_be_lost(
    path, ask, filled, monkeypatch
):
    def no_space(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    ledger = Ledger(path, patience=0)
    full(ledger)
    monkeypatch.setattr("tempfile.mkstemp", no_space)
    with pytest.raises(LedgerError, match="1 answers just received are lost"):
        ledger.exchange([(ask(80), BIG)])
    ledger.close()


def test_without_any_temp_folder_the_ledger_works_and_answers_wait_beside_it(
    path, ask, monkeypatch
):
    def no_place():
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found")

    monkeypatch.setattr(tempfile, "gettempdir", no_place)
    with Ledger(path, patience=0) as ledger:
        ledger.exchange([(ask(1), ONE)])
        full(ledger)
        with pytest.raises(LedgerError, match="1 answers just received wait in"):
            ledger.exchange([(ask(80), BIG)])
    with Ledger(path) as ledger:
        assert len(ledger.lookup([ask(1), ask(80)])) == 2


def test_a_ledger_whose_lock_cannot_be_had_is_closed_all_the_same(path, ask, monkeypatch):
    def refused(path):
        raise OSError(errno.EIO, "Input/output error")

    one, two = Ledger(path), Ledger(path)
    one.lookup([])
    with one._database.reading() as connection:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    with monkeypatch.context() as broken:
        broken.setattr(file, "lock_of", refused)
        one.close()
    monkeypatch.setattr(file, "BUSY_SECONDS", 0.0)
    assert two.exchange([(ask(1), ONE)]) == ([ONE], 0)
    two.close()


LIMITED = """
import os, resource, signal, sys
from probe.errors import LedgerError
from probe.ledger import Ledger, Question
from probe.types import Failure, Scores
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, resource.RLIM_INFINITY))
with Ledger(sys.argv[1], patience=0) as ledger:
    for n in range(1000):
        question = Question("i", str(n), "f", (1, 2), "png", 1, "b")
        try:
            ledger.exchange([(question, Scores({"a": float(n)}, raw=os.urandom(9000)))])
        except LedgerError as error:
            print(n, error)
            break
"""


def test_a_file_that_may_not_grow_any_more(path, ask):
    run = subprocess.run([sys.executable, "-c", LIMITED, path], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    count = int(run.stdout.split()[0])
    assert "wait in" in run.stdout
    asked = [Question("i", str(n), "f", (1, 2), "png", 1, "b") for n in range(count + 1)]
    with Ledger(path) as ledger:
        assert len(ledger.lookup(asked)) == count + 1
    assert verify(path).ok


def test_less_free_space_than_a_run_needs_is_said_before_it(path, filled, monkeypatch):
    usage = shutil.disk_usage(path.parent)._replace(free=1 << 20)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
    with Ledger(path) as ledger, pytest.raises(LedgerError, match="1 MB are free"):
        ledger.check_writable()


def test_a_file_system_without_shared_memory(path, ask, filled, monkeypatch):
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
    connection.close()
    connect = sqlite3.connect

    def without(name, **options):
        return connect(f"{name}&vfs=unix-dotfile", **options)

    monkeypatch.setattr(sqlite3, "connect", without)
    refused(Ledger(path), ask(), "shared memory", "--ledger")


def test_a_ledger_held_by_another_process_for_too_long(path, ask, filled, monkeypatch):
    monkeypatch.setattr(file, "BUSY_SECONDS", 0.0)
    with Ledger(path) as ledger, FileLock(f"{path}-lock", is_singleton=False):
        with pytest.raises(LedgerError, match="in use by another process"):
            ledger.exchange([(ask(90), ONE)])
        assert len(ledger.lookup([q for q, _ in filled])) == 20
    with Ledger(path) as ledger:
        assert ledger.lookup([ask(90)]) == {ask(90): ONE}


def test_a_ledger_is_closed_under_the_lock_of_those_that_write(path, filled, monkeypatch):
    class Watched:
        def __enter__(self):
            closed.append(connection.closed)

        def __exit__(self, *error):
            closed.append(connection.closed)

    closed: list[bool] = []
    ledger = Ledger(path)
    with ledger._database.reading() as connection:
        pass
    monkeypatch.setattr(file, "lock_of", lambda path: Watched())
    ledger.close()
    assert closed == [False, True]


def test_a_database_locked_from_outside(path, ask, filled, monkeypatch):
    monkeypatch.setattr(file, "BUSY_SECONDS", 0.0)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with Ledger(path) as ledger, pytest.raises(LedgerError, match="in use by another process"):
        ledger.exchange([(ask(90), ONE)])
    other.execute("ROLLBACK")
    other.close()


def exchange(ledger: Ledger, ask) -> None:
    """Two answers, a body that cannot be read, what is settled, and what goes out next."""
    answers = [(ask(1), ONE), (ask(2), BIG), (ask(3), Failure("invalid", "", raw=b"[]"))]
    ledger.exchange(answers, settled=[ask(4)], intended=[ask(5)], host="h", reading="r")


def at_each_statement(ledger: Ledger, act) -> list[str]:
    """Call `act` with each statement about to be executed; returns the list of those."""
    seen: list[str] = []
    ledger.lookup([])
    with ledger._database.reading() as connection:
        engine = connection.engine

    @event.listens_for(engine, "before_cursor_execute")
    def see(connection, cursor, text, *rest):
        seen.append(text)
        act(len(seen))

    return seen


@pytest.fixture
def steps(tmp_path, ask):
    """How many statements an exchange takes, BEGIN and COMMIT among them."""
    with Ledger(tmp_path / "whole.db") as ledger:
        ledger.exchange([], intended=[ask(4)], host="h")
        seen = at_each_statement(ledger, lambda n: None)
        exchange(ledger, ask)
    assert [seen[0], seen[-1]] == ["BEGIN IMMEDIATE", "COMMIT"]
    assert len(seen) > 10
    return len(seen)


def noted(path) -> list[str]:
    with Database(path).reading() as connection:
        return list(connection.exec_driver_sql("SELECT change FROM intents").scalars())


@pytest.mark.parametrize("name", ["SQLITE_IOERR_WRITE", "SQLITE_FULL", "SQLITE_BUSY", ""])
def test_whichever_statement_fails_nothing_is_half_stored(tmp_path, ask, name, steps):
    for n in range(1, steps + 1):

        def fail(met, n=n):
            if met == n:
                error = sqlite3.OperationalError("injected")
                error.sqlite_errorname = name
                raise error

        path = tmp_path / f"{n}.db"
        ledger = Ledger(path, patience=0)
        ledger.exchange([], intended=[ask(4)], host="h")
        at_each_statement(ledger, fail)
        with pytest.raises(LedgerError, match="3 answers just received wait in"):
            exchange(ledger, ask)
        assert (stats(path).answers, stats(path).unread, noted(path)) == (0, 0, [ask(4).change])
        ledger.close()
        with Ledger(path) as again:
            assert len(again.lookup([ask(1), ask(2)])) == 2, "the answers in hand were lost"
        assert stats(path).unread == 1, "the body in hand was lost"
        assert verify(path).ok


@pytest.mark.parametrize(
    "error",
    [
        sqlite3.DatabaseError("x"),
        sqlite3.ProgrammingError("x"),
        OSError(5, "Input/output error"),
        PermissionError(13, "Permission denied"),
        TimeoutError(),
        UnicodeEncodeError("utf-8", "x", 0, 1, "surrogates"),
    ],
)
def test_no_foreign_error_leaks(path, ask, filled, error, monkeypatch):
    from probe.ledger import intents, rows

    def fail(*args, **options):
        raise error

    ledger = Ledger(path)
    for name in ("find", "put"):
        monkeypatch.setattr(rows, name, fail)
    for name in ("intend", "forget", "unknown"):
        monkeypatch.setattr(intents, name, fail)
    monkeypatch.setattr(database_module.Database, "_check_same_file", fail)
    question = ask(1)
    for act in (
        lambda: ledger.lookup([question]),
        lambda: ledger.exchange([(question, ONE)]),
        lambda: ledger.exchange([], intended=[question]),
        lambda: ledger.exchange([], settled=[question]),
        lambda: ledger.remember("u", "d"),
        ledger.check_writable,
    ):
        with pytest.raises(LedgerError) as caught:
            act()
        assert str(path) in str(caught.value)
        assert caught.value.__cause__ is not None
    ledger.close()
