"""probe judge: does the model bear a map out?"""

from __future__ import annotations

from typing import Any

import click

from probe.cli import options


@click.command()
@click.argument("image", metavar="IMG", type=click.Path())
@options.picture
@click.option(
    "--map",
    "made",
    type=click.Path(),
    metavar="FOLDER|FILE",
    help="The map: the folder of a run, its map.npz, or any array (H, W) as .npy. Without it "
    "the default method makes one, free where its answers are known.",
)
@click.option(
    "--mask",
    type=click.Path(),
    metavar="FILE",
    help="Where the evidence is known to be: a picture of IMG's size, white inside.",
)
@click.option(
    "--control",
    type=click.Path(),
    metavar="FOLDER|FILE",
    help="A map to hold it against, instead of copies of it in other places.",
)
@click.option("--budget", default=40, show_default=True, help="Answers the judgement may use.")
@click.option("--label", help="The label it is judged by; by default the map's.")
@click.option(
    "--method", help="Makes the map, where none is given; by default that of probe occlude."
)
@click.option("--map-budget", default=64, show_default=True, help="Answers that map may use.")
@options.service
@options.cover
@click.option("--out", type=click.Path(), help="Folder for the results; IMG.judge here.")
@click.option("--force", is_flag=True, help="Write over another judgement's folder.")
@click.option("--dry-run", is_flag=True, help="Only say how many calls it takes at most.")
@options.yes
@options.report
@options.output
def judge(image: str, **given: Any) -> int:
    """Test whether the score of IMG follows its map, by few calls.

    Covers what the map calls evident first (deletion: the score should fall fast), and shows it
    first in a blurred picture (insertion: it should rise fast). Copies of the map in other places
    show what luck does. Writes curves.png and judge.json; the same command again costs no call.
    """
    from probe.cli.judging import judge_picture

    return judge_picture(image, given)
