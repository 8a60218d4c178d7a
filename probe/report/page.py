"""Results as one HTML file that needs nothing else."""

from __future__ import annotations

import shlex
from base64 import b64encode
from collections.abc import Mapping, Sequence
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from probe.errors import UsageError
from probe.finding import finding
from probe.report import packing
from probe.report.curves import charts
from probe.report.facts import facts
from probe.report.maps import NAME, Places, colours, maps, shown_labels
from probe.report.templates import templates
from probe.report.variants import CELLS, variants
from probe.result import Result
from probe.show.convergence import convergence
from probe.show.files import write_file
from probe.show.paint import paint
from probe.text import count, printable

if TYPE_CHECKING:
    pass

DIFFERENT = "these are runs over different pictures: choose runs over one"
SMALL = 200
LARGEST = 1024


def page(
    results: Result | Sequence[Result],
    *,
    names: Sequence[str] = (),
    command: str | None = None,
    judged: Mapping[str, Any] | None = None,
    said: str | None = None,
    pictures: Mapping[str, Image.Image] | None = None,
) -> str:
    """The page of one run, or of runs over one picture side by side.

    names: of the runs, where there are several. command: what repeats it, by default what the
    runs' settings say. judged: the record that `probe judge` wrote of the map. said: what was
    found, in a sentence; by default of each run. pictures: more to show, each under its heading.
    The maps of runs that measure the same have one scale.
    Raises UsageError without a run, and for runs over several pictures.
    """
    runs = [results] if isinstance(results, Result) else list(results)
    if not runs:
        raise UsageError("a report is of at least one run")
    if len({str(run.settings.get("digest")) for run in runs}) > 1:
        raise UsageError(DIFFERENT)
    heads = [printable(name, 60) for name in names] or [""] * len(runs)
    panels = [_panel(result, head) for result, head in zip(runs, heads, strict=True)]
    _one_scale([panel["data"]["maps"][0] for panel in panels])
    template = templates("probe.report").get_template("report.html")
    style, script = asset("report.css"), asset("view.js")
    name = printable(str(runs[0].settings.get("picture", "a picture")), NAME)
    return template.render(
        title=name.replace("\\", "/").rsplit("/", 1)[-1],
        panels=panels,
        said=said or _said(runs, heads),
        commands=[printable(one, 2000) for one in _commands(runs, command)],
        pictures=[
            (name, packing.picture(packing.small(one, LARGEST)))
            for name, one in (pictures or {}).items()
        ],
        charts=charts(judged),
        verdict=None if judged is None else printable(str(judged.get("verdict", "")), 1000),
        style=style,
        script=script,
        style_hash=hash_of(style),
        script_hash=hash_of(script),
        data={"runs": [panel["data"] for panel in panels], "colours": colours(), "cells": CELLS},
        count=count,
    )


def save_report(text: str, path: Path) -> Path:
    """Write a page, whole or not at all; raises OutputError."""
    return write_file(path, lambda file: file.write(text.encode("utf-8", "backslashreplace")))


def _panel(result: Result, head: str) -> dict[str, Any]:
    places = Places.of(result.canvas.send)
    made = maps(result, places)
    shown = shown_labels(result)[: len(made)]
    return {
        "head": head,
        "result": result,
        "labels": [one["label"] for one in made],
        "left_out": len(result.labels) - len(made),
        "facts": facts(result),
        "notes": [printable(str(note), 1000) for note in result.notes],
        "convergence": _convergence(result),
        "fallback": _painted(result),
        "data": {
            "head": head,
            "size": result.canvas.size,
            "send": result.canvas.send,
            "step": places.step,
            "first": [int(places.columns[0]), int(places.rows[0])],
            "places": [len(places.columns), len(places.rows)],
            "maps": made,
            "variants": variants(result, shown),
            "picture": _picture(result),
        },
    }


def _said(runs: Sequence[Result], heads: Sequence[str]) -> str:
    named = (f"{head}: " if head else "" for head in heads)
    return " ".join(f"{name}{finding(run)}" for name, run in zip(named, runs, strict=True))


def _one_scale(maps: Sequence[dict[str, Any]]) -> None:
    """The maps that are shown first can be compared where they measure the same."""
    if len({(one["kind"], one["unit"]) for one in maps}) == 1:
        lows, highs = zip(*(one["scale"] for one in maps), strict=True)
        for one in maps:
            one["scale"] = [min(lows), max(highs)]


def _picture(result: Result) -> str | None:
    if result.image is None:
        return None
    return packing.picture(packing.small(result.image, LARGEST))


def _commands(runs: Sequence[Result], command: str | None) -> list[str]:
    """What repeats the page, or each of its runs."""
    if command is not None:
        return [command]
    known = [str(run.settings.get("command", "")) for run in runs]
    return list(dict.fromkeys(one for one in known if _is_own(one)))


def _is_own(command: str) -> bool:
    """Whether it is a command of probe, and nothing else for a shell."""
    try:
        words = shlex.split(command)
    except ValueError:
        return False
    return words[:1] == ["probe"] and shlex.join(words) == command


def _painted(result: Result) -> str:
    return packing.picture(_map_at(result.heatmap(), result.image, 400))


def _convergence(result: Result) -> list[dict[str, Any]]:
    """The map after 8, 16, 32 ... answers and the last one, which says no likeness to itself."""
    steps = convergence(result)
    return [
        {
            "answers": step.answers,
            "likeness": None if step is steps[-1] else step.correlation,
            "picture": packing.picture(_map_at(step.heatmap, result.image, SMALL)),
        }
        for step in steps
    ]


def _map_at(heatmap: Any, image: Image.Image | None, side: int) -> Image.Image:
    width, height = heatmap.canvas.size
    factor = min(1.0, side / max(width, height))
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    return paint(heatmap, None if image is None else image.resize(size), size)


def asset(name: str) -> str:
    """The text of a file that pages are made of."""
    return (files("probe.report") / "page" / name).read_text("utf-8")


def hash_of(text: str) -> str:
    """As a Content-Security-Policy names it."""
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"
