"""probe redact: the smallest cover that makes the service say something else."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from probe.cli import options
from probe.cli.repeating import as_given, command_of
from probe.cli.reporting import say_page
from probe.text import count, printable

if TYPE_CHECKING:
    from probe.decide.redact_record import Redaction
    from probe.types import Codec

NOT_REPEATED = ("below", "above", "boxes", "max_area", "budget")


@click.command()
@click.argument("image", metavar="IMG", type=click.Path())
@options.picture
@click.option("--below", type=float, help="The score to get under; default: the service's own.")
@click.option("--above", type=float, help="Raise the score to this instead.")
@click.option("--label", help="The label to change; the service's own question by default.")
@click.option("--boxes", default=3, show_default=True, help="So many boxes at most.")
@click.option(
    "--max-area", default=0.5, show_default=True, help="The largest share that may be covered."
)
@click.option("--budget", default=64, show_default=True, help="Answers to use beside the map's 64.")
@options.service
@options.cover
@click.option(
    "--out", type=click.Path(), help="The covered picture (.png or .jpg); IMG.redacted.png here."
)
@click.option("--force", is_flag=True, help="Write over a file that is there.")
@click.option("--dry-run", is_flag=True, help="Only say how many calls it takes at most.")
@options.yes
@options.report
@options.output
def redact(image: str, **given: Any) -> int:
    """Find the smallest cover of IMG that brings its score under a threshold.

    Asks what a map asks, then searches for few, small boxes; puts them on the picture at full
    size and sends that to make sure. The same command again costs no call. That no cover does
    it is an answer, too (exit code 0).
    """
    from probe.cli.options import make_prober, open_picture
    from probe.cli.progress import progress
    from probe.cli.reporting import check_page, write_report
    from probe.cli.running import HOLES, allow
    from probe.decide.redact import redact as find
    from probe.errors import UsageError
    from probe.plan.words import at_most
    from probe.progress import in_turn

    if given["scores"]:
        raise UsageError("redact asks as it learns: scores written down beforehand will not do")
    codec, path = _destination(image, given)
    if given["report"]:
        check_page(path.with_suffix(".html"), force=given["force"] or not given["out"])
    picture, prober = open_picture(image, given), make_prober(given)
    plan = prober.plan(picture, given["label"], seed=given["seed"])
    line, cost = at_most(plan.calls + given["budget"], prober.backend)
    if given["dry_run"]:
        return _announce(line, plan.calls + given["budget"], picture.name, given)
    if not given["offline"]:
        allow(line, plan.calls + given["budget"], cost, plan.host, given)
    answers, calls = (number + given["budget"] for number in (plan.answers, plan.calls))
    with progress(given["quiet"], answers, prober, missing=calls) as show:
        found = find(
            prober,
            picture,
            given["label"],
            given["below"],
            given["above"],
            given["budget"],
            boxes=given["boxes"],
            max_area=given["max_area"],
            seed=given["seed"],
            codec=codec,
            watch=in_turn(show),
        )
    files = [str(found.save(path))] if found.boxes else []
    if given["report"]:
        before = prober.probe(picture, given["label"], seed=given["seed"])
        pictures = {} if found.image is None else {"The picture, covered": found.image}
        about = {"said": sentence(found), "command": command_of(image), "pictures": pictures}
        files.append(write_report(path.with_suffix(".html"), [before], **about))
    code = HOLES if found.spent.failures and not found.found else 0
    _report(found, files, image, given, code)
    return code


def _destination(image: str, given: dict[str, Any]) -> tuple[Codec, Path]:
    """Where the picture goes, and the form that its name asks for."""
    from probe.cli.running import stem_of
    from probe.errors import UsageError
    from probe.types import Codec

    path = Path(given["out"] or f"{stem_of(image)}.redacted.png")
    ending = path.suffix.lower()
    if ending not in (".png", ".jpg", ".jpeg"):
        raise UsageError(f"--out {printable(str(path))}: give a name that ends in .png or .jpg")
    if given["out"] and path.exists() and not given["force"]:
        raise UsageError(f"{printable(str(path))} is there: choose another --out, or --force")
    return (Codec("png") if ending == ".png" else Codec("jpeg", 95)), path


def _announce(line: str, calls: int, name: str, given: dict[str, Any]) -> int:
    if given["as_json"]:
        click.echo(json.dumps({"schema": 1, "picture": name, "calls": calls}))
    else:
        click.echo(line)
    return 0


def _report(
    found: Redaction, files: Sequence[str], image: str, given: dict[str, Any], code: int
) -> None:
    """Files, the sentence for people, the object for programs."""
    if given["as_json"]:
        record = {"schema": 1, **found.record(), "exit_code": code, "files": list(files)}
        click.echo(json.dumps(record))
    if given["quiet"]:
        return
    for note in found.notes:
        click.echo(f"note: {printable(note)}", err=True)
    aside, spent = given["as_json"], found.spent
    click.echo(sentence(found), err=aside)
    cost = "" if spent.cost is None else f", {spent.cost:.4g} {spent.currency}"
    where = f"picture {printable(files[0])} · " if found.boxes else ""
    click.echo(f"{where}{count(spent.calls, 'call')}{cost}, {spent.seconds:.1f} s", err=aside)
    say_page(files, aside)
    if found.boxes:
        again = printable(as_given(*NOT_REPEATED))
        click.echo(f"next: probe occlude {printable(shlex.quote(files[0]))}{again}", err=aside)


def sentence(found: Redaction) -> str:
    """What was found, in one sentence; boxes are in pixels of the picture."""
    label, before = printable(found.label, 60), found.reference[found.label]
    side = "at or above" if found.above else "below"
    aim = f"{side} {found.threshold:g}"
    if found.already:
        return f"{label} is {before:.3g}, {aim} as it is: nothing has to be covered."
    if found.found:
        boxes = " and ".join(f"{x0},{y0}-{x1},{y1}" for x0, y0, x1, y1 in found.boxes)
        kind = "box" if len(found.boxes) == 1 else f"{len(found.boxes)} boxes"
        full = found.scores.get("full")
        checked = f"{found.score:.3g}" + ("" if full is None else f", at full size {full:.3g}")
        return (
            f"Covering {_share(found.area or 0)} of the picture ({kind} {boxes} px) brings "
            f"{label} from {before:.3g} to {found.score:.3g} (verified: {checked})."
        )
    asked = len([one for one in found.tried if one.score is not None])
    closest = "" if found.score is None else f"; the closest of {asked} tried is {found.score:.3g}"
    return f"No cover was found that brings {label} from {before:.3g} {aim}{closest}."


def _share(area: float) -> str:
    return f"{area:.0%}" if area >= 0.095 else f"{area:.1%}" if area >= 0.0095 else f"{area:.2%}"
