"""What `probe compare` says: what would be sent, what was found, what it cost."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import click

from probe.cli.repeating import as_given, command_of
from probe.cli.reporting import say_page, write_report
from probe.cli.running import stem_of
from probe.cli.sheets import planned_tiles
from probe.decide.compare_ground import Contender
from probe.decide.comparison import Comparison
from probe.errors import OutputError
from probe.plan.words import describe, planned
from probe.progress import Sum
from probe.show import save_sheet, sheet_of
from probe.show.comparison import comparison_figure, comparison_record
from probe.show.files import REPORT
from probe.text import count, printable


def announce(pair: tuple[Contender, Contender], image: str, given: dict[str, Any]) -> None:
    """The dry run: what goes to each and what it costs, and the sheet of it."""
    path = Path(given["out"]) / "plan.png" if given["out"] else Path(f"{stem_of(image)}.plan.png")
    tiles = planned_tiles(pair[0].plan)
    sheet = save_sheet(sheet_of([("what would be sent to both", tiles)]), path)
    if given["as_json"]:
        plans = [{"name": one.name, **planned(one.plan)} for one in pair]
        calls = sum(one.plan.calls for one in pair)
        about = {"schema": 1, "calls": calls, "plans": plans, "files": [str(sheet)]}
        click.echo(json.dumps(about))
        return
    for one in pair:
        click.echo(f"{one.name}: {describe(one.plan, one.prober.backend)}")
    click.echo(f"sheet {printable(str(sheet))}")


def report_partial(
    found: Comparison, folder: Path, image: str, given: dict[str, Any], error: Any
) -> None:
    """What is known of two runs that were stopped; a full disk must not hide why."""
    try:
        report(found, folder, image, given, error.exit_code)
    except OutputError as full:
        click.echo(f"note: {full}", err=True)


def report(found: Comparison, folder: Path, image: str, given: dict[str, Any], code: int) -> None:
    """Files, the sentence for people, the object for programs."""
    files = [str(path) for path in found.save(folder)]
    if given["report"]:
        about = {"names": found.names, "said": _finding(found), "command": command_of(image)}
        pictures = {"Where they differ": comparison_figure(found)}
        files.append(write_report(folder / REPORT, found.results, pictures=pictures, **about))
    if given["as_json"]:
        click.echo(json.dumps(_record(found, files, code)))
    if given["quiet"]:
        return
    for note in found.notes:
        click.echo(f"note: {printable(note)}", err=True)
    aside = given["as_json"]
    click.echo(_finding(found), err=aside)
    costs = " · ".join(
        f"{name} {count(result.calls, 'call')}"
        + ("" if result.cost is None else f", {result.cost:.4g} {printable(result.currency or '')}")
        for name, result in zip(found.names, found.results, strict=True)
    )
    failures = sum(len(result.failures) for result in found.results)
    click.echo(f"maps {printable(files[0])} · {costs} · {count(failures, 'failure')}", err=aside)
    say_page(files, aside)
    if image != "-" and given["unit"] == "score" and all(r.complete for r in found.results):
        again = f"probe compare {shlex.quote(image)}{as_given('unit')} --unit share"
        click.echo(f"next: {printable(again)}", err=aside)


def _record(found: Comparison, files: list[str], code: int) -> dict[str, Any]:
    results, both = found.results, Sum([*found.results])
    return {
        "picture": results[0].settings["picture"],
        "label": list(found.labels),
        "reference": [dict(result.reference) for result in results],
        "calls": both.calls,
        "answers": len(both.answers),
        "requests": both.requests,
        "cost": both.cost,
        "currency": both.currency,
        "failures": len(both.failures),
        "seconds": round(max(result.seconds for result in results), 3),
        "complete": all(result.complete for result in results),
        "exit_code": code,
        "files": files,
        **comparison_record(found),
    }


def _finding(found: Comparison) -> str:
    """What was found, in one or two sentences."""
    said = ", ".join(
        f"{name}: {printable(label, 40)} {score:.3g}"
        for name, label, score in zip(found.names, found.labels, found.references, strict=True)
    )
    agreement, ranks, strongest = found.agreement, found.rank_correlation, found.strongest
    if agreement is None:
        return f"{said}. The maps are empty: no variant has a score of both."
    alike = "" if ranks is None else f" (rank correlation of the maps {ranks:.2f})"
    if agreement == 1:
        return f"{said}. They are not shown to differ anywhere{alike}."
    sentence = f"{said}. They differ on {1 - agreement:.0%} of what both see{alike}"
    if strongest is None or strongest["box"] is None:
        return f"{sentence}."
    x0, y0, x1, y1 = strongest["box"]
    one, other = strongest["scores"]
    return (
        f"{sentence}, most about {x0},{y0}-{x1},{y1} px ({strongest['area']:.0%} of the picture): "
        f"{'shown alone' if strongest['kind'] == 'window' else 'covered'}, that leaves "
        f"{one:.3g} and {other:.3g}."
    )
