"""The map in the terminal, as well as the terminal can draw it."""

from __future__ import annotations

import os
import sys
from shutil import get_terminal_size
from typing import TYPE_CHECKING, TextIO

import click

if TYPE_CHECKING:
    from probe.heatmap import Heatmap
    from probe.show.terminal import Colour

BLOCKS = "▀▌·…"
WORDS = 6
"""Lines that the rest of what a command says takes, and the prompt after it."""


def draw(heatmap: Heatmap, aside: bool) -> None:
    """Draw the map on stdout, or with `aside` on stderr."""
    from probe.show import preview

    colour = colours_of(sys.stderr if aside else sys.stdout)
    columns, lines = get_terminal_size((80, 36))
    text = preview(heatmap, columns, colour, max(8, lines - WORDS))
    click.echo(text, err=aside, color=colour is not None)


def colours_of(stream: TextIO | None) -> Colour | None:
    """How many colours half blocks may have there; None where there should be none.

    That is in a file or a pipe, on a dumb or an old terminal, with NO_COLOR, and where the
    encoding lacks the blocks.
    """
    if stream is None or os.environ.get("NO_COLOR"):
        return None
    try:
        BLOCKS.encode(stream.encoding or "ascii")
    except (UnicodeError, LookupError):
        return None
    from rich.console import Console

    known: dict[str | None, Colour] = {"truecolor": "truecolor", "256": "256"}
    return known.get(Console(file=stream).color_system)
