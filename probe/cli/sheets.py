"""Contact sheets and written variants: what `probe variants` and `--dry-run` produce."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from probe.cli.options import length_text, make_prober
from probe.cli.running import HOLES, announce, arguments, ask, folder_of
from probe.errors import OutputError, UsageError
from probe.text import printable
from probe.types import Box, Codec, Failure, Identity, Perturbation, Scores, Window

if TYPE_CHECKING:
    from probe.image import Picture
    from probe.plan import Plan
    from probe.result import Result
    from probe.show import Tile


def planned_tiles(plan: Plan) -> Iterator[Tile]:
    """What would be sent, by kind; rendered one by one."""
    from probe.perturb import kind
    from probe.show import Tile

    for change in plan.perturbations:
        yield Tile(plan.renderer.variant(change).pixels(), kind(change))


def scored_tiles(plan: Plan, result: Result) -> Iterator[Tile]:
    """What was sent, each with its score of the result's label; rendered one by one."""
    from probe.show import Tile

    for answer in result.answers:
        caption = _caption(answer.outcome, answer.perturbation, result.label)
        yield Tile(plan.renderer.variant(answer.perturbation).pixels(), caption)


def draw(
    picture: Picture, image: str, methods: Sequence[str], given: dict[str, Any]
) -> tuple[list[Path], int]:
    """One sheet with a section a method; returns the file and the exit code."""
    from probe.show import save_sheet, sheet_of

    prober, code = make_prober(given), 0
    sections: list[tuple[str, Iterable[Tile]]] = []
    for method in methods:
        wanted = arguments(picture, method, given)
        plan = prober.plan(**wanted)
        if given["dry_run"]:
            announce(plan, given)
            title, tiles = f"{method}: what would be sent", planned_tiles(plan)
        else:
            result = ask(prober, plan, wanted, given)
            code = HOLES if result.failures else code
            tiles = scored_tiles(plan, result)
            title = f"{method}: what was sent, with its score of {printable(result.label, 60)}"
        sections.append((title, tiles))
    path = Path(given["out"] or folder_of(image, "multiscale")) / "variants.png"
    save_sheet(sheet_of(sections), path)
    if not given["quiet"] and not given["as_json"]:
        click.echo(f"sheet {printable(str(path))}")
    return [path], code


def write_variants(
    picture: Picture, methods: Sequence[str], folder: Path, given: dict[str, Any]
) -> list[Path]:
    """The variants as PNG files, and scores.csv with a row for each and an empty label column."""
    from probe import Prober, from_callable

    table = folder / "scores.csv"
    if table.exists() and not given["force"]:
        raise UsageError(f"{printable(str(table))} exists: choose another --write, or --force")
    label = given["label"] or "nsfw"
    planner = Prober(
        from_callable(lambda images: [], [label]), fill=given["fill"], side=given["side"]
    )
    files: list[Path] = []
    rows: list[tuple[str, tuple[str, ...]]] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for plan in (planner.plan(**arguments(picture, method, given)) for method in methods):
            for change in plan.perturbations:
                if (row := _row(change)) in (known for _, known in rows):
                    continue
                path = folder / f"{len(rows):04d}-{row[0]}.png"
                path.write_bytes(plan.renderer.variant(change).encode(Codec("png")))
                files.append(path)
                rows.append((path.name, row))
        with table.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["file", "kind", "x0", "y0", "x1", "y1", label])
            writer.writerows([name, *row, ""] for name, row in rows)
    except OSError as error:
        raise OutputError(f"cannot write to {folder}: {error.strerror}") from error
    if not given["quiet"] and not given["as_json"]:
        click.echo(f"{len(files)} pictures and {printable(str(table))}: fill in its last column")
        for method in methods:
            click.echo(f"next: {_command(method, given)} --scores {printable(str(table))}")
    return [*files, table]


def _command(method: str, given: dict[str, Any]) -> str:
    """The command whose plan is the one written."""
    words = ["probe crop IMG"] if method == "windows" else [f"probe occlude IMG --method {method}"]
    words += [f"--size {length}" for length in map(length_text, given["size"])]
    if given["stride"] is not None:
        words.append(f"--stride {length_text(given['stride'])}")
    words += [f"--{name} {given[name]}" for name in ("budget", "seed", "fill", "side")]
    return " ".join(words)


def _row(change: Perturbation) -> tuple[str, ...]:
    from probe.perturb import kind

    if isinstance(change, Identity):
        return (kind(change), "", "", "", "")
    edges = (change.x0, change.y0, change.x1, change.y1)
    return (kind(change), *(f"{edge:.9f}" for edge in edges))


def _caption(outcome: Scores | Failure, change: Perturbation, label: str) -> str:
    score = (
        "no score" if isinstance(outcome, Failure) else f"{outcome.get(label, float('nan')):.3f}"
    )
    return score if isinstance(change, Box | Window) else f"whole {score}"
