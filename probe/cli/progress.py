"""Progress on stderr: a bar on a terminal, a plain line every ten seconds elsewhere."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import click

from probe.limits import Throttling
from probe.progress import Progress, State, Sum, counted

if TYPE_CHECKING:
    from rich.table import Table

    from probe.prober import Prober

EVERY = 10.0
BAR = 10
GAP = 2

Show = Callable[[State], None]


@contextmanager
def progress(
    quiet: bool,
    total: int,
    *probers: Prober,
    missing: int | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Show]:
    """Yields a function to call with each snapshot, from any thread.

    total: answers at the end. probers: who asks for them, to tell when a service throttles.
    missing: how many answers have to be sent, at most. clock: seconds, monotonic.
    """
    silent = quiet or sys.stderr is None
    plain = silent or not sys.stderr.isatty() or bool(os.environ.get("CI")) or _dumb()
    said = Progress(total, missing, clock=clock, throttling=lambda: _throttling(probers))
    if silent:
        yield lambda snapshot: None
    elif plain:
        yield _lines(said, clock)
    else:
        with _bar(said) as show:
            yield show


def _dumb() -> bool:
    return os.environ.get("TERM") == "dumb" or bool(os.environ.get("NO_COLOR"))


def _throttling(probers: tuple[Prober, ...]) -> Throttling:
    every = [prober.throttling for prober in probers]
    return Throttling(sum(one.times for one in every), max((one.wait for one in every), default=0))


def _lines(said: Progress, clock: Callable[[], float]) -> Show:
    last, begun = clock(), False

    def show(snapshot: State) -> None:
        nonlocal last, begun
        is_time = clock() - last >= EVERY
        if begun and not is_time:
            return
        line, begun = said.line(snapshot), True
        if is_time:
            last = clock()
            with suppress(OSError):  # nobody reads on
                click.echo(line, err=True)

    return show


@contextmanager
def _bar(said: Progress) -> Iterator[Show]:
    """Drawn anew ten times a second, so that it goes on while no answer comes."""
    from rich.console import Console
    from rich.live import Live
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    latest: State = Sum()
    console = Console(stderr=True)

    def draw() -> Table:
        line = said.line(latest, console.width - BAR - GAP)
        row = Table.grid(padding=(0, 1))
        row.add_row(
            ProgressBar(said.total, counted(latest)[0], width=BAR),
            Text(line, no_wrap=True, overflow="ellipsis"),
        )
        return row

    def show(snapshot: State) -> None:
        nonlocal latest
        latest = snapshot

    with Live(get_renderable=draw, console=console, refresh_per_second=10, transient=True):
        yield show
