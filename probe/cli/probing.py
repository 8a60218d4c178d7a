"""What `probe occlude`, `probe crop` and `probe plan` do with each picture."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from probe.cli.options import make_prober, open_picture
from probe.cli.running import HOLES, announce, arguments, ask, folder_of
from probe.cli.sheets import planned_tiles
from probe.errors import ImageError, Interrupted, ProbeError, UsageError
from probe.text import printable

if TYPE_CHECKING:
    from probe.prober import Prober
    from probe.result import Result


def probe_pictures(images: Sequence[str], method: str, given: dict[str, Any]) -> int:
    """Probe each picture; returns the exit code.

    All must be there before the first is paid for. With several pictures one that cannot be
    used is skipped and listed; anything else stops.
    """
    from probe.image import open_file

    for image in images:
        if image != "-":
            open_file(image).close()
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
            code = HOLES
    return code


def _probe(prober: Prober, image: str, method: str, given: dict[str, Any]) -> int:
    from probe.show import open_folder, save_sheet, sheet_of

    picture = open_picture(image, given)
    wanted = arguments(picture, method, given)
    plan = prober.plan(**wanted)
    folder = Path(given["out"] or folder_of(image, method))
    if given["dry_run"]:
        sheet = folder / "plan.png"
        save_sheet(sheet_of([("what would be sent", planned_tiles(plan))]), sheet)
        announce(plan, given, sheet)
        return 0
    before = open_folder(folder)
    if before is not None and before != plan.digest and not given["force"]:
        raise UsageError(
            f"{printable(str(folder))} holds the results of another run: "
            "choose another --out, or --force to write over it"
        )
    try:
        result = ask(prober, plan, wanted, given)
    except (ProbeError, Interrupted) as error:
        if error.partial is not None:
            _report(error.partial, folder, image, given, code=error.exit_code)
        raise
    code = HOLES if result.failures else 0
    _report(result, folder, image, given, code)
    return code


def _report(result: Result, folder: Path, image: str, given: dict[str, Any], code: int) -> None:
    """Files, the sentence for people, the object for programs."""
    files = [str(path) for path in result.save(folder)]
    if given["as_json"]:
        click.echo(json.dumps(_record(result, files, code)))
    if given["quiet"]:
        return
    for note in result.notes:
        click.echo(f"note: {printable(note)}", err=True)
    stream = given["as_json"]
    click.echo(_finding(result), err=stream)
    cost = "" if result.cost is None else f", {result.cost:.4g} {result.currency}"
    calls = f"{result.calls} call{'' if result.calls == 1 else 's'}"
    click.echo(
        f"map {printable(files[0])} · {calls}{cost}, {result.seconds:.1f} s · "
        f"{len(result.failures)} failures",
        err=stream,
    )
    if code in (0, HOLES):
        method, shown = result.settings["method"], printable(shlex.quote(image))
        click.echo(f"next: probe variants {shown} --method {method}", err=stream)


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
        "cost": result.cost,
        "currency": result.currency,
        "failures": len(result.failures),
        "seconds": round(result.seconds, 3),
        "complete": result.complete,
        "exit_code": code,
        "notes": list(result.notes),
        "files": files,
    }


def _finding(result: Result) -> str:
    """What was found, in one sentence."""
    noise = f" ± {result.noise:.2g}" if result.noise else ""
    sentence = f"{printable(result.label, 60)} {result.reference[result.label]:.2f}{noise}."
    strongest = result.strongest
    if strongest is None:
        return sentence
    row = result.describe(strongest)
    x0, y0, x1, y1 = row["box"]
    where = f"{x0},{y0}-{x1},{y1} ({row['area']:.0%} of the picture)"
    if row["kind"] == "window":
        return f"{sentence} The window {where} scores {row['score']:.2f} by itself."
    return f"{sentence} Covering the box {where} brings it to {row['score']:.2f}."
