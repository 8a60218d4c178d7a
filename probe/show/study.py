"""The figure of a study: which pictures went in, and the score that each got."""

from __future__ import annotations

from math import ceil, sqrt
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from probe.errors import UsageError
from probe.perturb import Renderer, parse_fill
from probe.result import Answer, Result
from probe.show.figure import PLAIN, dots_of, new_axes, wrapped
from probe.show.sheet import Tile, fitting, scored_tiles, thumbnail
from probe.show.words import LABEL, drawable, number
from probe.text import count, printable
from probe.types import Failure, Identity, Keep, Window

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Order = Literal["effect", "plan"]

MOST = 600
SIDE = 192  # pixels of a tile's longer side
INCH = 1.15  # of a tile's longer side, in a new figure
GAP, LINE = 0.08, 0.15  # between tiles, and for the words under one, in longer sides
THINNEST = 0.06
FONT = 0.1  # the words' size, in longer sides
HEAD = 0.4  # inches for the title


def plot_sheet(
    result: Result,
    ax: Axes | None = None,
    *,
    tiles: int = 24,
    order: Order = "effect",
    columns: int | None = None,
) -> Axes:
    """Draw pictures that were sent, each with its score, into `ax` or a new figure.

    Boxes, windows, kept regions and masks alike: every tile is the whole of what was sent, under
    it the number of its answer (the row of scores.csv) and its score of the result's label.

    tiles: so many at most. order: `effect`, the unchanged picture and then what says most for the
    label (covers with the lowest, windows and kept regions with the highest score), without
    repeats; or `plan`, the first ones that were planned.

    Raises UsageError where the result has no picture, and for tiles or columns below 1.
    """
    if result.image is None:
        raise UsageError("this run was read without its picture: Result.load(folder, image)")
    if not 1 <= tiles <= MOST:
        raise UsageError(f"a figure shows 1 to {MOST} pictures, not {tiles}")
    if columns is not None and columns < 1:
        raise UsageError(f"a figure has at least 1 column, not {columns}")
    if order not in get_args(Order):
        raise UsageError(f"no order {printable(str(order), 40)!r}: give effect or plan")
    ranked = by_effect(result) if order == "effect" else list(range(len(result.answers)))
    fill = parse_fill(result.settings.get("fill", "mean"))
    renderer = Renderer(result.image, result.canvas, fill)
    shown = [
        Tile(thumbnail(tile.image, SIDE), tile.caption)
        for tile in scored_tiles(result, renderer, ranked[:tiles])
    ]
    ax = _laid_out(shown, columns or ceil(sqrt(1.5 * len(shown))), ax)
    whole = f"{drawable(result.label, LABEL)} {number(result.reference[result.label])}"
    named = count(len(ranked), "picture")
    part = named if len(shown) == len(ranked) else f"{len(shown)} of {named}"
    sort = {"effect": "strongest first", "plan": "in the order of the plan"}[order]
    heading = wrapped(f"{whole} for the whole picture · {part}, {sort}", ax, "medium")
    ax.set_title(heading, fontsize="medium", **PLAIN)
    return ax


def by_effect(result: Result) -> list[int]:
    """Numbers of the answers: the reference, then the variants from the one that says most for
    the label to the one that says least, and those without a score."""
    whole = result.reference[result.label]

    def effect(answer: Answer) -> float:
        outcome, change = result.outcome(answer), answer.perturbation
        if isinstance(outcome, Failure):
            return -np.inf
        score = outcome[result.label]
        return score if isinstance(change, Window | Keep) else whole - score

    numbers = range(len(result.answers))
    changed = [n for n in numbers if not isinstance(result.answers[n].perturbation, Identity)]
    return [0, *sorted(changed, key=lambda n: -effect(result.answers[n]))]


def _laid_out(shown: list[Tile], columns: int, ax: Axes | None) -> Axes:
    """The tiles in rows, in units of a tile's longer side; y grows downwards."""
    columns = min(columns, len(shown))
    sides = [_sides(tile) for tile in shown]
    cell = max(0.7, *(width for width, _ in sides)) + GAP
    rows = [sides[first : first + columns] for first in range(0, len(sides), columns)]
    heights = [max(height for _, height in row) + LINE + GAP for row in rows]
    across, down = columns * cell, sum(heights)
    if ax is None:
        ax = new_axes(max(3.5, INCH * across), INCH * down + HEAD)
    ax.set_xlim(0, across)
    ax.set_ylim(down, 0)
    ax.set_aspect("equal")
    ax.set_axis_off()
    size = _letters(ax, across, down)
    for at, (tile, (width, height)) in enumerate(zip(shown, sides, strict=True)):
        row, column = divmod(at, columns)
        middle, bottom = (column + 0.5) * cell, sum(heights[: row + 1]) - LINE - GAP
        left, top = middle - width / 2, bottom - height
        ax.imshow(np.asarray(tile.image), extent=(left, left + width, bottom, top), aspect="equal")
        words = fitting(tile.caption, 100 * cell / FONT, 100)
        ax.text(middle, bottom + 0.03, words, ha="center", va="top", size=size, **PLAIN)
    ax.set_xlim(0, across)
    ax.set_ylim(down, 0)
    return ax


def _sides(tile: Tile) -> tuple[float, float]:
    width, height = tile.image.size
    longer = max(width, height)
    return max(THINNEST, width / longer), max(THINNEST, height / longer)


def _letters(ax: Axes, across: float, down: float) -> float:
    """The words' size in points where the tiles have the size that these axes give them."""
    box = ax.get_window_extent()
    dots = min(box.width / across, box.height / down)
    return max(1.0, FONT * dots * 72 / dots_of(ax))
