"""What `probe deconv` does: look, check by the black box, say what was found."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import click
import numpy as np

from probe.backends.onnx import Onnx
from probe.cli.options import make_backend, open_picture, sending_of
from probe.cli.running import held_folder, stem_of
from probe.errors import UsageError
from probe.image import Picture
from probe.inside.network import WhiteBox, from_onnx
from probe.inside.views import VIEWS, Sighting, look, view_named
from probe.prober import Prober
from probe.show import overlay, save_sheet, sheet_of
from probe.show.files import versions, write_file, write_json, write_map
from probe.show.paint import Scale
from probe.show.panels import panels, signed
from probe.text import count, printable

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
    return Prober(backend, **{**sending_of(given), "side": side})


def look_inside(image: str, given: dict[str, Any]) -> int:
    view_named(given["view"])
    picture = open_picture(image, given)
    backend, network = opened(given)
    network.index(given["label"])
    settings = settings_of(picture, network, given, ("view", "layer", "label", "fit", "seed"))
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
            **facts(seen.heatmap.label, black.reference, [black], seen.seconds),
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
        if "kept" in seen.about:
            lines.append(_enough(seen, label))
        shown = printable(shlex.quote(image))
        following = f"probe compare {shown} --map occlude --map {given['view']}"
        return finish(record, files, folder, lines, following, image, given)


def _enough(seen: Sighting, label: str) -> str:
    """How much of the picture is enough, by a view that keeps parts of it."""
    parts = zip(seen.about["areas"], seen.about["kept"], seen.about["covered"], strict=True)
    said = "; ".join(
        f"{area:.0%} of the picture alone {_number(kept)}, without it {_number(covered)}"
        for area, kept, covered in parts
    )
    return f"{label} by {said}."


def _number(score: float | None) -> str:
    return "nothing" if score is None else f"{score:.3g}"


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


def _where(seen: Sighting) -> str:
    """The middle of the strongest hundredth of a map, in pixels."""
    values = np.nan_to_num(seen.heatmap.values, nan=-np.inf)
    if not values.max() > 0:
        return ", and nothing comes back"
    rows, columns = np.nonzero(values >= np.quantile(values, 0.99))
    return f", most about {int(np.median(columns))},{int(np.median(rows))} px"


def settings_of(
    picture: Picture, network: WhiteBox, given: dict[str, Any], names: Sequence[str]
) -> dict[str, Any]:
    """What is needed to repeat it. plan: the same for the same question."""
    settings = {"digest": picture.digest, "backend": network.identity}
    settings |= {name: given[name] for name in names}
    plan = sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()
    return {"picture": picture.name, "plan": plan, **settings}


def facts(
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


def whole(record: dict[str, Any]) -> dict[str, Any]:
    """As it is written down."""
    return {"schema": 1, **record, "versions": versions()}


def finish(
    record: dict[str, Any],
    files: list[str],
    folder: Path,
    lines: Sequence[str],
    following: str,
    image: str,
    given: dict[str, Any],
    code: int = 0,
) -> int:
    """The record, the sentences for people, the object for programs."""
    files = [*files, str(write_json(folder / RECORD, whole(record), indent=1))]
    if given["as_json"]:
        about = {**whole(record), "exit_code": code, "files": files}
        click.echo(json.dumps(about, default=str))
    if given["quiet"]:
        return code
    aside = given["as_json"]
    for line in lines:
        click.echo(line, err=aside)
    where, calls = printable(files[0]), count(record["calls"], "call")
    click.echo(f"picture {where} · {calls}, {record['seconds']:.1f} s", err=aside)
    if image != "-":
        click.echo(f"next: {following}", err=aside)
    return code
