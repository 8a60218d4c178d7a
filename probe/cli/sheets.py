"""Contact sheets and written variants: what `probe variants` and `--dry-run` produce."""

from __future__ import annotations

import csv
import shlex
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from probe.cli.options import make_prober
from probe.cli.repeating import as_given, command_of
from probe.cli.reporting import say_page, write_report
from probe.cli.running import HOLES, arguments, ask, stem_of
from probe.errors import OutputError, UsageError
from probe.plan.words import describe, planned
from probe.text import count, printable
from probe.types import Codec, Identity, Perturbation, Window, region_of

DIGEST = 16

if TYPE_CHECKING:
    from probe.image import Picture
    from probe.plan import Plan
    from probe.result import Result
    from probe.show import Tile


def planned_tiles(plan: Plan) -> Iterator[Tile]:
    """What would be sent, by kind; rendered one by one."""
    from probe.perturb import kind
    from probe.show import Tile

    for number, change in enumerate(plan.perturbations):
        yield Tile(plan.renderer.variant(change).pixels(), f"#{number} {kind(change)}")


def draw(
    picture: Picture, image: str, methods: Sequence[str], given: dict[str, Any]
) -> tuple[dict[str, Any], int]:
    """One sheet with a section a method; returns what to say of it and the exit code."""
    from probe.show import save_sheet, sheet_of
    from probe.show.sheet import scored_tiles

    prober, code = make_prober(given), 0
    results: list[Result] = []
    sections: list[tuple[str, Iterable[Tile]]] = []
    plans = []
    for method in methods:
        wanted = arguments(picture, method, given)
        plan = prober.plan(**wanted)
        plans.append(planned(plan))
        if given["dry_run"]:
            if not given["as_json"]:
                click.echo(f"{method}: {describe(plan, prober.backend)}")
            sections.append((f"{method}: what would be sent", planned_tiles(plan)))
        else:
            result = ask(prober, plan, wanted, given)
            results.append(result)
            code = HOLES if result.failures else code
            title = f"{method}: what was sent, with its score of {printable(result.label, 60)}"
            sections.append((title, scored_tiles(result, plan.renderer)))
    folder = Path(given["out"]) if given["out"] else None
    path = folder / "variants.png" if folder else Path(f"{stem_of(image)}.variants.png")
    files = [str(save_sheet(sheet_of(sections), path))]
    if given["report"] and results:
        about = {"names": methods if len(results) > 1 else (), "command": command_of(image)}
        files.append(write_report(path.with_suffix(".html"), results, **about))
    if not given["quiet"] and not given["as_json"]:
        click.echo(f"sheet {printable(str(path))}")
        say_page(files, aside=False)
    return {"plans": plans, "files": files}, code


def write_variants(
    picture: Picture, image: str, methods: Sequence[str], folder: Path, given: dict[str, Any]
) -> dict[str, Any]:
    """The variants as PNG files, and scores.csv with a row for each and an empty label column."""
    from probe import Prober, from_callable

    table = folder / "scores.csv"
    if table.exists() and not given["force"]:
        raise UsageError(f"{printable(str(table))} exists: choose another --write, or --force")
    label = given["label"] or "nsfw"
    planner = Prober(
        from_callable(lambda images: [], [label]), fill=given["fill"], side=given["side"]
    )
    plans = [planner.plan(**arguments(picture, method, given)) for method in methods]
    variants = {_row(change): (plan, change) for plan in plans for change in plan.perturbations}
    files: list[str] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with table.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["file", "kind", "x0", "y0", "x1", "y1", "fill", "picture", label])
            for number, (row, (plan, change)) in enumerate(variants.items()):
                name = f"{number:04d}-{row[0]}.png"
                (folder / name).write_bytes(plan.renderer.variant(change).encode(Codec("png")))
                files.append(str(folder / name))
                fill = "" if isinstance(change, Identity | Window) else str(plan.renderer.fill)
                writer.writerow([name, *row, fill, picture.digest[:DIGEST], ""])
    except OSError as error:
        raise OutputError(f"cannot write to {folder}: {error.strerror}") from error
    if not given["quiet"] and not given["as_json"]:
        shown, where = printable(shlex.quote(image)), printable(shlex.quote(str(table)))
        said = (
            f"{count(len(files), 'picture')} and {printable(str(table))}: fill in its last column"
        )
        click.echo(said)
        for method in methods:
            verb = f"crop {shown}" if method == "windows" else f"occlude {shown} --method {method}"
            again = printable(as_given("methods", "write", "api", "codec"))
            click.echo(f"next: probe {verb}{again} --scores {where}")
    return {"plans": [planned(plan) for plan in plans], "files": [*files, str(table)]}


def _row(change: Perturbation) -> tuple[str, ...]:
    from probe.perturb import name

    if isinstance(change, Identity):
        return (name(change), "", "", "", "")
    return (name(change), *(repr(float(edge)) for edge in region_of(change)))
