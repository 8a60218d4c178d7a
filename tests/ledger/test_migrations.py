import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from probe.errors import LedgerError
from probe.ledger import Ledger, erase, recover, stats, verify
from probe.ledger.database import Database
from probe.ledger.schema import MIGRATIONS, create_answers
from probe.types import Scores


def tables(path):
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    found = connection.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    connection.close()
    return version, found


WRITTEN = (Path(__file__).parent / "data" / "schema2.sql").read_text("utf-8")
"""A ledger as the second version wrote it: three answers, one note, one server."""

BEFORE_SERVERS = "DROP TABLE servers; PRAGMA user_version = 1;"


@pytest.fixture(params=[1, 2])
def version(request):
    return request.param


@pytest.fixture
def old(path, version):
    path.parent.mkdir()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.executescript(WRITTEN + (BEFORE_SERVERS if version == 1 else ""))
    connection.close()
    assert tables(path)[0] == version
    return path


@pytest.fixture
def known(ask):
    return {
        ask(0): {"nsfw": 0.0, "sfw": 1.0},
        ask(1): {"nsfw": 1 / 3, "sfw": 1 - 1 / 3},
        ask(2): {"nsfw": 0.5},
    }


def backup_of(path):
    return next(path.parent.glob("ledger.db.v*.bak"))


def test_an_old_ledger_becomes_a_new_one_with_a_backup(old, ask, known, tmp_path, version):
    assert verify(old).answers == 3
    with Ledger(old) as ledger:
        assert ledger.lookup([ask(n) for n in range(9)]) == known
        assert ledger.raw(ask(1)) == b'{"nsfw": 1}'
        assert ledger.exchange([], intended=[ask(9), ask(8)])[1] == 1, "who sent it is gone"
        assert ledger.recall("http://one.example") == (None if version == 1 else "{}")
        ledger.remember("u", "d")
    with Ledger(tmp_path / "fresh.db") as ledger:
        ledger.lookup([])
    assert tables(old) == tables(tmp_path / "fresh.db")
    assert tables(old)[0] == len(MIGRATIONS) == 3
    assert verify(old).ok
    assert backup_of(old).name == f"ledger.db.v{version}.bak"
    assert tables(backup_of(old))[0] == version
    assert backup_of(old).stat().st_mode & 0o777 == 0o600
    assert verify(backup_of(old)).answers == 3


def test_a_new_ledger_needs_no_backup(path, ask):
    with Ledger(path) as ledger:
        ledger.exchange([(ask(1), Scores({"a": 1.0}))])
    assert not [file for file in path.parent.iterdir() if file.name.endswith(".bak")]


def broken(connection):
    connection.exec_driver_sql("CREATE TABLE half (way INTEGER)")
    connection.exec_driver_sql("DELETE FROM answers")
    raise sqlite3.OperationalError("injected")


@pytest.mark.parametrize("version", [1], indirect=True)
def test_a_migration_that_fails_leaves_the_old_version_whole(old, ask):
    before = tables(old)
    with pytest.raises(LedgerError), Database(old, migrations=[create_answers, broken]).reading():
        pass
    assert tables(old) == before
    with Ledger(old) as ledger:
        assert len(ledger.lookup([ask(n) for n in range(3)])) == 3


KILLED = """
import os, signal, sys
from pathlib import Path
from probe.ledger.database import Database
from probe.ledger.schema import create_answers

def killed(connection):
    connection.exec_driver_sql("CREATE TABLE half (way INTEGER)")
    connection.exec_driver_sql("DELETE FROM answers")
    os.kill(os.getpid(), signal.SIGKILL)

with Database(Path(sys.argv[1]), migrations=[create_answers, killed]).reading():
    pass
"""


@pytest.mark.parametrize("version", [1], indirect=True)
def test_a_process_killed_in_a_migration_leaves_the_old_version_whole(old, ask):
    before = tables(old)
    run = subprocess.run([sys.executable, "-c", KILLED, old], check=False)
    assert run.returncode == -signal.SIGKILL
    assert tables(old) == before
    with Ledger(old) as ledger:
        assert len(ledger.lookup([ask(n) for n in range(3)])) == 3
    assert tables(old)[0] == 3


@pytest.mark.parametrize("version", [1], indirect=True)
def test_two_that_open_an_old_ledger_migrate_it_once(old):
    count = []

    def counted(connection):
        count.append(1)
        connection.exec_driver_sql("CREATE TABLE new (x INTEGER)")

    databases = [Database(old, migrations=[create_answers, counted]) for _ in range(2)]
    for database in databases:
        with database.writing():
            pass
    assert count == [1]
    for database in databases:
        database.close()


def test_an_old_ledger_that_may_only_be_read_is_read(old, ask, known, monkeypatch, version):
    monkeypatch.setattr(os, "access", lambda path, mode: not mode & os.W_OK)
    with Ledger(old) as ledger:
        assert ledger.lookup([ask(n) for n in range(9)]) == known
        assert ledger.recall("http://one.example") == (None if version == 1 else "{}")
    found = stats(old)
    assert (found.answers, found.unread, found.outstanding) == (3, 0, 1)
    assert tables(old)[0] == version


@pytest.mark.usefixtures("old")
def test_answers_are_copied_out_of_an_old_ledger_as_it_is(path, ask, known, tmp_path, version):
    before = path.read_bytes()
    assert recover(path, tmp_path / "new.db").kept == 3
    with Ledger(tmp_path / "new.db") as ledger:
        assert ledger.lookup([ask(n) for n in range(9)]) == known
        assert ledger.recall("http://one.example") == (None if version == 1 else "{}")
    assert path.read_bytes() == before


def test_erasing_takes_the_backup_with_it(old, ask):
    erase(old, image=ask().image)
    assert not [file for file in old.parent.iterdir() if file.suffix == ".bak"]
