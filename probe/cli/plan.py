"""probe plan: what a run would send and cost."""

from __future__ import annotations

from typing import Any

import click

from probe.cli import options


@click.command()
@options.pictures
@click.option("--method", default="multiscale", show_default=True, help="As of the run planned.")
@options.service
@options.design
@options.cover
@options.run
@options.output
def plan(images: tuple[str, ...], method: str, **given: Any) -> int:
    """Say what probing IMG would send and cost, and draw what would be sent; scores nothing.

    The same as `probe occlude IMG --dry-run`; for the crop experiment give --method windows.
    """
    from probe.cli.probing import probe_pictures

    return probe_pictures(images, method, given | {"dry_run": True})
