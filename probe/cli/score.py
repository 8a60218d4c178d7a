"""probe score: what a service says of many pictures."""

from __future__ import annotations

from typing import Any

import click

from probe.cli import options


@click.command()
@click.argument("places", nargs=-1, required=True, metavar="FOLDER|LIST|IMG...")
@click.option("--label", help="The label to speak of; the service's own question by default.")
@options.service
@click.option(
    "--out", type=click.Path(), help="The table, .csv or .parquet; FOLDER.scores.csv here."
)
@click.option("--force", is_flag=True, help="Write over a file that is no table of scores.")
@click.option("--dry-run", is_flag=True, help="Only say how many calls it takes at most.")
@options.yes
@options.output
def score(places: tuple[str, ...], **given: Any) -> int:
    """Ask for the scores of many pictures, in full batches, one call a picture.

    Of a folder all pictures in it and below; of a list, CSV or Parquet (or a folder of Parquet
    files), those of its column `picture`, and its other columns go with them. Each may be a URL,
    such as s3://bucket/folder. Writes a row a picture and a column a label. What is no picture is
    listed and skipped, equal pictures are bought once, and the same command goes on where it was
    stopped.
    """
    from probe.cli.scoring import score_pictures

    return score_pictures(places, given)
