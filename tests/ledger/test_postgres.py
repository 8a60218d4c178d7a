"""The same ledger on a PostgreSQL server of the tests' own, which is started once."""

import io
import json
import os
import signal
import threading
import traceback
from itertools import count

import pytest
from click.testing import CliRunner

from probe import Prober
from probe.cli import main
from probe.cli.ledger import ledger as commands
from probe.errors import LedgerError, MissingExtra, UsageError
from probe.ledger import Ledger, erase, export, place_of, recover, stats, verify
from probe.ledger.postgres import ServerDatabase
from probe.ledger.server_schema import MIGRATIONS
from probe.limits import Limits
from probe.mock import serve
from probe.testing.planted import Planted, planted_picture
from probe.types import Scores
from tests.ledger import test_readings, test_store, test_upkeep
from tests.ledger.postgres import Cluster, cluster
from tests.ledger.test_crash import finish, go, question, writer

pytestmark = pytest.mark.slow

CONTRACT = {
    test_store: """
        test_an_answer_comes_back_from_a_reopened_file
        test_any_other_question_is_unanswered
        test_the_first_answer_stays_and_is_what_everybody_gets
        test_a_question_answered_twice_in_one_call_keeps_the_first
        test_answers_that_each_have_labels_of_their_own
        test_sent_and_never_answered_is_counted_until_it_is_settled
        test_what_is_settled_and_sent_again_at_once_is_noted_and_not_unknown
        test_a_server_is_remembered_as_it_was_last
        test_one_ledger_in_many_threads
        test_nobody_reads_what_another_thread_has_not_committed
        test_order_is_by_sequence_whatever_the_clock_says
        test_text_that_is_no_text_is_an_error_of_ours""",
    test_readings: """
        two
        test_the_same_reading_and_none_do_no_work
        test_another_reading_reads_each_body_once_and_its_answers_stay
        test_what_a_reading_cannot_read_has_no_answer_and_keeps_its_body
        test_only_what_is_asked_for_is_read
        test_a_body_that_becomes_an_answer_settles_the_note
        test_several_bodies_of_one_question_are_tried_in_order
        test_an_answer_by_another_reading_gives_way_and_its_body_is_kept
        test_a_failure_changes_no_answer
        test_an_answer_without_a_body_is_asked_anew
        test_failures_without_a_body_leave_nothing""",
    test_upkeep: """
        test_stats_of_an_empty_ledger
        test_jsonl_holds_all_that_is_needed_to_make_the_ledger_again
        test_csv_has_a_row_a_label_and_no_formulas
        test_a_body_that_another_answer_shares_stays
        test_erase_by_host_takes_answers_intents_and_descriptions
        test_prune_by_age_and_backend
        test_erase_must_be_told_exactly_what""",
}
"""What holds for a file and holds here, too: here `path` is a database."""
for module, names in CONTRACT.items():
    globals().update({name: getattr(module, name) for name in names.split()})


@pytest.fixture(scope="session")
def server():
    with cluster() as started:
        yield started


_numbers = count()


