"""Progress on stderr: a bar on a terminal, a plain line every ten seconds elsewhere."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Sized
from contextlib import contextmanager, suppress
from typing import Protocol

import click

EVERY = 10.0
FRAME = 0.1


class Snapshot(Protocol):
    """What is shown of a run: a Result, or the sum of several."""

    @property
    def answers(self) -> Sized: ...
    @property
    def failures(self) -> Sized: ...
    @property
    def calls(self) -> int: ...
    @property
    def cost(self) -> float | None: ...
    @property
    def currency(self) -> str | None: ...


Show = Callable[[Snapshot], None]


@contextmanager
def progress(quiet: bool, total: int) -> Iterator[Show]:
    """Yields a function to call with each snapshot."""
    silent = quiet or sys.stderr is None
    plain = silent or not sys.stderr.isatty() or bool(os.environ.get("CI")) or _dumb()
    if silent:
        yield lambda result: None
    elif plain:
        yield _lines(total)
    else:
        with _bar(total) as show:
            yield show


def _dumb() -> bool:
    return os.environ.get("TERM") == "dumb" or bool(os.environ.get("NO_COLOR"))


def _status(result: Snapshot) -> str:
    cost = "" if result.cost is None else f" · {result.cost:.4g} {result.currency}"
    failures = len(result.failures)
    holes = f" · {failures} failures" if failures else ""
    return f"{result.calls} calls{cost}{holes}"


def _lines(total: int) -> Show:
    last = time.monotonic()

    def show(result: Snapshot) -> None:
        nonlocal last
        if time.monotonic() - last >= EVERY:
            last = time.monotonic()
            with suppress(OSError):  # nobody reads on
                click.echo(f"{len(result.answers)}/{total} answers · {_status(result)}", err=True)

    return show


@contextmanager
def _bar(total: int) -> Iterator[Show]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as Remaining

    status = TextColumn("{task.fields[status]}", markup=False)
    columns = (BarColumn(), MofNCompleteColumn(), status, Remaining())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=total, status="")
        last = 0.0

        def show(result: Snapshot) -> None:
            nonlocal last
            if time.monotonic() - last < FRAME:
                return
            last = time.monotonic()
            bar.update(task, completed=len(result.answers), status=_status(result))

        yield show
