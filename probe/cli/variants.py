"""probe variants: the pictures that are really sent, each with its score."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from probe.cli import options


@click.command()
@click.argument("image", metavar="IMG", type=click.Path())
@options.picture
@click.option(
    "--method",
    "methods",
    multiple=True,
    help="Whose variants; several times for several. Default: those of occlude and of crop.",
)
@options.service
@options.design
@options.cover
@options.run
@options.report
@click.option(
    "--write",
    type=click.Path(),
    metavar="DIR",
    help="Write the variants as PNG files and a CSV to fill in, for a service without an API.",
)
@options.output
def variants(image: str, methods: tuple[str, ...], write: str | None, **given: Any) -> int:
    """Draw the variants of IMG on one sheet, each with its score.

    What `probe occlude` and `probe crop` sent is in the ledger and costs nothing here; what is
    not is asked (--dry-run draws it without scores). With --write nothing is asked: score the
    files by hand, fill in scores.csv, and give it to `probe occlude IMG --scores FILE`.
    """
    from probe.cli.sheets import draw, write_variants

    picture = options.open_picture(image, given)
    chosen = methods or ("multiscale", "windows")
    if write is not None:
        about, code = write_variants(picture, image, chosen, Path(write), given), 0
    else:
        about, code = draw(picture, image, chosen, given)
    if given["as_json"]:
        click.echo(json.dumps({"schema": 1, "picture": picture.name, **about}))
    return code
