"""What `probe occlude`, `probe crop` and `probe plan` do with each picture."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from probe.cli.options import make_prober, open_picture
from probe.cli.sheets import arguments, planned_tiles
from probe.errors import ImageError, Interrupted, ProbeError, UsageError
from probe.text import printable

if TYPE_CHECKING:
    from probe.plan import Plan
    from probe.prober import Prober
    from probe.result import Result

MANY_CALLS = 500
HOLES = 3


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


def ask(prober: Prober, plan: Plan, wanted: dict[str, Any], given: dict[str, Any]) -> Result:
    """Run it, after consent, with progress on stderr."""
    from probe.cli.progress import progress

    _consent(plan, given)
    with progress(given["quiet"], plan.answers) as show:
        for result in prober.stream(**wanted):
            show(result)
    return result


def folder_of(image: str, method: str) -> str:
    stem = "stdin" if image == "-" else os.fsdecode(os.fsencode(Path(image).stem)[:200])
    return f"{stem}.probe" if method == "multiscale" else f"{stem}.{method}.probe"


def describe(plan: Plan) -> str:
    """One line: calls, requests, where to, how much, how long."""
    parts = [f"{plan.calls} call{'' if plan.calls == 1 else 's'} in {plan.requests} requests"]
    if plan.known:
        parts[0] += f" ({plan.known} of {plan.answers} answers are in the ledger)"
    if plan.host:
        parts.append(f"about {_bytes(plan.bytes)} to {plan.host}")
    if plan.cost is not None:
        parts.append(f"{plan.cost:.4g} {plan.currency}")
    if plan.calls:
        parts.append(f"about {max(1, round(plan.seconds))} s")
    return " · ".join(parts)


def announce(plan: Plan, given: dict[str, Any], sheet: Path | None = None) -> None:
    """The dry run in words, or as an object."""
    if given["as_json"]:
        about = {
            "schema": 1,
            "calls": plan.calls,
            "answers": plan.answers,
            "known": plan.known,
            "requests": plan.requests,
            "bytes": plan.bytes,
            "cost": plan.cost,
            "currency": plan.currency,
            "host": plan.host,
            "seconds": plan.seconds,
            "files": [str(sheet)] if sheet else [],
        }
        click.echo(json.dumps(about))
        return
    click.echo(describe(plan))
    if sheet:
        click.echo(f"sheet {printable(str(sheet))}")


def _consent(plan: Plan, given: dict[str, Any]) -> None:
    """Nothing dear, and nothing to another machine, without a word."""
    if plan.host is not None and not _loopback(plan.host) and not given["quiet"]:
        click.echo(describe(plan), err=True)
    if plan.calls <= MANY_CALLS or plan.cost is None or given["yes"]:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError(f"{describe(plan)}: that is dear; say --yes if it is meant")
    click.confirm(f"{describe(plan)}. Go on?", abort=True, err=True)


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


def _loopback(host: str) -> bool:
    name = host.rsplit(":", 1)[0].strip("[]")
    return name in ("localhost", "::1") or name.startswith("127.")


def _bytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size / 1e3:.0f} kB"