@pytest.fixture
def url(server, tmp_path, monkeypatch):
    """The address of a new database; what is spilled comes to a folder of the test's."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    name = f"d{next(_numbers)}"
    server.sql(f"CREATE DATABASE {name}")
    return server.url(name)


@pytest.fixture
def path(url):
    return place_of(url)


@pytest.fixture
def ledger(path):
    with Ledger(path) as ledger:
        yield ledger


def name_of(url: str) -> str:
    return url.rpartition("/")[2]


def answer(n: int, value: float = 1.0) -> tuple:
    return question(n), Scores({"a": value}, raw=b"body")


def spilled(tmp_path):
    return list((tmp_path / "home" / "probe").glob(".postgres-*.jsonl"))


def test_two_processes_with_the_same_and_with_other_questions_both_finish(url):
    """The tables are not there yet: all four make them at once."""
    same = [writer(url, name, 0, 100) for name in ("a", "b")]
    other = [writer(url, name, 1000 * k, 100) for k, name in ((1, "c"), (2, "d"))]
    for process in (*same, *other):
        go(process)
    told = [finish(process) for process in (*same, *other)]
    assert [process.returncode for process in (*same, *other)] == [0] * 4
    assert [len(lines) for lines in told] == [100] * 4
    assert told[0] == told[1], "they did not agree on the answers"
    assert stats(place_of(url)).answers == 300
    assert verify(place_of(url)).ok


def test_clients_that_start_at_once_make_the_tables_once(server, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    for _ in range(5):
        name = f"d{next(_numbers)}"
        server.sql(f"CREATE DATABASE {name}")
        errors, gate = [], threading.Barrier(6)

        def start(k, name=name, errors=errors, gate=gate):
            gate.wait()
            try:
                with Ledger(server.url(name)) as ledger:
                    ledger.exchange([answer(k)])
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=start, args=(k,)) for k in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert errors == []
        assert server.sql("SELECT count(*) FROM answers", name) == [(6,)]
        assert server.sql("SELECT version FROM probe_ledger", name) == [(1,)]


def test_clients_with_the_same_questions_are_all_told_the_first_answer(url):
    told, gate = {}, threading.Barrier(6)

    def ask(k: int) -> None:
        with Ledger(url) as ledger:
            ledger.lookup([])
            gate.wait()
            found = [ledger.exchange([answer(n, k + 0.5)])[0][0]["a"] for n in range(30)]
        told[k] = found

    threads = [threading.Thread(target=ask, args=(k,)) for k in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(told) == 6
    assert len({tuple(found) for found in told.values()}) == 1
    assert stats(place_of(url)).answers == 30


def test_a_client_killed_at_any_moment_loses_no_answer_it_had_stored(url):
    stored, start = set(), 0
    for lines in (1, 7, 20, 33, 12, 3):
        process = writer(url, "a", start, 4000, 4)
        go(process)
        for _ in range(lines):
            stored.add(int(process.stdout.readline().split()[0]))
        os.kill(process.pid, signal.SIGKILL)
        stored |= {int(line.split()[0]) for line in finish(process) if line.endswith(" a")}
        with Ledger(url) as ledger:
            assert len(ledger.lookup([question(n) for n in stored])) == len(stored)
            known = len(ledger.lookup([question(n) for n in range(start, start + 4000)]))
            assert known % 4 == 0, "half a transaction"
        start = max(stored) + 100
    assert verify(place_of(url)).ok


def test_a_server_that_stops_at_once_loses_nothing_that_was_stored(server, url):
    server.sql(f"ALTER DATABASE {name_of(url)} SET synchronous_commit = off")
    process = writer(url, "a", 0, 4000)
    process.stderr = None
    go(process)
    stored = {int(process.stdout.readline().split()[0]) for _ in range(60)}
    server.stop()
    try:
        stored |= {int(line.split()[0]) for line in finish(process) if line.endswith(" a")}
        assert process.returncode == 1
    finally:
        server.start()
    with Ledger(url) as ledger:
        assert len(ledger.lookup([question(n) for n in stored])) == len(stored)


def test_commits_are_durable_and_reading_changes_nothing(server, url):
    server.sql(f"ALTER DATABASE {name_of(url)} SET synchronous_commit = off")
    with Ledger(url) as ledger:
        with ledger._database.writing() as connection:
            shown = connection.exec_driver_sql("SHOW synchronous_commit").scalar()
            assert shown == "on"
        with pytest.raises(LedgerError), ledger._database.reading() as connection:
            connection.exec_driver_sql("DELETE FROM answers")


def test_reading_sees_one_state(url):
    with Ledger(url) as one, Ledger(url) as two:
        one.exchange([answer(0)])
        with one._database.reading() as connection:
            amount = "SELECT count(*) FROM answers"
            assert connection.exec_driver_sql(amount).scalar() == 1
            two.exchange([answer(1)])
            assert connection.exec_driver_sql(amount).scalar() == 1
        assert len(one.lookup([question(0), question(1)])) == 2


def test_answers_wait_for_a_server_that_stopped(server, url, tmp_path):
    with Ledger(url) as ledger:
        ledger.exchange([answer(0)])
        server.stop()
        try:
            with pytest.raises(LedgerError) as caught:
                ledger.exchange([answer(1)])
            assert "\n" not in str(caught.value)
            (file,) = spilled(tmp_path)
            assert f"1 answers just received wait in {file}" in str(caught.value)
            assert f"127.0.0.1/{name_of(url)}" in str(caught.value)
            with pytest.raises(LedgerError, match="check that the server runs"):
                ledger.lookup([question(0)])
            with pytest.raises(LedgerError, match="check that the server runs"):
                stats(place_of(url))
            with pytest.raises(LedgerError, match="check that the server runs"):
                verify(place_of(url))
            with pytest.raises(LedgerError, match="check that the server runs"):
                export(place_of(url), io.StringIO())
        finally:
            server.start()
        assert ledger.exchange([answer(2)]) == ([Scores({"a": 1.0}, raw=b"body")], 0)
    with Ledger(url) as ledger:
        assert len(ledger.lookup([question(n) for n in range(3)])) == 3
        assert ledger.raw(question(1)) == b"body"
    assert spilled(tmp_path) == []


def test_what_waits_is_for_this_database_whatever_the_password(server, url, tmp_path):
    place = place_of(url)
    other = place_of(server.url(name_of(url), password="changed"))
    assert ServerDatabase(place).path == ServerDatabase(other).path
    assert ServerDatabase(place).path != ServerDatabase(place_of(server.url("else"))).path


def test_an_idle_connection_that_was_lost_is_made_anew(server, url):
    with Ledger(url) as ledger:
        ledger.exchange([answer(0)])
        server.sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            f"WHERE datname = '{name_of(url)}'"
        )
        assert ledger.exchange([answer(0, 0.5)])[0][0]["a"] == 1.0


def test_a_transaction_that_was_cut_is_not_half_there(server, url):
    with Ledger(url) as ledger:
        ledger.lookup([])

        def cut() -> None:
            with ledger._database.writing() as connection:
                connection.exec_driver_sql("INSERT INTO servers VALUES ('u', 'd', 1)")
                server.sql(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    f"WHERE datname = '{name_of(url)}'"
                )

        with pytest.raises(LedgerError):
            cut()
        assert ledger.recall("u") is None


def test_a_client_that_holds_the_lock_is_not_waited_for_without_end(url, monkeypatch):
    from probe.ledger import postgres

    monkeypatch.setattr(postgres, "_SETTINGS", postgres._SETTINGS.replace("30s", "200ms"))
    with Ledger(url) as one, Ledger(url) as two:
        two.lookup([])
        with (
            one._database.writing(),
            pytest.raises(LedgerError, match="in use by another client for too long"),
        ):
            two.exchange([answer(0)])
        two.exchange([answer(0)])


def test_notes_of_another_machine_are_believed_for_an_hour(server, url):
    name = name_of(url)
    with Ledger(url) as ledger:
        ledger.exchange([], intended=[question(0), question(1)], host="h")
        server.sql("UPDATE intents SET who = '1 2 another-boot'", name)
        assert stats(place_of(url)).outstanding == 0
        server.sql("UPDATE intents SET at = at - 3500000", name)
        assert stats(place_of(url)).outstanding == 0
        server.sql("UPDATE intents SET at = at - 200000 WHERE change = '1'", name)
        assert stats(place_of(url)).outstanding == 1
        assert ledger.exchange([], intended=[question(0), question(1)], host="h")[1] == 1
        server.sql("UPDATE intents SET who = '1 2 another-boot'", name)
        assert stats(place_of(url)).outstanding == 0, "the note was not made anew"


def test_another_programs_tables_are_left_as_they_are(server, url):
    name = name_of(url)
    for made in (
        "answers (x int)",
        "probe_ledger (x int)",
        "probe_ledger AS SELECT 7 mark, 1 version",
    ):
        server.sql(f"CREATE TABLE {made}", name)
        with pytest.raises(LedgerError, match="another program's") as caught:
            Ledger(url).exchange([answer(0)])
        assert "\n" not in str(caught.value)
        tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
        assert server.sql(tables, name) == [(1,)]
        server.sql(f"DROP TABLE {made.split()[0]}", name)


def test_a_newer_schema_is_read_and_not_written(server, url):
    with Ledger(url) as ledger:
        ledger.exchange([answer(0)])
    server.sql("UPDATE probe_ledger SET version = 9", name_of(url))
    with Ledger(url) as ledger:
        assert ledger.lookup([question(0)])
        with pytest.raises(LedgerError, match="has schema 9, this probe writes 1"):
            ledger.check_writable()


def test_an_older_schema_is_brought_up_to_date_once(server, url):
    def add(connection) -> None:
        connection.exec_driver_sql("ALTER TABLE answers ADD COLUMN more TEXT")

    with Ledger(url) as ledger:
        ledger.exchange([answer(0)])
    for _ in range(2):
        database = ServerDatabase(place_of(url), migrations=[*MIGRATIONS, add])
        with database.writing():
            pass
        database.close()
    assert server.sql("SELECT version FROM probe_ledger", name_of(url)) == [(2,)]


def test_a_ledger_that_is_not_there_is_not_made_by_looking(server, url):
    for look in (stats, verify, lambda place: erase(place, host="h")):
        with pytest.raises(LedgerError, match="there is no ledger"):
            look(place_of(url))
    assert server.sql("SELECT to_regclass('answers')", name_of(url)) == [(None,)]


def test_a_role_that_may_only_read(server, url, tmp_path):
    with Ledger(url) as ledger:
        ledger.exchange([answer(0)])
    name = name_of(url)
    server.sql("DROP ROLE IF EXISTS reader; CREATE ROLE reader LOGIN PASSWORD 'readers-word'")
    server.sql("GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader", name)
    with Ledger(server.url(name, "reader", "readers-word")) as ledger:
        assert ledger.lookup([question(0)])
        with pytest.raises(LedgerError, match="read-only for this user: have its owner GRANT"):
            ledger.check_writable()
    server.sql(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    with pytest.raises(LedgerError, match="is read-only"):
        Ledger(url).check_writable()
    server.sql(f"ALTER DATABASE {name} RESET default_transaction_read_only")
    server.sql("REVOKE ALL ON ALL TABLES IN SCHEMA public FROM reader", name)
    with pytest.raises(LedgerError, match="GRANT"):
        Ledger(server.url(name, "reader", "readers-word")).lookup([question(0)])


def test_a_full_disk_is_waited_for(server, url):
    waits = []

    def pause(seconds: float) -> bool:
        waits.append(seconds)
        if len(waits) == 2:
            server.sql("DROP TRIGGER full_disk ON answers", name_of(url))
        return False

    with Ledger(url, pause=pause) as ledger:
        ledger.lookup([])
        server.sql(
            "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            "RAISE EXCEPTION 'No space left on device' USING ERRCODE = '53100'; END $$; "
            "CREATE TRIGGER full_disk BEFORE INSERT ON answers EXECUTE FUNCTION fail()",
            name_of(url),
        )
        ledger.exchange([answer(0)])
        assert waits == [1.0, 1.0]
        assert ledger.lookup([question(0)])


def test_a_full_disk_that_stays_full(server, url, tmp_path):
    with Ledger(url, patience=0) as ledger:
        ledger.lookup([])
        server.sql(
            "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            "RAISE EXCEPTION 'No space left on device' USING ERRCODE = '53100'; END $$; "
            "CREATE TRIGGER full_disk BEFORE INSERT ON answers EXECUTE FUNCTION fail()",
            name_of(url),
        )
        with pytest.raises(LedgerError, match=r"the server's disk is full: .* wait in"):
            ledger.exchange([answer(0)])
        assert len(spilled(tmp_path)) == 1


def refusals(server: Cluster) -> list[str]:
    secret = "hunter2secret"
    return [
        server.url("postgres", password=secret),
        server.url("postgres", user="nobody", password=secret),
        f"postgresql://owner:{secret}@127.0.0.1:1/x",
        f"postgresql://owner@127.0.0.1:1/x?password={secret}",
        f"postgresql://owner:{secret}@host:{secret}/x",
        f"postgresql://owner:x@{secret}@host/x",
        f"postgresql://owner/{secret}@host/x",
        f"postgresql:owner:{secret}@host/x",
        f"postgresql://owner:{secret}@127.0.0.1:{server.port}/nowhere?nonsense={secret}1",
        server.url("nowhere"),
    ]


@pytest.mark.parametrize("n", range(10))
def test_no_password_is_ever_shown(server, n, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    secrets = ("hunter2secret", Cluster.PASSWORD, "s3cret%25", "frompgpassword")
    monkeypatch.setenv("PGPASSWORD", secrets[3])
    bad = refusals(server)[n]

    def use() -> None:
        with Ledger(bad) as ledger:
            shown.extend([ledger.name, repr(ledger), repr(ledger.path), str(ledger.path)])
            ledger.check_writable()

    shown: list[str] = []
    with pytest.raises(LedgerError) as caught:
        use()
    shown += traceback.format_exception(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.__cause__ is None
    picture = tmp_path / "p.png"
    planted_picture().save(picture)
    for words in (["occlude", str(picture), "--api", "skin"], ["ledger", "stats"]):
        monkeypatch.setenv("PROBE_LEDGER", bad)
        for more in ([], ["--debug"]):
            with pytest.raises(SystemExit) as ended:
                main([*more, *words])
            assert ended.value.code == 7
    out, err = capsys.readouterr()
    for text in (*shown, out, err):
        assert not [secret for secret in secrets if secret in text], text


def test_the_password_may_come_from_elsewhere(server, url, tmp_path, monkeypatch):
    bare = f"postgresql://owner@127.0.0.1:{server.port}/{name_of(url)}"
    monkeypatch.setenv("PGPASSWORD", Cluster.PASSWORD)
    with Ledger(bare) as ledger:
        ledger.exchange([answer(0)])
    monkeypatch.delenv("PGPASSWORD")
    file = tmp_path / "pgpass"
    file.write_text(f"127.0.0.1:{server.port}:*:owner:{Cluster.PASSWORD}\n")
    file.chmod(0o600)
    monkeypatch.setenv("PGPASSFILE", str(file))
    with Ledger(bare) as ledger:
        assert ledger.lookup([question(0)])


def test_a_driver_that_is_not_installed_is_named(url, monkeypatch):
    monkeypatch.setattr("probe.ledger.postgres.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"psycopg is not installed: .*\[postgres\]"):
        Ledger(url)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_ledger_works_on_both_sides_of_a_fork(url):
    ledger = Ledger(url)
    ledger.exchange([answer(0)])
    child = os.fork()
    if child == 0:
        code = 1
        try:
            signal.alarm(20)
            ledger.exchange([answer(1)])
            assert len(ledger.lookup([question(0), question(1)])) == 2
            ledger.close()
            code = 0
        finally:
            os._exit(code)
    for n in range(2, 20):
        ledger.exchange([answer(n)])
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert len(ledger.lookup([question(n) for n in range(20)])) == 20
    ledger.close()


def test_connections_end_with_the_ledger(server, url):
    for n in range(5):
        with Ledger(url) as ledger:
            ledger.exchange([answer(n)])
    Ledger(url).lookup([question(1)])
    left = f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{name_of(url)}'"
    for _ in range(50):
        if server.sql(left) == [(0,)]:
            return
        threading.Event().wait(0.05)
    pytest.fail("a ledger that was closed or forgotten stays connected")


def test_the_commands(url, filled, tmp_path):
    def run(*words):
        result = CliRunner().invoke(commands, words, env={"PROBE_LEDGER": url})
        assert Cluster.PASSWORD not in result.output
        return result

    told = json.loads(run("stats", "--json").stdout)
    assert (told["answers"], told["pictures"], told["log"]) == (20, 2, 0)
    assert told["ledger"] == f"127.0.0.1/{name_of(url)}"
    assert told["bytes"] > 20_000
    assert "20 answers about 2 pictures" in run("stats").stdout
    assert run("verify").exit_code == 0
    lines = run("export").stdout.splitlines()
    assert sum(line.startswith("{") for line in lines) == 20
    assert run("erase", "--host", "one.example", "--yes").stdout == "10 answers removed\n"
    assert run("prune", "--older-than", "0", "--yes").stdout == "10 answers removed\n"
    with pytest.raises(UsageError, match="pages of a file"):
        recover(place_of(url), tmp_path / "new.db")
    assert isinstance(run("recover", str(tmp_path / "new.db")).exception, UsageError)


def test_verify_counts_what_is_damaged(server, url, filled):
    server.sql("UPDATE answers SET host = 'x' WHERE seq IN (2, 3)", name_of(url))
    server.sql(
        "DELETE FROM blobs WHERE digest = (SELECT body FROM answers WHERE seq = 7)", name_of(url)
    )
    health = verify(place_of(url))
    assert (health.answers, health.damaged, health.bodies) == (18, 2, 1)
    result = CliRunner().invoke(commands, ["verify"], env={"PROBE_LEDGER": url})
    assert "`probe ledger export` writes what is good" in str(result.exception)


def test_a_server_that_is_lost_during_a_walk_is_no_damage(url, filled, monkeypatch):
    real, uses = ServerDatabase.reading, count()

    def reading(self):
        if next(uses) == 1:
            raise LedgerError("lost")
        return real(self)

    monkeypatch.setattr(ServerDatabase, "reading", reading)
    with pytest.raises(LedgerError, match="lost"):
        export(place_of(url), io.StringIO())


def test_a_whole_run_and_the_same_again_at_no_call(url):
    with serve(Planted(limits=Limits(batch=4, labels=("sfw", "nsfw"), question="nsfw"))) as mock:
        first = Prober(mock.url, ledger=url).probe(planted_picture(), budget=32)
        calls = mock.calls
        assert calls >= 32
        again = Prober(mock.url, ledger=url).probe(planted_picture(), budget=32)
        assert mock.calls == calls
        assert again.heatmap().values.tobytes() == first.heatmap().values.tobytes()
    assert stats(place_of(url)).outstanding == 0
