"""What `probe deconv` does: look, or change; check by the black box; say what was found."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from probe.backends.onnx import Onnx
from probe.cli.options import SENDING, make_backend, open_picture
from probe.cli.running import allow, held_folder, stem_of
from probe.errors import UsageError
from probe.image import Picture
from probe.inside.change import Change, change
from probe.inside.network import WhiteBox, from_onnx
from probe.inside.views import VIEWS, Sighting, look, view_named
from probe.plan.words import at_most
from probe.prober import Prober
from probe.show import overlay, save_sheet, sheet_of
from probe.show.files import versions, write_file, write_json, write_map
from probe.show.paint import Scale
from probe.show.panels import panels, signed
from probe.text import count, printable

if TYPE_CHECKING:
    from PIL import Image

RECORD = "deconv.json"


def opened(given: dict[str, Any]) -> tuple[Onnx, WhiteBox]:
    """The network from outside and from inside; UsageError for what has no inside here."""
    backend = make_backend(given["api"], given)
    if not isinstance(backend, Onnx):
        raise UsageError(
            f"--api {printable(given['api'], 60)} cannot be looked into: take local or an ONNX "
            "file; of a service there is only an outside, probe occlude"
        )
    return backend, from_onnx(backend)


def list_layers(given: dict[str, Any]) -> int:
    network = opened(given)[1]
    network.layer(None)
    for name, (channels, rows, columns) in network.layers.items():
        click.echo(f"{printable(name)}\t{channels} maps of {columns} x {rows}")
    return 0


def outside(backend: Onnx, given: dict[str, Any], side: int) -> Prober:
    """The black box, asked at full size and through the ledger."""
    return Prober(backend, **{**{name: given[name] for name in SENDING}, "side": side})


def look_inside(image: str, given: dict[str, Any]) -> int:
    view_named(given["view"])
    picture = open_picture(image, given)
    backend, network = opened(given)
    network.index(given["label"])
    settings = _settings(picture, network, given, ("view", "layer", "label", "fit", "seed"))
    stem = stem_of(image) + ("" if given["view"] == "deconvnet" else f".{given['view']}")
    with held_folder(stem, "deconv", settings["plan"], given, RECORD) as folder:
        seen = look(
            network,
            picture.image,
            given["view"],
            given["label"],
            layer=given["layer"],
            fit=given["fit"],
            seed=given["seed"],
        )
        black = outside(backend, given, max(seen.frame.image.size)).score(seen.frame.image)
        gap = network.check(black.reference, network.input(seen.frame.image))
        seen = replace(seen, heatmap=replace(seen.heatmap, calls=black.calls))
        files = save_sighting(seen, folder)
        record = {
            "view": seen.view,
            **_facts(seen.heatmap.label, black.reference, [black], seen.seconds),
            "difference": gap,
            "canvas": {"size": seen.heatmap.canvas.size, "send": seen.heatmap.canvas.send},
            "about": dict(seen.about),
            "settings": settings,
        }
        label = printable(seen.heatmap.label, 60)
        how = "padded to the network's shape" if given["fit"] == "pad" else "squeezed"
        what = f"the strongest maps of {seen.about['layer']}" if seen.parts else label
        lines = [
            f"{label} {seen.heatmap.reference:.3g} ({how}; {gap:.1g} from the black box's score). "
            f"{given['view']} leads from {printable(what, 80)} back to the pixels"
            f"{_where(seen)}."
        ]
        shown = printable(shlex.quote(image))
        following = f"probe compare {shown} --map occlude --map {given['view']}"
        return _finish(record, files, folder, lines, following, image, given)


def look_toward(image: str, given: dict[str, Any]) -> int:
    picture = open_picture(image, given)
    backend, network = opened(given)
    network.index(given["toward"])
    settings = _settings(picture, network, given, ("toward", "strength", "seed", "also"))
    with held_folder(f"{stem_of(image)}.toward", "deconv", settings["plan"], given, RECORD) as at:
        started, asked = perf_counter(), []
        prober = outside(backend, given, max(picture.image.size))

        def score(shown: Image.Image) -> Mapping[str, float]:
            asked.append(prober.score(shown))
            return asked[-1].reference

        found = change(
            network,
            picture.image,
            given["toward"],
            score,
            strength=given["strength"],
            seed=given["seed"],
        )
        others = _ask_another(found, given) if given["also"] else []
        files = save_change(found, at)
        label = found.label
        record = {
            **_facts(label, found.scores[0], [*asked, *others], perf_counter() - started),
            "after": dict(found.scores[1]),
            "controls": found.controls,
            "strength": found.strength,
            "largest": found.largest,
            "delta_e": {"mean": found.delta_e[0], "largest": found.delta_e[1]},
            "colours": found.colours,
            "also": [dict(one.reference) for one in others] or None,
            "settings": settings,
        }
        lines = words(found)
        if others:
            says = " to ".join(
                ", ".join(f"{printable(k, 60)} {v:.3g}" for k, v in [*one.reference.items()][:5])
                for one in others
            )
            lines.append(f"{printable(given['also'], 60)} goes from {says}.")
        following = f"probe occlude {printable(shlex.quote(files[1]))}"
        return _finish(record, files, at, lines, following, image, given)


def words(found: Change) -> list[str]:
    """What was changed, what that did, and what chance does."""
    before, after = (scores[found.label] for scores in found.scores)
    label = printable(found.label, 60)
    low, high = min(found.controls), max(found.controls)
    places = "; ".join(f"{one['words']} at {one['place']}" for one in found.colours)
    return [
        f"{label} goes from {before:.3g} to {after:.3g} when no channel moves by more than "
        f"{found.largest} of 255 (mean colour difference {found.delta_e[0]:.1f}, largest "
        f"{found.delta_e[1]:.1f}).",
        f"Random changes as large give {low:.3g} to {high:.3g}.",
        f"What moved: {places or 'nothing that could be seen'}.",
    ]


def _ask_another(found: Change, given: dict[str, Any]) -> list[Any]:
    service = make_backend(given["also"], given)
    line, cost = at_most(2, service)
    allow(line, 2, cost, service.limits.host, given)
    prober = Prober(service, **{name: given[name] for name in SENDING})
    return [prober.score(one) for one in (found.before, found.after)]


def save_sighting(seen: Sighting, folder: Path) -> list[str]:
    """overlay.png, map.npy, map.npz, and signal.png and maps.png of views that have them."""
    heatmap = seen.heatmap
    assert heatmap.image is not None
    shown = [("the picture", heatmap.image), (f"{seen.view}: how strongly", overlay(heatmap))]
    if VIEWS[seen.view].signed:
        shown[1] = (f"{seen.view}: red for, blue against", overlay(heatmap))
    if seen.signal is not None:
        shown.append(("back at the pixels, grey is none", signed(seen.signal)))
    what = f", the strongest maps of {seen.about['layer']}" if seen.parts else ""
    title = f"{seen.view}{what} · {printable(heatmap.label, 28)} {heatmap.reference:.3g}"
    page = panels(title, shown, Scale.of(heatmap), "share of the strongest value of the map")
    written = [save_sheet(page, folder / "overlay.png")]
    written.append(write_file(folder / "map.npy", lambda file: np.save(file, heatmap.values)))
    written.append(write_map(folder / "map.npz", heatmap))
    if seen.signal is not None:
        written.append(save_sheet(signed(seen.signal), folder / "signal.png"))
    if seen.parts:
        tiles = [(signed(part), name) for name, part in seen.parts]
        written.append(save_sheet(sheet_of([(title, tiles)], 3), folder / "maps.png"))
    return [str(path) for path in written]


def save_change(found: Change, folder: Path) -> list[str]:
    """overlay.png (before, change, after), after.png at full size, change.npy in levels."""
    before, after = (scores[found.label] for scores in found.scores)
    label = printable(found.label, 28)
    shown = [
        (f"before: {label} {before:.3g}", found.before),
        (f"the change, up to {found.largest} of 255", signed(found.difference, found.strength)),
        (f"after: {label} {after:.3g}", found.after),
    ]
    page = panels(f"toward {label}", shown, lines=words(found)[1:])
    written = [
        save_sheet(page, folder / "overlay.png"),
        save_sheet(found.after, folder / "after.png"),
        write_file(folder / "change.npy", lambda file: np.save(file, found.difference)),
    ]
    return [str(path) for path in written]


def _where(seen: Sighting) -> str:
    """The middle of the strongest hundredth of a map, in pixels."""
    values = np.nan_to_num(seen.heatmap.values, nan=-np.inf)
    if not values.max() > 0:
        return ", and nothing comes back"
    rows, columns = np.nonzero(values >= np.quantile(values, 0.99))
    return f", most about {int(np.median(columns))},{int(np.median(rows))} px"


def _settings(
    picture: Picture, network: WhiteBox, given: dict[str, Any], names: Sequence[str]
) -> dict[str, Any]:
    """What is needed to repeat it. plan: the same for the same question."""
    settings = {"digest": picture.digest, "backend": network.identity}
    settings |= {name: given[name] for name in names}
    plan = sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()
    return {"picture": picture.name, "plan": plan, **settings}


def _facts(
    label: str, reference: Mapping[str, float], asked: Sequence[Any], seconds: float
) -> dict[str, Any]:
    """What every probing command says of a run."""
    costs = [one.cost for one in asked if one.cost is not None]
    return {
        "label": label,
        "reference": dict(reference),
        "calls": sum(one.calls for one in asked),
        "answers": sum(len(one.answers) for one in asked),
        "requests": sum(one.requests for one in asked),
        "cost": sum(costs) if costs else None,
        "failures": sum(len(one.failures) for one in asked),
        "seconds": round(seconds, 3),
    }


def _finish(
    record: dict[str, Any],
    files: list[str],
    folder: Path,
    lines: Sequence[str],
    following: str,
    image: str,
    given: dict[str, Any],
) -> int:
    """The record, the sentences for people, the object for programs."""
    whole = {"schema": 1, **record, "versions": versions()}
    files = [*files, str(write_json(folder / RECORD, whole, indent=1))]
    if given["as_json"]:
        click.echo(json.dumps({**whole, "exit_code": 0, "files": files}, default=str))
    if given["quiet"]:
        return 0
    aside = given["as_json"]
    for line in lines:
        click.echo(line, err=aside)
    where, calls = printable(files[0]), count(record["calls"], "call")
    click.echo(f"picture {where} · {calls}, {record['seconds']:.1f} s", err=aside)
    if image != "-":
        click.echo(f"next: {following}", err=aside)
    return 0
