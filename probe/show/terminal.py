"""A map as lines of a terminal: in colours over its picture, or in plain characters."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from probe.heatmap import Heatmap, Planes
from probe.show.figure import resized
from probe.show.paint import Scale, blanks, paint, unsure
from probe.show.words import LABEL, number, said
from probe.text import printable
from probe.types import Canvas

Colour = Literal["truecolor", "256"]

WIDEST, TALLEST = 100, 36
BAR = 24
FOR, AGAINST = " +*#@", " ~=ox"
"""From the weakest to the strongest; what is next to nothing is blank."""
SCORES = " .:-=+*#%@"
UNSURE, BLANK = ".", "/"
LETTER = 2
"""A character is about so many times as tall as it is wide."""


def preview(
    heatmap: Heatmap, width: int = 80, colour: Colour | None = None, height: int = TALLEST
) -> str:
    """The map as text of at most `width` columns and `height` lines, and lines that say what is
    what; it ends without a line break.

    colour: the terminal's colours, for half blocks in the colours of `overlay`; None draws in
    ASCII alone. The proportions of the picture are kept, but nothing is thinner than a character.
    Every character stands for the strongest evidence, or the highest score, of its place, so that
    nothing small is lost.
    """
    across = max(2, min(width, WIDEST) - 2)
    columns, rows = _fitted(heatmap.canvas.size, across, max(1, height))
    small = pooled(heatmap, (columns, rows if colour is None else 2 * rows))
    scale = Scale.of(heatmap)
    lines = _characters(small, scale) if colour is None else _blocks(small, scale, colour)
    words = _words(heatmap, scale, colour)
    if colour is None:
        words = [_ascii(line) for line in words]
    return "\n".join([*lines, *words])


def _fitted(size: tuple[int, int], across: int, down: int) -> tuple[int, int]:
    """Columns and lines for a picture, at most `across` and `down`."""
    width, height = size
    factor = min(across / width, LETTER * down / height)
    return max(1, round(width * factor)), max(1, round(height * factor / LETTER))


def pooled(heatmap: Heatmap, cells: tuple[int, int]) -> Heatmap:
    """The map at so many cells across and down: each holds its strongest pixel, which is of
    evidence the one farthest from zero, and a significant one before any other."""
    columns, rows = cells
    planes = heatmap.planes
    values = planes.values
    weight = np.abs(values) if heatmap.kind == "evidence" else values
    weight = np.where(np.isnan(values), -np.inf, weight)
    weight = np.where(unsure(heatmap), weight - 2 * _top(weight), weight)
    height, width = values.shape
    tops, lefts = np.arange(rows) * height // rows, np.arange(columns) * width // columns
    ends = np.maximum(tops + 1, (np.arange(rows) + 1) * height // rows)
    rights = np.maximum(lefts + 1, (np.arange(columns) + 1) * width // columns)
    chosen = np.empty((rows, columns), np.intp)
    for row, (y0, y1) in enumerate(zip(tops, ends, strict=True)):
        for column, (x0, x1) in enumerate(zip(lefts, rights, strict=True)):
            y, x = np.unravel_index(np.argmax(weight[y0:y1, x0:x1]), (y1 - y0, x1 - x0))
            chosen[row, column] = (y0 + y) * width + x0 + x
    picked = {name: plane.ravel()[chosen] for name, plane in vars(planes).items()}
    canvas = Canvas(heatmap.canvas.size, cells, 1, heatmap.canvas.seen)
    return replace(heatmap, canvas=canvas, planes=Planes(**picked))


def _top(weight: NDArray[Any]) -> float:
    known = weight[np.isfinite(weight)]
    return 1.0 + float(np.abs(known).max()) if known.size else 1.0


def _characters(small: Heatmap, scale: Scale) -> list[str]:
    values = small.planes.values
    drawn = np.full(values.shape, BLANK)
    known = np.isfinite(values)
    if small.kind == "evidence":
        level = _level(np.abs(values[known]) / scale.high, len(FOR))
        drawn[known] = np.where(
            values[known] >= 0, np.array([*FOR])[level], np.array([*AGAINST])[level]
        )
        drawn[unsure(small)] = UNSURE
    else:
        place = (values[known] - scale.low) / (scale.high - scale.low)
        drawn[known] = np.array([*SCORES])[_level(place, len(SCORES))]
    return [f"|{''.join(row)}|" for row in drawn]


def _level(place: NDArray[Any], levels: int) -> NDArray[np.intp]:
    """Which of so many equal parts of 0 to 1 holds each place; beyond 1 it is the last."""
    level: NDArray[np.intp] = np.clip(place * levels, 0, levels - 1).astype(np.intp)
    return level


def _blocks(small: Heatmap, scale: Scale, colour: Colour) -> list[str]:
    """Two pixels a character: the upper is the colour of the letter, the lower its ground."""
    size = small.canvas.send
    picture = None if small.image is None else resized(small.image, size)
    pixels = np.asarray(paint(small, picture, size, scale))
    pairs = zip(pixels[::2], pixels[1::2], strict=True)
    return [_line(upper, lower, colour) for upper, lower in pairs]


def _line(upper: NDArray[Any], lower: NDArray[Any], colour: Colour) -> str:
    cells = (
        f"\x1b[38;{_code(over, colour)};48;{_code(under, colour)}m▀"
        for over, under in zip(upper, lower, strict=True)
    )
    return f"{''.join(cells)}\x1b[0m"


def _code(rgb: NDArray[Any], colour: Colour) -> str:
    if colour == "truecolor":
        return "2;{};{};{}".format(*rgb)
    return f"5;{16 + _nearest(*(int(level) for level in rgb))}"


@cache
def _nearest(red: int, green: int, blue: int) -> int:
    """Which of the 240 fixed colours of a terminal looks most like this one."""
    apart = _fixed() - (red, green, blue)
    mean = _fixed()[:, 0] / 2 + red / 2
    weights = np.stack([2 + mean / 256, np.full(len(mean), 4.0), 3 - mean / 256], axis=1)
    return int(np.argmin((weights * apart**2).sum(axis=1)))


@cache
def _fixed() -> NDArray[np.float64]:
    """(240, 3): a cube of 6 x 6 x 6 colours and 24 greys, numbers 16 to 255 of a terminal."""
    steps = (0, 95, 135, 175, 215, 255)
    cube = [(red, green, blue) for red in steps for green in steps for blue in steps]
    return np.array(cube + [(level,) * 3 for level in range(8, 248, 10)], float)


def _words(heatmap: Heatmap, scale: Scale, colour: Colour | None) -> list[str]:
    unit = printable(heatmap.unit, 20)
    lines = [f"{printable(heatmap.label, LABEL)} {said(heatmap)}"]
    measure = f"drop when covered ({unit})"
    if heatmap.kind == "score":
        measure = f"mean score, windows sent alone ({unit})"
    if colour is not None:
        lines.append(f"{number(scale.low)} {_bar(scale, colour)} {number(scale.high)} {measure}")
        if heatmap.kind == "evidence":
            lines[-1] += "; red speaks for it, blue against"
    elif heatmap.kind == "score":
        lines.append(
            f"{measure}: {number(scale.low)} |{SCORES}| {number(scale.high)}, a blank is the lowest"
        )
    else:
        values = heatmap.planes.values
        sides = [f"for it: {_ramp(FOR, scale.high)}"]
        if (values < 0).any():
            sides.append(f"against it: {_ramp(AGAINST, scale.low)}")
        lines += [f"{measure}; blank: nearer to zero", "   ".join(sides)]
    return [*lines, *_keys(heatmap, colour is None)]


def _ramp(ramp: str, end: float) -> str:
    """From where on each sign stands, and where the scale ends."""
    steps = [f"{sign} {number(end * n / len(ramp))}" for n, sign in enumerate(ramp) if n]
    return f"{', '.join(steps)} to {number(end)}"


def _keys(heatmap: Heatmap, plain: bool) -> list[str]:
    """What is dotted and what is hatched, as far as there is any."""
    keys = []
    if unsure(heatmap).any():
        keys.append((UNSURE if plain else "dotted:", "within 2 standard errors of zero"))
    if missing := ", ".join(blanks(heatmap)):
        keys.append((BLANK if plain else "hatched:", missing))
    return ["   ".join(f"{sign} {words}" for sign, words in keys)] if keys else []


def _bar(scale: Scale, colour: Colour) -> str:
    """The scale itself, as it looks over light ground."""
    table = scale.table[np.linspace(0, len(scale.table) - 1, 2 * BAR).round().astype(int)]
    ground = Image.new("RGB", (2 * BAR, 1), "white")
    layer = Image.fromarray(table[None])
    ground.paste(layer.convert("RGB"), mask=layer.getchannel("A"))
    pixels = np.asarray(ground)[0]
    cells = (
        f"\x1b[38;{_code(left, colour)};48;{_code(right, colour)}m▌"
        for left, right in zip(pixels[::2], pixels[1::2], strict=True)
    )
    return f"{''.join(cells)}\x1b[0m"


def _ascii(line: str) -> str:
    return line.replace(" · ", ", ").encode("ascii", "backslashreplace").decode("ascii")
