"""probe occlude: cover parts of a picture and see where the score drops."""

from __future__ import annotations

from typing import Any

import click

from probe.cli import options


@click.command()
@options.pictures
@click.option(
    "--method",
    default="multiscale",
    show_default=True,
    help="multiscale (boxes of many sizes), grid (the sliding box), keep, cover+keep, rise, lime "
    "or kernelshap: docs/methods.md.",
)
@options.service
@options.design
@options.cover
@options.run
@options.report
@options.preview
@options.output
def occlude(images: tuple[str, ...], method: str, **given: Any) -> int:
    """Map where the score of IMG comes from, by covering parts of it.

    Without --api the local network answers. Writes a folder with the map over the picture, the
    map as numbers and every score; the same command again costs no call.
    """
    from probe.cli.probing import probe_pictures

    return probe_pictures(images, method, given)
