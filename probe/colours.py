"""Colours in CIELAB and in words."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor

_XYZ = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)
ROWS, COLUMNS = ("top", "middle", "bottom"), ("left", "centre", "right")
COLOURS = {
    "black": "#000000",
    "dark grey": "#444444",
    "grey": "#808080",
    "light grey": "#c0c0c0",
    "white": "#ffffff",
    "dark red": "#780c10",
    "red": "#d81820 #ff0000",
    "brownish red": "#a44438",
    "orange red": "#e06444",
    "pink": "#f098a8 #ff60b0",
    "pale pink": "#f4d4d0",
    "dark brown": "#482a1a",
    "brown": "#8a5c3c #b46c48",
    "light brown": "#c49874 #d48a60",
    "beige": "#e8d4b4",
    "orange": "#f48c20",
    "light orange": "#f8b880",
    "yellow": "#f0d820 #ffff00",
    "pale yellow": "#f8f0b0",
    "dark yellow": "#b8982c",
    "olive": "#686820",
    "dark green": "#144c14",
    "green": "#309c30 #00ff00",
    "light green": "#a0d890",
    "greyish green": "#708870",
    "turquoise": "#30b4b0 #00ffff",
    "dark blue": "#101860 #000080",
    "blue": "#2860d0 #0000ff",
    "light blue": "#98c0e8",
    "greyish blue": "#607890",
    "dark purple": "#381848 #4b0082",
    "purple": "#782890",
    "light purple": "#c0a0d8",
    "magenta": "#d020a0 #ff00ff",
}
"""The names of colours, each with what it is taken to look like."""


def lab(image: Image.Image) -> NDArray[np.float64]:
    """(H, W, 3): lightness 0 to 100, green to red, blue to yellow."""
    shares = np.asarray(image.convert("RGB"), np.float64) / 255
    linear = np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)
    xyz = linear @ _XYZ.T / _XYZ.sum(1)
    root = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    x, y, z = root[..., 0], root[..., 1], root[..., 2]
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def called(colour: tuple[int, int, int]) -> str:
    """The name among COLOURS that looks most like it."""
    names, known = _anchors()
    distance = np.linalg.norm(known - lab(Image.new("RGB", (1, 1), colour))[0, 0], axis=1)
    return names[int(distance.argmin())]


def whereabouts(x: float, y: float) -> str:
    """`bottom centre`, by ninths; x and y in fractions of the picture."""
    row, column = ROWS[min(2, int(3 * y))], COLUMNS[min(2, int(3 * x))]
    return "the centre" if (row, column) == ("middle", "centre") else f"{row} {column}"


@cache
def _anchors() -> tuple[list[str], NDArray[np.float64]]:
    """Names, and (n, 3) Lab."""
    pairs = [(name, one) for name, several in COLOURS.items() for one in several.split()]
    row = Image.new("RGB", (len(pairs), 1))
    row.putdata([ImageColor.getrgb(one)[:3] for _, one in pairs])
    return [name for name, _ in pairs], lab(row)[0]


def hexadecimal(colour: tuple[int, int, int]) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)


def rgb(colour: NDArray[Any]) -> tuple[int, int, int]:
    red, green, blue = (round(float(level)) for level in colour)
    return red, green, blue
