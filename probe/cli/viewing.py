"""What `probe compare --map --map` does: two maps of one picture, and how far they agree."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from probe.backends.onnx import Onnx
from probe.cli.judging import read_map
from probe.cli.options import SENDING, make_backend, open_picture
from probe.cli.progress import progress
from probe.cli.running import HOLES, allow, held_folder, stem_of
from probe.decide.comparison import spearman
from probe.errors import UsageError, nearest
from probe.heatmap import Heatmap
from probe.inside import missing, require
from probe.judging import Judgement, judge
from probe.judging.ranking import cells_of
from probe.plan.words import at_most
from probe.prober import Prober
from probe.progress import in_turn
from probe.show import overlay, save_sheet
from probe.show.files import write_json, write_map
from probe.show.panels import panels
from probe.text import count, printable

if TYPE_CHECKING:
    from probe.image import Picture

JUDGING = 40
"""Answers that each map is judged by."""
CELLS = 16
OUTSIDE, INSIDE = "occlude", "deconv"


@dataclass(frozen=True, eq=False)
class Side:
    """One of the two maps: what it is called, how it was made, and what the model says of it."""

    name: str
    heatmap: Heatmap
    seconds: float
    judgement: Judgement


def compare_maps(image: str, given: dict[str, Any]) -> int:
    """Returns the exit code; whatever is wrong with the arguments is said before any call."""
    names, apis, labels = given["maps"], given["apis"] or ("local",), given["labels"]
    if len(names) != 2 or len(apis) != 1 or len(labels) > 1:
        raise UsageError(
            "--map is to be given twice, with one --api and one --label at most: as in "
            "`--map occlude --map deconv`"
        )
    picture = open_picture(image, given)
    backend = make_backend(apis[0], given)
    prober = Prober(backend, fill=given["fill"], **{name: given[name] for name in SENDING})
    plan = prober.plan(picture, labels[0] if labels else None, given["method"], given["budget"])
    made = [_reader(name, picture, backend) for name in names]
    calls = 2 * JUDGING + (plan.calls if OUTSIDE in names else 0)
    line, cost = at_most(calls, backend)
    if given["dry_run"]:
        about = {"schema": 1, "picture": picture.name, "calls": calls, "cost": cost, "files": []}
        click.echo(json.dumps(about) if given["as_json"] else line)
        return 0
    settings: dict[str, Any] = {
        "digest": picture.digest,
        "backend": backend.identity,
        "maps": list(names),
    }
    settings |= {name: given[name] for name in ("method", "budget", "seed", "fill", "side")}
    settings["label"] = labels[0] if labels else None
    settings["plan"] = sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()
    with held_folder(stem_of(image), "compare", settings["plan"], given, "compare.json") as folder:
        allow(line, calls, cost, backend.limits.host, given)
        with progress(given["quiet"], calls, prober, missing=calls) as show:
            watch = in_turn(show)
            sides = [
                _side(name, one, picture, prober, given, watch)
                for name, one in zip(names, made, strict=True)
            ]
        return _report(sides, folder, picture, settings, given)


def _reader(name: str, picture: Picture, backend: Any) -> Any:
    """What makes the map of a name: None for the black-box one, a view from inside, a saved map."""
    if name == OUTSIDE:
        return None
    if Path(name).exists():
        return read_map(name, picture)
    views = {} if missing() else _views()
    if name not in (INSIDE, *views):
        if not views:
            require()
        known = (OUTSIDE, INSIDE, *views)
        raise UsageError(
            f"no map {printable(name, 100)!r}.{nearest(name, known)} There are: "
            f"{', '.join(known)}, and the folder or file of one that was saved"
        )
    require()
    if not isinstance(backend, Onnx):
        raise UsageError("a view from inside needs a local network: --api local, or an ONNX file")
    from probe.inside.network import from_onnx

    return from_onnx(backend)


def _views() -> dict[str, Any]:
    from probe.inside.views import VIEWS

    return VIEWS


def _side(
    name: str, made: Any, picture: Picture, prober: Prober, given: dict[str, Any], watch: Any
) -> Side:
    """The map, and what following it does to the score, under the same budget for both."""
    label = given["labels"][0] if given["labels"] else None
    if isinstance(made, Heatmap):
        heatmap, seconds = made, 0.0
    elif made is None:
        for result in prober.stream(
            picture, label, given["method"], budget=given["budget"], seed=given["seed"]
        ):
            watch(result)
        heatmap, seconds = result.heatmap(), result.seconds
    else:
        from probe.inside.views import look

        view = "deconvnet" if name == INSIDE else name
        seen = look(made, picture.image, view, label, fit="squeeze", seed=given["seed"])
        heatmap, seconds = seen.heatmap, seen.seconds
    judgement = judge(
        prober, picture, heatmap, JUDGING, seed=given["seed"], label=label, watch=watch
    )
    shown = name if not isinstance(made, Heatmap) else Path(name).name
    return Side(printable(shown, 60), heatmap, seconds, judgement)


def agreement(one: Heatmap, other: Heatmap) -> dict[str, float | None]:
    """Spearman's, over the pixels that both know, and over the means of 16 x 16 parts: a map from
    inside is fine-grained, one from outside is not."""
    first, second = one.values, other.values
    known = np.isfinite(first) & np.isfinite(second)
    rows, columns = (min(CELLS, side) for side in first.shape)
    parts = [cells_of(np.where(known, values, np.nan), columns, rows) for values in (first, second)]
    both = np.isfinite(parts[0]) & np.isfinite(parts[1])
    return {
        "rank_correlation": spearman(first[known], second[known]),
        "rank_correlation_of_parts": spearman(parts[0][both], parts[1][both]),
    }


def _report(
    sides: Sequence[Side],
    folder: Path,
    picture: Picture,
    settings: dict[str, Any],
    given: dict[str, Any],
) -> int:
    """Files, the sentences for people, the object for programs."""
    agree = agreement(sides[0].heatmap, sides[1].heatmap)
    lines = [
        f"{side.name}: deletion {side.judgement.deletion:.2f}, insertion "
        f"{side.judgement.insertion:.2f}, made in {side.seconds:.1f} s"
        for side in sides
    ]
    first, second = (_said(value) for value in agree.values())
    lines.append(
        f"{sides[0].name} and {sides[1].name} rank alike by {first} over pixels, "
        f"{second} over {CELLS} x {CELLS} parts (1 is the same order, 0 none)"
    )
    shown = [("the picture", picture.image)]
    shown += [(side.name, overlay(side.heatmap, picture.image)) for side in sides]
    label = printable(sides[0].judgement.label, 28)
    page = panels(f"two maps of {label}, each on its own scale", shown, lines=lines)
    files = [str(save_sheet(page, folder / "compare.png"))]
    for letter, side in zip("ab", sides, strict=True):
        files.append(str(write_map(folder / f"{letter}.npz", side.heatmap)))
    judged = [side.judgement for side in sides]
    made_by = sum(side.heatmap.calls for side in sides)
    record: dict[str, Any] = {
        "schema": 1,
        "label": judged[0].label,
        "reference": dict(judged[0].reference),
        **agree,
        "maps": [
            {
                "name": side.name,
                "deletion": side.judgement.deletion,
                "insertion": side.judgement.insertion,
                "seconds": round(side.seconds, 3),
                "calls": side.heatmap.calls,
                "answers": side.heatmap.answers,
                "judgement": side.judgement.as_dict(),
            }
            for side in sides
        ],
        "calls": made_by + sum(one.calls for one in judged),
        "answers": sum(one.answers for one in judged) + sum(s.heatmap.answers for s in sides),
        "requests": sum(one.requests for one in judged),
        "cost": None if judged[0].cost is None else sum(one.cost or 0 for one in judged),
        "failures": sum(one.failures for one in judged),
        "seconds": round(sum(s.seconds + s.judgement.seconds for s in sides), 3),
        "settings": settings,
    }
    files.append(str(write_json(folder / "compare.json", record, indent=1)))
    code = HOLES if record["failures"] else 0
    if given["as_json"]:
        click.echo(json.dumps({**record, "exit_code": code, "files": files}))
    if not given["quiet"]:
        aside = given["as_json"]
        for line in lines:
            click.echo(f"{line}.", err=aside)
        calls = count(record["calls"], "call")
        click.echo(f"maps {printable(files[0])} · {calls}", err=aside)
    return code


def _said(value: float | None) -> str:
    return "nothing (one is flat)" if value is None else f"{value:.2f}"
