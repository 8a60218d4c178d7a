"""The figure and the files of a judgement: a map, and how the score goes as it is followed."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from probe.errors import UsageError
from probe.judging import Curve, Judgement
from probe.judging.ranking import Kind
from probe.show.figure import DOTS, PLAIN, new_axes
from probe.show.files import SCHEMA, save_sheet, write_json
from probe.show.paint import paint
from probe.show.words import LABEL, drawable, number
from probe.text import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SIZE = (12.0, 4.4)
OWN = "#b2182b"
OTHERS = "#8a8a8a"
WAYS: dict[Kind, tuple[str, str]] = {
    "deletion": ("covered by its mean colour", "low is good"),
    "insertion": ("shown, the rest blurred", "high is good"),
}


def save_judgement(judgement: Judgement, folder: Path, settings: Mapping[str, Any]) -> list[Path]:
    """Write curves.png and judge.json into `folder`, made if need be; raises OutputError.

    settings: what is needed to repeat it.
    """
    record = {"schema": SCHEMA, "settings": dict(settings), **judgement.as_dict()}
    return [
        save_sheet(figure(judgement), folder / "curves.png"),
        write_json(folder / "judge.json", record, indent=1),
    ]


def figure(judgement: Judgement) -> Image.Image:
    """A finished picture, RGB, 1,200 x 440: the map, its deletion and its insertion curve.

    The map's curves are red, with a dot where the model was asked; the controls' are grey. A
    cross on the axis is a picture that got no score.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    drawing = Figure(figsize=SIZE, dpi=DOTS, layout="constrained", facecolor="white")
    canvas = FigureCanvasAgg(drawing)
    drawing.suptitle(f"{judgement.comparison}.", size=10, **PLAIN)
    picture, *panels = drawing.subplots(1, 3)
    _show_map(judgement, picture)
    for ax, kind in zip(panels, WAYS, strict=True):
        plot_curves(judgement, kind, ax)
    buffer = BytesIO()
    canvas.print_png(buffer, metadata={"Software": None})  # type: ignore[no-untyped-call]
    return Image.open(buffer).convert("RGB")


def _show_map(judgement: Judgement, ax: Axes) -> None:
    width, height = judgement.image.size
    factor = min(1.0, 400 / max(width, height))
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    ax.imshow(np.asarray(paint(judgement.heatmap, judgement.image.resize(size))), aspect="auto")
    ax.set_box_aspect(min(4.0, max(0.25, height / width)))
    ax.set_axis_off()
    ax.set_title("the map that is judged", size=9)


def plot_curves(judgement: Judgement, kind: Kind = "deletion", ax: Axes | None = None) -> Axes:
    """Draw the deletion or the insertion curve of a judged map into `ax` or a new figure.

    The map's curve is red, with a dot where the model was asked; the controls' are grey. Both
    kinds are on one scale of scores, so that two axes can be held against each other. Raises
    UsageError for a kind that was not judged.
    """
    if kind not in WAYS or kind not in judgement.curves:
        asked = " or ".join(judgement.curves)
        raise UsageError(f"no curve {printable(str(kind), 40)!r} was judged: give {asked}")
    ax = new_axes(5.2, 4.2) if ax is None else ax
    own, others = judgement.curves[kind], judgement.control.curves[kind]
    done, aim = WAYS[kind]
    for n, other in enumerate(others):
        name = None if n else _control_name(judgement, len(others))
        ax.plot(*_line(other), color=OTHERS, lw=0.9, marker=".", ms=4, alpha=0.7, label=name)
    shares, scores = _line(own)
    ax.fill_between(shares, scores, color=OWN, alpha=0.08, lw=0)
    ax.plot(shares, scores, color=OWN, lw=1.8, marker="o", ms=3.5, label="the map")
    whole = f"unchanged {number(own.reference)}"
    ax.axhline(own.reference, color="black", lw=0.8, ls=":", label=whole)
    holes = [share for share, score in own.points if score is None]
    if holes:
        ax.plot(holes, [0.0] * len(holes), "x", color=OWN, clip_on=False, label="no score")
    area = "not known" if isnan(own.area) else f"{own.area:.2f} ± {own.stderr:.2f}"
    ax.set_title(f"{kind} {area} ({aim})", size=9)
    ax.set_xlabel(f"share of the picture {done}, hottest first", size=8)
    ax.set_ylabel(f"score of {drawable(judgement.label, LABEL)}", size=8, **PLAIN)
    ax.set_xlim(0, 1)
    ax.set_ylim(min(0.0, *_heights(judgement)), 1.08 * max(_heights(judgement)))
    ax.xaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
    ax.tick_params(labelsize=8)
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(fontsize=8, framealpha=0.85, edgecolor="none")
    return ax


def _control_name(judgement: Judgement, copies: int) -> str:
    if judgement.control.what == "given":
        return "the other map"
    return "a copy of it elsewhere" if copies == 1 else f"{copies} copies of it elsewhere"


def _line(curve: Curve) -> tuple[list[float], list[float]]:
    known = [(share, score) for share, score in curve.points if score is not None]
    return [share for share, _ in known], [score for _, score in known]


def _heights(judgement: Judgement) -> list[Any]:
    others = [curve for curves in judgement.control.curves.values() for curve in curves]
    return [score for curve in [*judgement.curves.values(), *others] for score in _line(curve)[1]]
