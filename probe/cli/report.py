"""probe report: a run as one page, to hover."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from probe.cli import options
from probe.text import printable


@click.command()
@click.argument("runs", nargs=-1, required=True, metavar="RUN...", type=click.Path())
@click.option(
    "--picture",
    type=click.Path(),
    metavar="IMG",
    help="The picture, where it does not lie near RUN any more.",
)
@click.option(
    "--judged",
    type=click.Path(),
    metavar="FOLDER",
    help="A judgement of the map; by default the one that lies beside RUN.",
)
@click.option("--out", type=click.Path(), metavar="FILE", help="The page; RUN/report.html here.")
@click.option("--force", is_flag=True, help="Write over a file that is there.")
@options.as_json
@options.quiet
@options.debug
def report(runs: tuple[str, ...], **given: Any) -> int:
    """Write the run in the folder RUN as one page: the map, and the pictures behind each spot.

    Costs no call and needs no network, neither to make nor to look at. Several runs over one
    picture stand side by side, in report.html of the current folder.
    """
    from probe.cli.reporting import check_page, write_report
    from probe.errors import UsageError
    from probe.report.judgements import judgement_in, judgement_near
    from probe.show import load_run
    from probe.show.files import REPORT

    folders = [Path(run) for run in runs]
    own = len(folders) == 1 and not given["out"]
    path = folders[0] / REPORT if own else Path(given["out"] or REPORT)
    check_page(path, force=own or given["force"])
    if given["judged"] and len(folders) > 1:
        raise UsageError("--judged is of one map: give one RUN")
    results = [load_run(folder, given["picture"]) for folder in folders]
    judged = None
    if given["judged"]:
        judged = judgement_in(Path(given["judged"]), results[0])
    elif len(folders) == 1:
        judged = judgement_near(folders[0], results[0])
    names = [folder.resolve().name for folder in folders] if len(folders) > 1 else []
    file = write_report(path, results, names=names, judged=judged)
    if given["as_json"]:
        name = results[0].settings.get("picture")
        click.echo(json.dumps({"schema": 1, "picture": name, "files": [file]}))
    elif not given["quiet"]:
        if any(result.image is None for result in results):
            click.echo("note: the picture is not at hand: give it by --picture", err=True)
        click.echo(f"page {printable(file)}")
    return 0
