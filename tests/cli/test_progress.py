from __future__ import annotations

import io
import sys
from dataclasses import replace

import pytest

from probe import Prober
from probe.cli import progress as module
from probe.ledger import Ledger
from probe.testing.planted import Planted, planted_picture


@pytest.fixture
def snapshots():
    return list(Prober(Planted(), ledger=Ledger(None)).stream(planted_picture(), budget=40))


def test_progress_is_plain_lines_where_there_is_no_terminal(snapshots, capsys, monkeypatch):
    monkeypatch.setattr(module, "EVERY", 0.0)
    with module.progress(False, 40) as show:
        for snapshot in snapshots:
            show(snapshot)
    lines = capsys.readouterr().err.splitlines()
    assert lines[-1] == "40/40 answers · 40 calls"
    assert not any("\x1b" in line for line in lines)


def test_nothing_is_said_more_often_than_every_ten_seconds(snapshots, capsys):
    with module.progress(False, 40) as show:
        for snapshot in snapshots:
            show(snapshot)
    assert capsys.readouterr().err == ""


def test_a_closed_stderr_is_no_error(snapshots, monkeypatch):
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    monkeypatch.setattr(module, "EVERY", 0.0)
    for stream in (Gone(), None):
        monkeypatch.setattr(sys, "stderr", stream)
        with module.progress(False, 40) as show:
            show(snapshots[-1])


def test_a_terminal_gets_a_bar(snapshots, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    for name in ("CI", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(module, "FRAME", 0.0)
    monkeypatch.setattr(sys, "stderr", Terminal())
    with module.progress(False, 40) as show:
        for snapshot in snapshots:
            show(snapshot)
    assert "40/40" in sys.stderr.getvalue()


def test_markup_in_what_a_server_says_is_inert(snapshots, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(module, "FRAME", 0.0)
    for name in ("CI", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    with module.progress(False, 40) as show:
        show(replace(snapshots[-1], cost=1.0, currency="[link=https://x.example]EUR[/nope]"))
    assert "[link=https://x.example]EUR[/nope]" in terminal.getvalue()
