"""Which colours moved, and where: in CIELAB, in words.

Lab by the formulas of IEC 61966-2-1 (sRGB) and CIE 15 for the white D65; the difference is that
of 1976, where about 2.3 is just to be seen.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_XYZ = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)
_NAMES = ((("darker", "lighter")), ("greener", "redder"), ("bluer", "yellower"))
_ROWS, _COLUMNS = ("top", "middle", "bottom"), ("left", "centre", "right")
SEEN = 1.0
"""Shifts of less than this many units are not named."""


def lab(image: Image.Image) -> NDArray[np.float64]:
    """(H, W, 3): lightness 0 to 100, green to red, blue to yellow."""
    shares = np.asarray(image.convert("RGB"), np.float64) / 255
    linear = np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)
    xyz = linear @ _XYZ.T / _XYZ.sum(1)
    root = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    x, y, z = root[..., 0], root[..., 1], root[..., 2]
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def moved(before: Image.Image, after: Image.Image, most: int = 3) -> list[dict[str, Any]]:
    """The ninths of the picture whose colours moved most, the most first.

    Each: `place`, `box` in pixels, `words`, `shift` (lightness, red, yellow) and `delta_e`, means
    over it. Empty where nothing is to be seen.
    """
    shift = lab(after) - lab(before)
    height, width = shift.shape[:2]
    found: list[dict[str, Any]] = []
    for (i, row), (j, column) in product(enumerate(_ROWS), enumerate(_COLUMNS)):
        y0, y1, x0, x1 = (
            *(height * n // 3 for n in (i, i + 1)),
            *(width * n // 3 for n in (j, j + 1)),
        )
        part = shift[y0:y1, x0:x1]
        if not part.size:
            continue
        mean = part.mean((0, 1))
        words = named(mean)
        if words:
            place = "the centre" if row == "middle" and column == "centre" else f"{row} {column}"
            distance = float(np.linalg.norm(part, axis=2).mean())
            found.append(
                {
                    "place": place,
                    "box": [x0, y0, x1, y1],
                    "words": words,
                    "shift": [round(float(value), 2) for value in mean],
                    "delta_e": round(distance, 2),
                }
            )
    return sorted(found, key=lambda one: float(one["delta_e"]), reverse=True)[:most]


def named(shift: NDArray[Any]) -> str:
    """`redder and darker`, the stronger first; empty for less than is worth naming."""
    order = np.argsort(-np.abs(shift), kind="stable")
    strongest = abs(float(shift[order[0]]))
    words = [
        _NAMES[n][int(shift[n] > 0)] for n in order if abs(shift[n]) >= max(SEEN, 0.4 * strongest)
    ]
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
