import os
import signal
import sqlite3
import subprocess
import sys

import pytest

from probe.errors import LedgerError
from probe.ledger import Ledger, erase, verify
from probe.ledger.database import Database
from probe.ledger.schema import MIGRATIONS, create_answers
from probe.types import Scores


def tables(path):
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    found = connection.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    connection.close()
    return version, found


@pytest.fixture
def old(path, ask):
    """A ledger as the first version wrote it, with three answers."""
    first = Database(path, migrations=[create_answers])
    ledger = Ledger(path)
    ledger._database = first
    ledger.store([(ask(n), Scores({"a": float(n)}, raw=b"body")) for n in range(3)])
    first.close()
    assert tables(path)[0] == 1
    return path


def backup_of(path):
    return path.with_name("ledger.db.v1.bak")


def test_an_old_ledger_becomes_a_new_one_with_a_backup(old, ask, tmp_path):
    with Ledger(old) as ledger:
        assert ledger.lookup([ask(n) for n in range(3)]) == {
            ask(n): Scores({"a": float(n)}) for n in range(3)
        }
        ledger.remember("u", "d")
    with Ledger(tmp_path / "fresh.db") as ledger:
        ledger.lookup([])
    assert tables(old) == tables(tmp_path / "fresh.db")
    assert tables(old)[0] == len(MIGRATIONS) == 2
    assert tables(backup_of(old))[0] == 1
    assert backup_of(old).stat().st_mode & 0o777 == 0o600
    assert verify(backup_of(old)).answers == 3


def test_a_new_ledger_needs_no_backup(path, ask):
    with Ledger(path) as ledger:
        ledger.store([(ask(1), Scores({"a": 1.0}))])
    assert not [file for file in path.parent.iterdir() if file.name.endswith(".bak")]


def broken(connection):
    connection.exec_driver_sql("CREATE TABLE half (way INTEGER)")
    connection.exec_driver_sql("DELETE FROM answers")
    raise sqlite3.OperationalError("injected")


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


def test_a_process_killed_in_a_migration_leaves_the_old_version_whole(old, ask):
    before = tables(old)
    run = subprocess.run([sys.executable, "-c", KILLED, old], check=False)
    assert run.returncode == -signal.SIGKILL
    assert tables(old) == before
    with Ledger(old) as ledger:
        assert len(ledger.lookup([ask(n) for n in range(3)])) == 3
    assert tables(old)[0] == 2


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


def test_an_old_ledger_that_may_only_be_read_is_read(old, ask, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: not mode & os.W_OK)
    with Ledger(old) as ledger:
        assert len(ledger.lookup([ask(n) for n in range(3)])) == 3
    assert tables(old)[0] == 1


def test_erasing_takes_the_backup_with_it(old, ask):
    erase(old, image=ask().image)
    assert not backup_of(old).exists()
