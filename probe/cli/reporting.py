"""Runs as pages: what a run's record says beside its answers, and where the pages go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from probe.cli.repeating import command_of
from probe.errors import UsageError
from probe.text import printable

if TYPE_CHECKING:
    from probe.result import Result


def recorded(result: Result, image: str, given: dict[str, Any]) -> Result:
    """The run with the command that repeats it, and how its picture was opened."""
    about = {
        "command": command_of(image),
        **{name: given[name] for name in ("frame", "background")},
    }
    return replace(result, settings={**result.settings, **about})


def write_report(path: Path, results: Sequence[Result], **about: Any) -> str:
    """The page of the runs, `about` as of `probe.report.page`; returns where it is."""
    from probe.report import page, save_report

    return str(save_report(page(results, **about), path))


def say_page(files: Sequence[str], aside: bool) -> None:
    """Where the page is, if there is one among the files; `aside` on stderr."""
    if files and files[-1].endswith(".html"):
        click.echo(f"page {printable(files[-1])}", err=aside)


def check_page(path: Path, force: bool) -> Path:
    """Raises UsageError for a folder, and for what is there unless it may be written over."""
    shown = printable(str(path), 300)
    if path.is_dir():
        raise UsageError(f"{shown} is a folder: name the file, as {shown}/report.html")
    if path.exists() and not force:
        raise UsageError(f"{shown} is there: choose another --out, or --force to write over it")
    return path
