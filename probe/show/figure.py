"""Figures of one map: an axes to put anywhere, and a finished picture for files and notebooks.

matplotlib is imported when something is drawn, and pyplot never, so no window and no global
state is touched. Labels come from services: nothing in them is read as mathematics.
"""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from probe.heatmap import Heatmap
from probe.show.paint import Scale, blanks, paint, unsure
from probe.show.words import length, scale_label, significance, title

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.patches import Patch

DOTS = 100  # pixels an inch, of everything drawn here
PANEL = 520
THINNEST = 40
MARGIN = 24
NARROWEST = 560
PLAIN: dict[str, Any] = {"parse_math": False, "usetex": False}


def plot(heatmap: Heatmap, ax: Axes | None = None) -> Axes:
    """Draw the map over its picture, with its scale, into `ax` or a new figure.

    The title says the label, the reference and the answers; a legend says what is hatched and
    what is dotted.
    Without a picture (a map loaded from a file) the map alone is drawn.
    """
    return show_map(heatmap, ax, title(heatmap), scale_label(heatmap), patterns(heatmap))


def new_axes(width: float, height: float) -> Axes:
    """The axes of a new figure of so many inches; it belongs to no window."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="compressed", facecolor="white")
    FigureCanvasAgg(figure)
    return figure.add_subplot()


def show_map(
    heatmap: Heatmap, ax: Axes | None, heading: str, measure: str, keys: Sequence[Artist]
) -> Axes:
    """The map over its picture in pixels of the picture, between its heading, a legend of `keys`
    and the scale, which `measure` says the meaning of."""
    width, height = heatmap.canvas.size
    if ax is None:
        lines = len(keys) + heading.count("\n")
        ax = new_axes(6.4, min(max(6.4 * height / width + 1.2, 2.6), 6.0) + 0.2 * lines)
    needle = max(width, height) > 12 * min(width, height)
    shown = panel(heatmap, fitted(heatmap.canvas.size, 2 * PANEL, PANEL if needle else 1))
    ax.imshow(
        np.asarray(shown),
        extent=(0, width, height, 0),
        origin="upper",
        aspect="auto" if needle else "equal",
        interpolation="nearest" if shown.width >= width else "antialiased",
    )
    place = "bottom" if width > 1.1 * height else "right"
    colorbar = ax.figure.colorbar(mappable(Scale.of(heatmap)), ax=ax, location=place)
    upright = place == "right"
    colorbar.set_label(wrapped(measure, ax, "small", upright), size="small", **PLAIN)
    pad = 6.0
    if keys:
        legend = ax.legend(
            handles=keys,
            loc="lower center",
            bbox_to_anchor=(0.5, 1),
            frameon=False,
            fontsize="small",
        )
        for text in legend.get_texts():
            text.set_parse_math(False)
            text.set_text(wrapped(text.get_text(), ax, "small"))
        pad = 9 + sum(2.5 + 10 * (text.get_text().count("\n") + 1) for text in legend.get_texts())
    ax.set_title(wrapped(heading, ax, "medium"), fontsize="medium", pad=pad, **PLAIN)
    return ax


def wrapped(text: str, ax: Axes, size: str, upright: bool = False) -> str:
    """The text in lines of a like length, each about as long as the axes are wide, or `upright`
    as they are high."""
    from matplotlib.font_manager import FontProperties

    box = ax.get_window_extent()
    room = 1.2 * (box.height if upright else box.width) / dots_of(ax) * 72
    room /= FontProperties(size=size).get_size_in_points()
    lines = []
    for line in text.split("\n"):
        parts = ceil(length(line) / room)
        lines += _broken(line, min(room, 1.15 * length(line) / max(1, parts)))
    return "\n".join(lines)


def _broken(line: str, room: float) -> list[str]:
    """The line in parts as wide as `room`, in sizes of the font; a longer word is one by itself."""
    parts: list[str] = []
    for word in line.split(" "):
        if parts and length(f"{parts[-1]} {word}") <= room:
            parts[-1] += f" {word}"
        else:
            parts.append(word)
    return parts


def dots_of(ax: Axes) -> float:
    """Pixels an inch of the figure of these axes."""
    figure = ax.get_figure(root=True)
    return DOTS if figure is None else figure.dpi


def figure(heatmap: Heatmap) -> Image.Image:
    """A finished picture, RGB: the image, the map over it, the scale in units, one line of words.

    About 1,100 pixels wide at most. Panels stand side by side, or above each other for wide
    pictures; tiny pictures are enlarged, and needle-shaped ones are stretched to be seen.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    size = fitted(heatmap.canvas.size, PANEL, THINNEST)
    panels = [panel(heatmap, size)]
    if heatmap.image is not None:
        panels.insert(0, resized(heatmap.image, size))
    beside = size[0] <= 1.5 * size[1]
    columns = len(panels) if beside else 1
    rows = len(panels) // columns
    across = columns * size[0] + (columns - 1) * MARGIN
    down = rows * size[1] + (rows - 1) * MARGIN
    width = max(across, NARROWEST) + 2 * MARGIN
    keys = patterns(heatmap)
    head, foot = 44, 84 + 22 * len(keys) + (4 if keys else 0)
    height = head + down + foot

    drawing = Figure(figsize=(width / DOTS, height / DOTS), dpi=DOTS, facecolor="white")
    canvas = FigureCanvasAgg(drawing)
    drawing.text(0.5, 1 - 22 / height, title(heatmap), ha="center", va="center", size=11, **PLAIN)
    left = (width - across) // 2
    for number, shown in enumerate(panels):
        x = left + (number % columns) * (size[0] + MARGIN)
        y = head + (number // columns) * (size[1] + MARGIN)
        drawing.figimage(np.asarray(shown), x, height - y - size[1], origin="upper")
    long = min(width - 2 * MARGIN, max(NARROWEST - 80, size[0]))
    bar = drawing.add_axes(
        ((width - long) / 2 / width, (foot - 30) / height, long / width, 12 / height)
    )
    colorbar = drawing.colorbar(mappable(Scale.of(heatmap)), cax=bar, orientation="horizontal")
    colorbar.set_label(scale_label(heatmap), size=9, **PLAIN)
    colorbar.ax.tick_params(labelsize=8)
    colorbar.outline.set_visible(False)
    if keys:
        drawing.legend(handles=keys, loc="lower center", frameon=False, fontsize=9)
    return drawn(canvas)


def drawn(canvas: FigureCanvasAgg) -> Image.Image:
    """What a figure's canvas shows, RGB."""
    buffer = BytesIO()
    canvas.print_png(  # type: ignore[no-untyped-call]
        buffer, metadata={"Software": None}, pil_kwargs={"compress_level": 1}
    )
    return Image.open(buffer).convert("RGB")


def fitted(size: tuple[int, int], longest: int, thinnest: int) -> tuple[int, int]:
    """The size at which a picture is shown: its longest side `longest`, none below `thinnest`."""
    width, height = size
    factor = longest / max(width, height)
    return max(thinnest, round(width * factor)), max(thinnest, round(height * factor))


def resized(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    smaller = size[0] <= picture.width and size[1] <= picture.height
    way = Image.Resampling.LANCZOS if smaller else Image.Resampling.NEAREST
    return picture.resize(size, way, reducing_gap=3 if smaller else None)


def panel(heatmap: Heatmap, size: tuple[int, int], scale: Scale | None = None) -> Image.Image:
    """The map over its picture at a size, or over paper; on a scale of others if need be."""
    picture = None if heatmap.image is None else resized(heatmap.image, size)
    return paint(heatmap, picture, size, scale)


def mappable(scale: Scale) -> Any:
    """The colours as they look over light paper, for a colour bar."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import ListedColormap, Normalize

    table = scale.table.astype(float) / 255
    rgb, alpha = table[:, :3], table[:, 3:]
    colours = ListedColormap(rgb * alpha + (1 - alpha))
    return ScalarMappable(Normalize(scale.low, scale.high), colours)


def patterns(heatmap: Heatmap) -> list[Patch]:
    """The legend's entries for what is hatched and what is dotted, as far as there is any."""
    return keys_of(", ".join(blanks(heatmap)), significance(heatmap, unsure(heatmap)))


def keys_of(hatched: str, dotted: str) -> list[Patch]:
    """The entries of a legend that says what the two patterns mean; none for empty words."""
    from matplotlib.patches import Patch

    return [
        Patch(facecolor="#eeeeee", edgecolor="#666666", hatch=hatch, label=label)
        for hatch, label in (("////", hatched), ("....", dotted))
        if label
    ]
