"""probe audit: what does a service key on, over many pictures?"""

from __future__ import annotations

from typing import Any

import click

from probe.cli import options


@click.command()
@click.argument("places", nargs=-1, required=True, metavar="FOLDER|LIST|IMG...")
@click.option("--label", help="The label to explain; the service's own question by default.")
@options.truth
@click.option(
    "--threshold",
    type=click.FloatRange(0, 1),
    help="The score that counts as yes; the service's own, else 0.5.",
)
@click.option(
    "--pictures",
    default=60,
    show_default=True,
    type=click.IntRange(1),
    help="Find features in so many pictures, at most half of all.",
)
@click.option(
    "--budget-per-image",
    "budget",
    default=48,
    show_default=True,
    type=click.IntRange(12),
    help="Answers for each of them.",
)
@click.option(
    "--tests",
    default=24,
    show_default=True,
    type=click.IntRange(5),
    help="Test a feature in so many other pictures, two calls each.",
)
@options.cover
@click.option(
    "--workers", type=click.IntRange(0), help="Processes on this machine; its cores, at most 4."
)
@click.option(
    "--scheduler", metavar="URL", help="Use the workers of this Dask scheduler, tcp:// or tls://."
)
@options.service
@click.option("--out", type=click.Path(), help="Folder for the results; NAME.audit here.")
@click.option("--force", is_flag=True, help="Write over another audit's folder.")
@click.option("--dry-run", is_flag=True, help="Only say how many calls it takes at most.")
@options.yes
@options.output
def audit(places: tuple[str, ...], **given: Any) -> int:
    """Find what a service keys on over many pictures, and test it.

    Scores all, probes some, clusters the regions that speak for the label, recognises them in
    other pictures, and measures there how much the score drops when they are covered, against
    boxes of the same size elsewhere. Writes a page, tables, and a list of pictures to collect.
    The same command goes on where it was stopped.
    """
    from probe.cli.auditing import audit_pictures

    return audit_pictures(places, given)
