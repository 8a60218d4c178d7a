"""What `probe compare --map --map` does: two maps of one picture, and how far they agree."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import click

from probe.backends.onnx import Onnx
from probe.cli.judging import read_map
from probe.cli.options import make_backend, open_picture, sending_of
from probe.cli.progress import progress
from probe.cli.repeating import as_given, command_of
from probe.cli.reporting import say_page, write_report
from probe.cli.running import HOLES, allow, arguments, held_folder, stem_of
from probe.cli.sides import Side, drawn, record_of, words
from probe.decide.agreement import agreement
from probe.errors import UsageError, nearest
from probe.heatmap import Heatmap
from probe.inside import missing, require
from probe.judging import judge
from probe.plan.words import at_most
from probe.prober import Prober
from probe.progress import in_turn
from probe.result import Result
from probe.show import load_run, save_sheet
from probe.show.files import REPORT, write_json, write_map
from probe.text import count, printable

if TYPE_CHECKING:
    from probe.image import Picture

JUDGING = 40
"""Answers that each map is judged by."""
OUTSIDE, INSIDE = "occlude", "deconv"
FILES = "a.npz", "b.npz"
OF_SERVICES = {"unit": "score"}
"""Options that say something of two services alone, and what they are where they are left out."""

Seen = tuple[Heatmap, Result | None]
Maker = Callable[[], Seen]


def compare_maps(image: str, given: dict[str, Any]) -> int:
    """Returns the exit code; whatever is wrong with the arguments is said before any call."""
    _check(given)
    names = given["maps"]
    picture = open_picture(image, given)
    backend = make_backend((given["apis"] or ("local",))[0], given)
    prober = Prober(backend, fill=given["fill"], **sending_of(given))
    saved = {name: read_map(name, picture, _label(given)) for name in names if _is_saved(name)}
    given = {**given, "label": _label(given) or _label_of(saved)}
    networks = {name: _network(name, backend) for name in names if name not in (OUTSIDE, *saved)}
    for network in networks.values():
        network.index(given["label"])
    calls, answers = _at_most(prober, picture, given)
    line, cost = at_most(calls, backend)
    if given["dry_run"]:
        about = {"schema": 1, "picture": picture.name, "calls": calls, "cost": cost, "files": []}
        click.echo(json.dumps(about) if given["as_json"] else line)
        return 0
    settings = _settings(picture, backend, saved, given)
    with held_folder(stem_of(image), "compare", settings["plan"], given, "compare.json") as folder:
        allow(line, calls, cost, backend.limits.host, given)
        with progress(given["quiet"], answers, prober, missing=calls) as show:
            watch = in_turn(show)

            def maker(name: str) -> Maker:
                if name in saved:
                    return lambda: (saved[name], _run_of(name, picture, given))
                if name in networks:
                    return lambda: (_look(networks[name], name, picture, given), None)
                return lambda: _ask(prober, picture, given, watch)

            sides = [
                _side(name, maker(name), folder / file, prober, picture, given, watch)
                for name, file in zip(names, FILES, strict=True)
            ]
        return _report(sides, folder, image, picture, settings, given)


def _check(given: dict[str, Any]) -> None:
    names = given["maps"]
    if len(names) != 2 or len(given["apis"]) > 1 or len(given["labels"]) > 1:
        raise UsageError(
            "--map is to be given twice, with one --api and one --label at most: as in "
            "`--map occlude --map deconv`"
        )
    for name, default in OF_SERVICES.items():
        if given[name] != default:
            raise UsageError(f"--{name} is for two services: leave it out with --map")
    if given["report"] and not any(name == OUTSIDE or Path(name).is_dir() for name in names):
        raise UsageError(
            "--report shows runs, and neither map is of one: compare with `--map occlude` or with "
            "the folder of a run, or leave --report out"
        )


def _is_saved(name: str) -> bool:
    return name not in (OUTSIDE, INSIDE) and Path(name).exists()


def _label(given: dict[str, Any]) -> str | None:
    return given["labels"][0] if given["labels"] else None


def _label_of(saved: Mapping[str, Heatmap]) -> str | None:
    """That of the saved maps, for both sides must look for the same."""
    labels = sorted({heatmap.label for heatmap in saved.values() if heatmap.label})
    if len(labels) > 1:
        said = " and ".join(repr(printable(label, 60)) for label in labels)
        raise UsageError(f"the maps are of {said}: give two of the same label")
    return labels[0] if labels else None


def _network(name: str, backend: Any) -> Any:
    """The network that a view from inside looks into; UsageError for what is no name of one."""
    views: Mapping[str, Any] = {}
    if not missing():
        from probe.inside.views import VIEWS as views  # noqa: N811
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


def _at_most(prober: Prober, picture: Picture, given: dict[str, Any]) -> tuple[int, int]:
    """Calls and answers: those of the runs, and those that both maps are judged by."""
    calls = answers = len(given["maps"]) * JUDGING
    if OUTSIDE in given["maps"]:
        plan = prober.plan(**arguments(picture, given["method"], given))
        runs = given["maps"].count(OUTSIDE)
        return calls + runs * plan.calls, answers + runs * plan.answers
    return calls, answers


def _settings(
    picture: Picture, backend: Any, saved: Mapping[str, Heatmap], given: dict[str, Any]
) -> dict[str, Any]:
    """What is needed to repeat it. plan: the same for the same question."""
    settings: dict[str, Any] = {
        "digest": picture.digest,
        "backend": backend.identity,
        "maps": [
            sha256(saved[name].values.tobytes()).hexdigest() if name in saved else name
            for name in given["maps"]
        ],
    }
    asked = ("label", "method", "budget", "seed", "fill", "side", "size", "stride")
    settings |= {name: given[name] for name in asked}
    plan = sha256(json.dumps(settings, sort_keys=True, default=str).encode()).hexdigest()
    return {"picture": picture.name, "plan": plan, **settings}


def _run_of(name: str, picture: Picture, given: dict[str, Any]) -> Result | None:
    """The run whose folder was given, where its page is asked for."""
    if not given["report"] or not Path(name).is_dir():
        return None
    return load_run(Path(name), picture.image)


def _look(network: Any, name: str, picture: Picture, given: dict[str, Any]) -> Heatmap:
    """Squeezed as the black box squeezes it, so that both see the same pixels."""
    from probe.inside.views import look

    view = "deconvnet" if name == INSIDE else name
    seen = look(network, picture.image, view, given["label"], fit="squeeze", seed=given["seed"])
    return seen.heatmap


def _ask(prober: Prober, picture: Picture, given: dict[str, Any], watch: Any) -> Seen:
    for result in prober.stream(**arguments(picture, given["method"], given)):
        watch(result)
    return result.heatmap(), result


def _side(
    name: str,
    make: Maker,
    file: Path,
    prober: Prober,
    picture: Picture,
    given: dict[str, Any],
    watch: Any,
) -> Side:
    """The map, which is written before more is asked, and what following it does to the score,
    under the same budget for both."""
    started = perf_counter()
    heatmap, run = make()
    seconds = perf_counter() - started
    write_map(file, heatmap)
    judgement = judge(
        prober, picture, heatmap, JUDGING, seed=given["seed"], label=given["label"], watch=watch
    )
    shown = printable(Path(name).name or name, 60)
    return Side(shown, heatmap, run, name == OUTSIDE, seconds, judgement)


def _report(
    sides: Sequence[Side],
    folder: Path,
    image: str,
    picture: Picture,
    settings: dict[str, Any],
    given: dict[str, Any],
) -> int:
    """Files, the sentences for people, the object for programs."""
    agree = agreement(sides[0].heatmap, sides[1].heatmap)
    lines = words(sides, agree)
    page = drawn(sides, picture, lines)
    files = [str(save_sheet(page, folder / "compare.png")), *(str(folder / file) for file in FILES)]
    record = record_of(sides, agree, settings)
    files.append(str(write_json(folder / "compare.json", record, indent=1)))
    runs = [(side.name, side.run) for side in sides if side.run is not None]
    if given["report"] and runs:
        about: dict[str, Any] = {"said": f"{'. '.join(lines)}.", "command": command_of(image)}
        if len(runs) > 1:
            about["names"] = [name for name, _ in runs]
        pictures = {"Both maps, each on its own scale": page}
        found = [run for _, run in runs]
        files.append(write_report(folder / REPORT, found, pictures=pictures, **about))
    code = HOLES if record["failures"] else 0
    if given["as_json"]:
        click.echo(json.dumps({**record, "exit_code": code, "files": files}))
    if given["quiet"]:
        return code
    aside = given["as_json"]
    for line in lines:
        click.echo(f"{line}.", err=aside)
    cost = "" if record["cost"] is None else f", {record['cost']:.4g} {record['currency']}"
    calls = count(record["calls"], "call")
    click.echo(f"maps {printable(files[0])} · {calls}{cost}", err=aside)
    say_page(files, aside)
    if image != "-" and OUTSIDE in given["maps"]:
        more = f" --budget {2 * max(64, given['budget'])}"
        again = f"probe compare {shlex.quote(image)}{as_given('budget')}{more}"
        click.echo(f"next: {printable(again)}", err=aside)
    return code
