"""What `probe occlude`, `probe crop` and `probe plan` do with each picture."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from probe.cli.options import make_prober, open_picture
from probe.cli.previewing import draw
from probe.cli.repeating import as_given
from probe.cli.reporting import recorded, say_page, write_report
from probe.cli.running import HOLES, arguments, ask, results_folder, stem_of
from probe.cli.sheets import planned_tiles
from probe.errors import ImageError, Interrupted, OutputError, ProbeError, UsageError
from probe.finding import finding
from probe.plan.words import describe, planned
from probe.show.files import REPORT, mark_picture
from probe.text import count, printable

if TYPE_CHECKING:
    from probe.image import Picture
    from probe.plan import Plan
    from probe.prober import Prober
    from probe.result import Result


def probe_pictures(images: Sequence[str], method: str, given: dict[str, Any]) -> int:
    """Probe each picture; returns the exit code.

    All must be there before the first is paid for. With several pictures one that cannot be
    used is skipped and listed; anything else stops.
    """
    from probe.source import check_file

    for image in images:
        with suppress(ImageError):
            check_file(image)
    if len(images) > 1 and given["out"]:
        raise UsageError("--out is one folder: with several pictures leave it out")
    prober = make_prober(given)
    code = 0
    for image in images:
        try:
            code = max(code, _probe(prober, image, method, given))
        except ImageError as error:
            if len(images) == 1:
                raise
            click.echo(f"probe: skipped: {error}", err=True)
            if given["as_json"]:
                about = {"type": "ImageError", "message": str(error), "exit_code": 6}
                skipped = {"schema": 1, "picture": printable(Path(image).name), "error": about}
                click.echo(json.dumps(skipped))
            code = HOLES
        if len(images) > 1 and not given["quiet"] and not given["as_json"]:
            click.echo("")
    return code


def _probe(prober: Prober, image: str, method: str, given: dict[str, Any]) -> int:
    picture = open_picture(image, given)
    wanted = arguments(picture, method, given)
    plan = prober.plan(**wanted)
    if given["scores"]:
        _check_table(prober, plan, picture)
    if given["dry_run"]:
        _announce(prober, image, plan, picture, given)
        return 0
    with results_folder(image, plan, given) as folder:
        try:
            result = ask(prober, plan, wanted, given)
        except (ProbeError, Interrupted) as error:
            if error.partial is not None:
                _report_partial(error.partial, folder, image, given, error.exit_code)
            raise
        code = HOLES if result.failures else 0
        _report(result, folder, image, given, code)
    return code


def _check_table(prober: Prober, plan: Plan, picture: Picture) -> None:
    """The scores of a table must be those of this picture, this fill and this plan."""
    from probe.backends.table import ScoresFile

    assert isinstance(prober.backend, ScoresFile)
    prober.backend.check(picture.digest, str(plan.renderer.fill), plan.perturbations)


def _announce(
    prober: Prober, image: str, plan: Plan, picture: Picture, given: dict[str, Any]
) -> None:
    """The dry run in words, or as an object, and the sheet of what would be sent."""
    from probe.show import save_sheet, sheet_of

    path = Path(given["out"]) / "plan.png" if given["out"] else Path(f"{stem_of(image)}.plan.png")
    sheet = save_sheet(sheet_of([("what would be sent", planned_tiles(plan))]), path)
    if given["as_json"]:
        about = {"schema": 1, "picture": picture.name, **planned(plan), "files": [str(sheet)]}
        click.echo(json.dumps(about))
    else:
        click.echo(describe(plan, prober.backend))
        click.echo(f"sheet {printable(str(sheet))}")


def _report(result: Result, folder: Path, image: str, given: dict[str, Any], code: int) -> None:
    """Files, the sentence for people, the object for programs."""
    result = recorded(result, image, given)
    files = [str(path) for path in result.save(folder)]
    if image != "-":
        mark_picture(folder, image)
    if given["report"]:
        files.append(write_report(folder / REPORT, [result]))
    if given["as_json"]:
        click.echo(json.dumps(_record(result, files, code)))
    if given["quiet"]:
        return
    for note in result.notes:
        click.echo(f"note: {printable(note)}", err=True)
    aside = given["as_json"]
    click.echo(finding(result), err=aside)
    if given.get("preview"):
        draw(result.heatmap(), aside)
    cost = "" if result.cost is None else f", {result.cost:.4g} {result.currency}"
    click.echo(
        f"map {printable(files[0])} · {count(result.calls, 'call')}{cost}, "
        f"{result.seconds:.1f} s · {count(len(result.failures), 'failure')}",
        err=aside,
    )
    say_page(files, aside)
    if result.complete and image != "-":
        method, shown = result.settings["method"], printable(shlex.quote(image))
        options = printable(as_given("method"))
        click.echo(f"next: probe variants {shown} --method {method}{options}", err=aside)


def _report_partial(
    result: Result, folder: Path, image: str, given: dict[str, Any], code: int
) -> None:
    """What is known of a run that was stopped; a full disk must not hide why."""
    try:
        _report(result, folder, image, given, code)
    except OutputError as error:
        click.echo(f"note: {error}", err=True)


def _record(result: Result, files: list[str], code: int) -> dict[str, Any]:
    strongest = result.strongest
    return {
        "schema": 1,
        "picture": result.settings["picture"],
        "backend": result.backend,
        "method": result.settings["method"],
        "label": result.label,
        "reference": dict(result.reference),
        "noise": result.noise,
        "strongest": None if strongest is None else result.describe(strongest),
        "calls": result.calls,
        "answers": len(result.answers),
        "requests": result.requests,
        "throttled": result.throttled,
        "cost": result.cost,
        "currency": result.currency,
        "failures": len(result.failures),
        "seconds": round(result.seconds, 3),
        "complete": result.complete,
        "exit_code": code,
        "notes": list(result.notes),
        "files": files,
    }
