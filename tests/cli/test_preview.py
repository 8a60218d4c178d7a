"""--preview: where it is drawn, and what a terminal is given."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys

import pytest

from probe.cli.previewing import colours_of

FEW = ("--api", "skin", "--budget", "6")


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self):
        return True


@pytest.fixture
def terminal(monkeypatch):
    for name in ("NO_COLOR", "FORCE_COLOR", "CI", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLORTERM", "truecolor")
    return monkeypatch


def test_a_map_is_drawn_after_the_finding(run, picture):
    for command in (("occlude", *FEW), ("crop", "--api", "skin")):
        code, out, err = run(*command, picture, "--preview")
        lines = out.splitlines()
        drawn = [n for n, line in enumerate(lines) if line.startswith("|")]
        assert code == 0
        assert len(drawn) > 5
        assert lines[0].startswith("nsfw")
        assert drawn[0] == 1
        assert any(line.startswith("map ") for line in lines[drawn[-1] :])
        assert "\x1b" not in out
        assert "|" not in err
        assert "--preview" not in next(line for line in lines if line.startswith("next:"))


def test_only_a_look_at_it_is_given_where_it_was_asked_for(run, picture):
    _, out, _ = run("occlude", picture, *FEW)
    assert "\n|" not in out
    _, out, err = run("occlude", picture, *FEW, "--preview", "--quiet")
    assert out == err == ""


def test_with_json_it_goes_to_stderr(run, picture):
    _, out, err = run("occlude", picture, *FEW, "--preview", "--json")
    assert json.loads(out)["exit_code"] == 0
    assert "\n|" in err


@pytest.mark.parametrize("command", ["plan", "variants", "redact", "judge", "compare"])
def test_other_commands_have_no_such_option(run, picture, command):
    code, _, err = run(command, picture, "--preview")
    assert code == 2
    assert "--preview" in err


def test_a_terminal_gets_the_colours_that_it_has(terminal):
    assert colours_of(Terminal()) == "truecolor"
    terminal.delenv("COLORTERM")
    assert colours_of(Terminal()) == "256"
    terminal.setenv("TERM", "xterm")
    assert colours_of(Terminal()) is None  # 16 colours cannot show a map


@pytest.mark.parametrize("setting", [("NO_COLOR", "1"), ("TERM", "dumb"), ("TERM", "unknown")])
def test_a_terminal_without_colours_gets_none(terminal, setting):
    terminal.setenv(*setting)
    assert colours_of(Terminal()) is None


def test_what_is_no_terminal_or_lacks_the_blocks_gets_plain_text(terminal):
    assert colours_of(io.StringIO()) is None
    assert colours_of(None) is None
    for encoding in ("ascii", "latin-1", "no-such", None):
        lacking = Terminal()
        lacking.encoding = encoding
        assert colours_of(lacking) is None


@pytest.mark.skipif(sys.platform == "win32", reason="a pseudo-terminal is Unix's")
def test_a_real_terminal_shows_half_blocks_in_colour(tmp_path, picture):
    import pty

    ours, theirs = pty.openpty()
    kept = os.environ.keys() - {"NO_COLOR", "FORCE_COLOR", "CI"}
    environment = {name: os.environ[name] for name in kept} | {
        "TERM": "xterm-256color",
        "COLORTERM": "truecolor",
        "PYTHONIOENCODING": "utf-8",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "probe", "occlude", picture, *FEW, "--preview"],
        stdout=theirs,
        stderr=subprocess.DEVNULL,
        cwd=tmp_path,
        env=environment,
    )
    os.close(theirs)
    shown = b""
    try:
        while part := os.read(ours, 65536):
            shown += part
    except OSError:  # how Linux says that the other end is closed
        pass
    os.close(ours)
    assert process.wait() == 0
    text = shown.decode()
    assert text.count("▀") > 100
    assert "\x1b[38;2;" in text
    assert "red speaks for it, blue against" in text
