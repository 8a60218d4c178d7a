"""Where a ledger is, and a ledger that leaves raw bodies out: what needs no server."""

from pathlib import Path

import pytest

from probe.cli.options import sending_of
from probe.errors import LedgerError, UsageError
from probe.ledger import Ledger, default_path, place_of, stats
from probe.ledger.place import Server
from probe.ledger.process import foreign, mark
from probe.types import Failure, Scores


@pytest.mark.parametrize("text", ["a.db", "/x/y.db", "postgres.db", "~/l.db", "postgresql"])
def test_anything_else_is_a_path(text):
    assert place_of(text) == Path(text)
    assert place_of(Path(text)) == Path(text)


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("postgresql://me:secret@db.example:5433/answers", "db.example/answers"),
        ("postgres://me:secret@db.example/answers", "db.example/answers"),
        ("postgresql://me:sec%2Fret%40@[::1]/answers?sslmode=require", "::1/answers"),
        ("postgresql:///answers?host=/run/postgresql&password=secret", "/run/postgresql/answers"),
    ],
)
def test_a_server_is_shown_by_its_host_and_database(address, shown, monkeypatch):
    place = place_of(address)
    assert str(place) == shown
    assert repr(place) == f"Server({shown})"
    monkeypatch.setenv("PROBE_LEDGER", address)
    assert default_path() == place


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://me:secret@host:secret/x",
        "postgresql://me:a@secret@host/x",
        "postgresql://me/secret@host/x",
        "postgresql:me:secret@host/x",
        Path("postgresql://me:secret@host/x"),
    ],
)
def test_an_address_that_cannot_be_read_is_not_told(address):
    with pytest.raises(LedgerError, match="postgresql://USER@HOST:PORT/DATABASE") as caught:
        place_of(address)
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None or caught.value.__suppress_context__


def test_waiting_answers_belong_to_a_database_whatever_the_password():
    def mark_of(address: str) -> str:
        place = place_of(address)
        assert isinstance(place, Server)
        return place.mark

    assert mark_of("postgresql://me:a@h/x") == mark_of("postgresql://me@h/x?password=b")
    assert mark_of("postgresql://me:a@h/x") != mark_of("postgresql://me:a@h/y")


def test_whether_a_mark_is_of_another_machine():
    own = mark()
    assert not foreign(own)
    number, *rest = (own or "").split()
    if rest:
        start, boot = rest
        assert not foreign(f"{int(number) + 1} {start} {boot}")
        assert foreign(f"{number} {start} {boot[::-1]}")
    assert foreign("123456789 5 another-boot")


def test_raw_bodies_may_be_left_out_but_not_those_that_nobody_could_read(path, ask):
    answer = Scores({"a": 0.5}, b"read", (1, 2))
    failure = Failure("invalid", "", billed=True, raw=b"unread")
    with Ledger(path, raw=False) as ledger:
        told, _ = ledger.exchange([(ask(0), answer), (ask(1), failure)], reading="x")
        assert told == [answer, failure]
        assert ledger.lookup([ask(0)]) == {ask(0): Scores({"a": 0.5})}
        assert ledger.raw(ask(0)) is None
        with ledger._database.reading() as connection:
            bodies = connection.exec_driver_sql("SELECT count(*) FROM blobs").scalar()
        assert bodies == 2, "the list of labels and the body that could not be read"
    assert stats(path).unread == 1
    with Ledger(path) as ledger:
        ledger.exchange([(ask(2), answer)])
        assert ledger.raw(ask(2)) == b"read"


def test_the_command_line_leaves_them_out_when_told(path):
    given = dict.fromkeys(
        ("side", "codec", "offline", "repeats", "max_calls", "max_cost", "max_time")
    )
    for chosen in (str(path), None):
        with_raw = sending_of({**given, "ledger": chosen, "no_raw": False})
        assert with_raw["ledger"] == chosen
        without = sending_of({**given, "ledger": chosen, "no_raw": True})["ledger"]
        assert without.path == (path if chosen else default_path())
        assert not without._raw


def test_the_studio_needs_a_file(monkeypatch):
    from click.testing import CliRunner

    from probe.cli.studio import studio

    words = ["--no-browser", "--ledger", "postgresql://me:secret@h/x"]
    result = CliRunner().invoke(studio, words)
    assert isinstance(result.exception, UsageError)
    assert "secret" not in str(result.exception)
