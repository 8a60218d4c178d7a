from __future__ import annotations

import io
import json
import re
import sys
from contextlib import nullcontext, redirect_stderr
from dataclasses import replace

import pytest

from probe import Prober
from probe.cli import progress as module
from probe.ledger import Ledger
from probe.limits import Limits, Price, Throttling
from probe.mock import Faults, serve
from probe.testing.planted import Planted, planted_picture
from tests.clocks import Clock

ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch):
    """For stderr: a colour terminal of 120 columns."""
    for name in ("CI", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    return Terminal()


@pytest.fixture
def snapshots():
    return list(Prober(Planted(), ledger=Ledger(None)).stream(planted_picture(), budget=40))


def told(snapshots, stderr=None, quiet=False, seconds=10.0):
    """Show each snapshot, so many seconds after the one before."""
    clock = Clock()
    with (
        nullcontext() if stderr is None else redirect_stderr(stderr),
        module.progress(quiet, 40, clock=clock) as show,
    ):
        for snapshot in snapshots:
            show(snapshot)
            clock.now += seconds


def test_progress_is_plain_lines_where_there_is_no_terminal(snapshots, capsys):
    dear = [replace(s, cost=0.001 * s.calls, currency="EUR", throttled=2) for s in snapshots[:-1]]
    told(dear)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == len(dear) - 1
    for line, snapshot in zip(lines, dear[1:], strict=True):
        done = len(snapshot.answers)
        pattern = rf"{done}/40 answers · {snapshot.calls} calls in {snapshot.requests} requests · "
        pattern += r"0\.\d+ EUR · [\d.]+ answers/s · throttled 2 times( · \d+ (s|min) left)?"
        assert re.fullmatch(pattern, line)
        assert len(line) <= 100
        assert ("left" in line) == (done < 40)
    assert not any("\x1b" in line for line in lines)


def test_nothing_is_said_more_often_than_every_ten_seconds(snapshots, capsys):
    told(snapshots, seconds=9.9 / len(snapshots))
    assert capsys.readouterr().err == ""
    told(snapshots * 5, seconds=25 / len(snapshots * 5))
    assert len(capsys.readouterr().err.splitlines()) == 2


def test_a_first_answer_that_takes_long_is_told(snapshots, capsys):
    clock = Clock()
    with module.progress(False, 40, clock=clock) as show:
        clock.now += 11
        show(snapshots[0])
    assert capsys.readouterr().err == "1/40 answers · 1 call in 1 request\n"


def test_a_closed_stderr_is_no_error(snapshots, monkeypatch):
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    told(snapshots, Gone())
    monkeypatch.setattr(sys, "stderr", None)
    told(snapshots)


def test_a_terminal_gets_a_bar(snapshots, terminal):
    told(snapshots, terminal)
    assert "40/40 answers · 40 calls in" in terminal.getvalue()
    assert "━" in terminal.getvalue()
    assert "\x1b[" in terminal.getvalue()


def test_a_narrow_terminal_gets_what_fits(snapshots, terminal, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    told([replace(snapshots[-1], cost=1.0, currency="EUR", throttled=3)], terminal)
    text = ESCAPE.sub("", terminal.getvalue())
    assert "40/40 answers" in text
    assert all(len(line) <= 40 for line in re.split(r"[\r\n]", text))


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb"), ("CI", "true")])
def test_whoever_wants_no_colour_gets_plain_lines(snapshots, terminal, monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    told(snapshots, terminal)
    assert terminal.getvalue().splitlines()[-1].startswith("40/40 answers · 40 calls in ")
    assert "\x1b" not in terminal.getvalue()


def test_quiet_is_silent_on_a_terminal_and_elsewhere(snapshots, terminal, monkeypatch):
    told(snapshots, terminal, quiet=True)
    monkeypatch.setenv("CI", "1")
    told(snapshots, terminal, quiet=True)
    assert terminal.getvalue() == ""


def test_a_bar_tells_that_a_service_is_waited_for_before_any_answer(terminal):
    class Waiting:
        throttling = Throttling()

    one, other = Waiting(), Waiting()
    with redirect_stderr(terminal), module.progress(False, 40, one, other):
        one.throttling, other.throttling = Throttling(2, 3.0), Throttling(1, 12.0)
    assert "0/40 answers · 0 calls · throttled 3 times, waiting 12 s" in terminal.getvalue()


def test_markup_in_what_a_server_says_is_inert(snapshots, terminal):
    told(
        [replace(snapshots[-1], cost=1.0, currency="[link=https://x.example]EUR[/nope]")], terminal
    )
    assert "[link=https://x.example]EUR[/nope]" in terminal.getvalue()


@pytest.fixture
def totals(monkeypatch):
    """What each progress that the commands open is told: the total, how many are to be sent, and
    answers, requests and throttled of every snapshot."""
    opened = []
    real = module.progress

    def spying(quiet, total, *probers, **options):
        shown = []
        opened.append((total, options["missing"], shown))
        context = real(quiet, total, *probers, **options)

        class Spy:
            def __enter__(self):
                show = context.__enter__()

                def both(snapshot):
                    numbers = len(snapshot.answers), snapshot.requests, snapshot.throttled
                    shown.append(numbers)
                    show(snapshot)

                return both

            def __exit__(self, *error):
                return context.__exit__(*error)

        return Spy()

    monkeypatch.setattr(module, "progress", spying)
    monkeypatch.setattr("probe.cli.judging.progress", spying)
    return opened


@pytest.fixture
def server():
    with serve(Planted(), faults=Faults.parse("429=0.5,wait=0", seed=1)) as running:
        yield running


@pytest.fixture
def another(server):
    with serve(Planted(identity="planted 2"), faults=Faults.parse("429=0.5,wait=0")) as running:
        yield running


@pytest.mark.parametrize("command", ["occlude", "judge", "redact", "compare"])
def test_every_command_that_asks_tells_how_far_it_is(
    command, run, picture, server, another, totals
):
    servers = [server, another] if command == "compare" else [server]
    apis = [word for one in servers for word in ("--api", one.url)]
    code, _, err = run(command, picture, *apis, "--codec", "png")
    assert code == 0, err
    for total, missing, shown in totals:
        done = [answers for answers, _, _ in shown]
        assert done == sorted(done)
        assert done[-1] == total or (command == "redact" and done[-1] < total)
        assert 0 < missing <= total
    assert sum(shown[-1][1] for *_, shown in totals) == sum(one.requests for one in servers)
    refused = sum(n for one in servers for n in one.faults.values())
    assert sum(shown[-1][2] for *_, shown in totals) == refused > 0


def test_how_often_it_was_throttled_is_in_the_record(run, picture, server):
    _, out, _ = run("occlude", picture, "--api", server.url, "--json")
    assert json.loads(out)["throttled"] == sum(server.faults.values()) > 0


def test_money_is_told_where_a_price_is_known(terminal):
    limits = Limits(formats=("pixels",), price=Price(0.002, "EUR"))
    prober = Prober(Planted(limits=limits), ledger=Ledger(None))
    told(prober.stream(planted_picture(), budget=40), terminal)
    assert "40/40 answers · 40 calls in 40 requests · 0.08 EUR" in terminal.getvalue()
