"""Whichever call to the operating system fails, in a whole run: nothing that was paid for is lost.

A small run over HTTP is repeated with the first, the second ... the last fallible call failing:
connecting, sending, receiving, opening, writing, syncing and renaming files, every statement of
the database. The run may end in any documented way; the same command afterwards gives the same
map, and asks only what was never answered. (SQLite and curl are tested so:
https://sqlite.org/testing.html#i_o_error_testing.)
"""

from __future__ import annotations

import builtins
import errno
import io
import os
import re
import socket
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sqlalchemy import Engine, event

from probe.cli import main
from probe.ledger import Ledger, stats, verify
from probe.limits import Limits
from probe.mock import serve
from probe.testing.planted import Planted, planted_picture

BUDGET, BATCH = 10, 3
DOCUMENTED = {0, 3, 4, 5, 7}
PROMISED = {
    "unknown": re.compile(r"(\d+) variants? in flight when"),
    "lost": re.compile(r"The answer to (\d+) variants? never came"),
}

NETWORK = {"connect", "send", "receive"}
FILES = {"open", "write", "sync", "rename", "mkdir"}
DATABASE = {"sqlite open", "statement", "commit told to have failed"}


class Injector:
    """Counts the fallible calls that the run makes, and lets some of them fail.

    fails: told the number of a call, from 1, and its kind; says which error it ends in, if any.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = str(folder)
        self.fails: Callable[[int, str], BaseException | None] = lambda number, kind: None
        self.calls: list[str] = []
        self.armed = False
        self._lock = threading.Lock()

    @contextmanager
    def watching(self, fails: Callable[[int, str], BaseException | None]) -> Iterator[None]:
        self.fails, self.calls, self.armed = fails, [], True
        try:
            yield
        finally:
            self.armed = False

    def meet(self, kind: str) -> None:
        """Called before each fallible call; those of the server's threads are not the run's."""
        thread = threading.current_thread()
        ours = thread is threading.main_thread() or thread.name.startswith("probe-send")
        if not (self.armed and ours):
            return
        with self._lock:
            self.calls.append(kind)
            error = self.fails(len(self.calls), kind)
        if error is not None:
            raise error

    def after(self, connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        """The worst of all: it is on the disk, and the disk says that it is not."""
        if statement == "COMMIT":
            self.meet("commit told to have failed")

    def wrapped(self, kind: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def fallible(*args: Any, **options: Any) -> Any:
            self.meet(kind)
            return call(*args, **options)

        return fallible

    def on_wire(self, kind: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """A connection whose call failed is of no use afterwards."""

        def fallible(connection: socket.socket, *args: Any) -> Any:
            try:
                self.meet(kind)
            except OSError:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
                raise
            return call(connection, *args)

        return fallible

    def in_folder(self, kind: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """Only of paths in the run's own folder: libraries read files of theirs."""

        def fallible(path: Any, *args: Any, **options: Any) -> Any:
            if isinstance(path, str | bytes | os.PathLike) and self.folder in os.fsdecode(path):
                self.meet(kind)
            return call(path, *args, **options)

        return fallible

    def opened(self, call: Callable[..., Any]) -> Callable[..., Any]:
        opens = self.in_folder("open", call)

        def fallible(path: Any, mode: str = "r", *args: Any, **options: Any) -> Any:
            file = opens(path, mode, *args, **options)
            mine = isinstance(path, str | os.PathLike) and self.folder in os.fspath(path)
            return _Written(file, self) if mine and set(mode) & set("wax+") else file

        return fallible


class _Written:
    """A file whose writes may fail."""

    def __init__(self, file: Any, injector: Injector) -> None:
        self._file = file
        self._injector = injector

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._file, name)
        return (
            self._injector.wrapped("write", found) if name.startswith(("write", "flush")) else found
        )

    def __enter__(self) -> _Written:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def __iter__(self) -> Iterator[Any]:
        return iter(self._file)


@pytest.fixture
def injector(tmp_path, monkeypatch):
    found = Injector(tmp_path / "runs")
    for name, kind in (("connect", "connect"), ("send", "send"), ("recv_into", "receive")):
        method = found.on_wire(kind, getattr(socket.socket, name))
        monkeypatch.setattr(socket.socket, name, method, raising=False)
    for name, kind in (
        ("open", "open"),
        ("replace", "rename"),
        ("rename", "rename"),
        ("mkdir", "mkdir"),
    ):
        monkeypatch.setattr(os, name, found.in_folder(kind, getattr(os, name)))
    monkeypatch.setattr(os, "fsync", found.wrapped("sync", os.fsync))
    opens = found.opened(builtins.open)
    monkeypatch.setattr(builtins, "open", opens)
    monkeypatch.setattr(io, "open", opens)
    monkeypatch.setattr(sqlite3, "connect", found.wrapped("sqlite open", sqlite3.connect))
    hooks = {
        "before_cursor_execute": lambda *args: found.meet("statement"),
        "after_cursor_execute": found.after,
    }
    for name, hook in hooks.items():
        event.listen(Engine, name, hook)
    yield found
    for name, hook in hooks.items():
        event.remove(Engine, name, hook)


@pytest.fixture(autouse=True)
def nobody_waits(monkeypatch):
    monkeypatch.setattr("probe.api.transport.sending._Backoff.__call__", lambda self, state: 0.0)
    monkeypatch.setitem(Ledger.__init__.__kwdefaults__, "pause", lambda seconds: None)
    monkeypatch.setattr("probe.ledger.file.BUSY_SECONDS", 0.0)


