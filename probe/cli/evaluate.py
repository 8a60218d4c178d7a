"""probe evaluate: how good is a service over a data set?"""

from __future__ import annotations

from typing import Any

import click

from probe.cli import options

RATE = click.FloatRange(min=0, max=1, min_open=True, max_open=True)


@click.command()
@click.argument("scores", metavar="SCORES", type=click.Path())
@options.truth
@click.option(
    "--label",
    "labels",
    multiple=True,
    metavar="COLUMN",
    help="The column of scores; by default the only one of numbers from 0 to 1. Twice: the second "
    "is that of the file of --against.",
)
@click.option(
    "--against",
    type=click.Path(),
    metavar="COLUMN|FILE",
    help="A second service: another column, or another file with the same pictures.",
)
@click.option("--group", metavar="COLUMN", help="Also by each word of this column.")
@click.option(
    "--fpr",
    multiple=True,
    type=RATE,
    default=(0.01, 0.1),
    show_default=True,
    help="Find the threshold for this rate of false positives; several times for several.",
)
@click.option(
    "--threshold",
    type=click.FloatRange(0, 1),
    default=0.5,
    show_default=True,
    help="Also judge this one: scores at or above it count as found.",
)
@click.option(
    "--bootstrap",
    type=click.IntRange(100, 100_000),
    default=500,
    show_default=True,
    help="Draws for the intervals.",
)
@click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0))
@click.option("--out", type=click.Path(), help="Folder for the results; SCORES.evaluate here.")
@click.option("--force", is_flag=True, help="Write over another evaluation's folder.")
@options.as_json
@options.quiet
@options.debug
def evaluate(scores: str, **given: Any) -> int:
    """Measure how good the scores in SCORES are, a CSV or Parquet file with one row a picture.

    Columns: picture, a truth, and one for each label with scores from 0 to 1; perhaps digest,
    failure, and any others. Writes ROC, precision and recall, calibration and thresholds, each
    with its 95% interval, to a folder. Asks no service.
    """
    from probe.cli.evaluating import evaluate_table

    return evaluate_table(scores, given)