@pytest.fixture(autouse=True)
def a_small_figure(monkeypatch):
    """Drawing takes most of a run's time and calls nobody."""
    monkeypatch.setattr("probe.show.files.figure", lambda heatmap: Image.new("RGB", (9, 9)))


@pytest.fixture(scope="module")
def server():
    limits = Limits(
        batch=BATCH, formats=("png",), labels=("sfw", "nsfw"), question="nsfw", deterministic=True
    )
    with serve(Planted(limits=limits)) as server:
        yield server


@pytest.fixture
def probe(tmp_path, server, capsys):
    """Run the command in a folder of its own: (exit code, all that was said)."""
    planted_picture().save(tmp_path / "planted.png")

    def run(folder: Path) -> tuple[int, str]:
        words = ["occlude", str(tmp_path / "planted.png"), "--api", server.url, "--json"]
        words += ["--budget", str(BUDGET), "--out", str(folder / "out")]
        with pytest.raises(SystemExit) as end:
            main([*words, "--ledger", str(folder / "data" / "ledger.db")])
        said = "".join(capsys.readouterr())
        threads = {thread.name for thread in threading.enumerate()}
        assert {name for name in threads if name.startswith("probe-")} == {"probe-serve"}, said
        assert "Traceback" not in said
        return int(end.value.code or 0), said

    return run


def error_of(kind: str) -> BaseException:
    if kind in NETWORK:
        return ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")
    if kind in FILES:
        return OSError(errno.ENOSPC, "No space left on device")
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorname = "SQLITE_IOERR"
    return error


def full(kind: str) -> BaseException:
    """As `error_of`, with a database that says that the disk is full."""
    error = error_of(kind)
    if kind in DATABASE:
        error.sqlite_errorname = "SQLITE_FULL"
    return error


def promised(said: str) -> int:
    """How many pictures it said may have been paid for twice."""
    return sum(int(n) for pattern in PROMISED.values() for n in pattern.findall(said))


@pytest.fixture
def expected(probe, tmp_path, server):
    """The map of a run in which nothing fails, with everything imported."""
    before = server.calls
    assert probe(tmp_path / "runs" / "whole")[0] == 0
    assert server.calls - before == BUDGET
    return np.load(tmp_path / "runs" / "whole" / "out" / "map.npy")


class Trial:
    """One run in which calls fail, and the same command afterwards."""

    def __init__(self, probe, injector, server, expected) -> None:
        self.probe, self.injector, self.server, self.expected = probe, injector, server, expected

    def __call__(self, folder: Path, fails: Callable[[int, str], BaseException | None]) -> int:
        """Returns how many fallible calls the run made."""
        before = self.server.calls
        with self.injector.watching(fails):
            code, said = self.probe(folder)
        assert code in DOCUMENTED, said
        again, more = self.probe(folder)
        assert again == 0, f"{said}\n{more}"
        np.testing.assert_array_equal(np.load(folder / "out" / "map.npy"), self.expected)
        assert self.server.calls - before <= BUDGET + promised(said) + promised(more), said + more
        ledger = folder / "data" / "ledger.db"
        assert verify(ledger).ok
        assert (stats(ledger).answers, stats(ledger).outstanding) == (BUDGET, 0), said + more
        assert [file.name for file in folder.rglob("*unsaved*")] == []
        return len(self.injector.calls)


@pytest.fixture
def trial(probe, injector, server, expected):
    return Trial(probe, injector, server, expected)


def one_by_one(trial: Trial, folder: Path, error, kinds: set[str], step: int) -> set[str]:
    """Let the first, the second ... call of these kinds fail, each in a run of its own; returns
    the kinds that were met."""
    met = set()
    n = 0
    while True:
        n += 1
        seen = 0

        def fails(number: int, kind: str, n: int = n) -> BaseException | None:
            nonlocal seen
            seen += kind in kinds
            return error(kind) if kind in kinds and seen == n else None

        trial(folder / str(n), fails)
        met |= set(trial.injector.calls)
        if seen < n:
            return met
        n += step - 1


def test_calls_that_fail_here_and_there_change_nothing(trial, tmp_path):
    one_by_one(trial, tmp_path / "runs", error_of, NETWORK | FILES | DATABASE, step=17)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("error", "kinds"),
    [(error_of, NETWORK | FILES), (error_of, DATABASE), (full, DATABASE)],
    ids=["network and files", "disk fails", "disk full"],
)
def test_whichever_call_fails_the_same_command_ends_with_the_same_map(
    trial, tmp_path, error, kinds
):
    met = one_by_one(trial, tmp_path / "runs", error, kinds, step=1)
    assert met >= kinds - {"sync"}, "only answers that could not be stored are synced by us"


@pytest.mark.slow
@pytest.mark.parametrize(
    "kinds",
    [NETWORK, FILES, DATABASE, FILES | DATABASE],
    ids=["network", "files", "database", "disk"],
)
def test_whatever_goes_on_failing_the_same_command_ends_with_the_same_map(trial, tmp_path, kinds):
    calls = trial(tmp_path / "runs" / "0", lambda number, kind: None)
    for n in range(1, calls + 1, 7):
        trial(
            tmp_path / "runs" / str(n),
            lambda number, kind, n=n: full(kind) if number >= n and kind in kinds else None,
        )
