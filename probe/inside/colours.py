"""Which colours moved, and where: in CIELAB, in words.

Lab by the formulas of IEC 61966-2-1 (sRGB) and CIE 15 for the white D65; the difference is that
of 1976, where about 2.3 is just to be seen.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from probe.colours import called, hexadecimal, lab, rgb, whereabouts

_SHIFTS = ("darker", "lighter"), ("greener", "redder"), ("bluer", "yellower")
SEEN = 1.0
"""Shifts of less than this many units are not named."""
SHARE, WEAKEST, SMALLEST = 0.5, 0.25, 0.002
"""A place reaches as far as its colours move by this share of its strongest shift, the same way;
no place moves by less than this share of the strongest, or is a smaller share of the picture."""
ALIKE = 0.7
"""The cosine between two shifts from which they go the same way: 45 degrees."""
PIXELS = 1_000_000
"""Places are looked for in a picture of so many at most."""


@dataclass(frozen=True, eq=False)
class Place:
    """A connected part of a picture whose colours moved in one direction.

    number       as it is called; 0 before it is given one.
    box          x0, y0, x1, y1 in pixels of the picture.
    mask         (h, w) what belongs to it, of the picture made smaller where it is large.
    peak         x, y of the pixel that moved most.
    where        `bottom centre`, by ninths of the picture.
    before, after  the colour that most of it has, and what that becomes: RGB.
    shift        how that moves: lightness, red, yellow. delta_e: by how much, the mean.
    undone       the label's score when this alone is undone; None where that was not asked.
    """

    box: tuple[int, int, int, int]
    mask: NDArray[np.bool_]
    peak: tuple[int, int]
    where: str
    before: tuple[int, int, int]
    after: tuple[int, int, int]
    shift: tuple[float, float, float]
    delta_e: float
    number: int = 0
    undone: float | None = None

    @property
    def colours(self) -> tuple[str, str]:
        """Before and after, as #rrggbb."""
        return hexadecimal(self.before), hexadecimal(self.after)

    @property
    def turned(self) -> str:
        """`redder and lighter`."""
        return named(self.shift)

    @property
    def words(self) -> str:
        """`brown becomes redder and lighter`."""
        return f"{called(self.before)} becomes {self.turned}"

    def numbered(self, number: int, undone: float | None) -> Place:
        return replace(self, number=number, undone=undone)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "number": self.number,
            "box": list(self.box),
            "peak": list(self.peak),
            "place": self.where,
            "words": self.words,
            "colours": list(self.colours),
            "shift": [round(value, 2) for value in self.shift],
            "delta_e": round(self.delta_e, 2),
            "undone": self.undone,
        }


def distances(before: Image.Image, after: Image.Image) -> NDArray[np.float32]:
    """(H, W) by how much each pixel's colour moved; some rows at a time, for large pictures."""
    width, height = before.size
    found = np.empty((height, width), np.float32)
    for top in range(0, height, 256):
        strip = (0, top, width, min(top + 256, height))
        shift = lab(after.crop(strip)) - lab(before.crop(strip))
        found[top : top + 256] = np.linalg.norm(shift, axis=2)
    return found


def moved(before: Image.Image, after: Image.Image, most: int = 4) -> list[Place]:
    """The places of a picture whose colours moved most in all, without numbers, the most first.

    Empty where nothing is to be seen.
    """
    factor = ceil(sqrt(before.width * before.height / PIXELS))
    small = [image.convert("RGB").reduce(factor) for image in (before, after)]
    first, second = map(lab, small)
    masks = _masks(second - first)
    found = [_place(mask, first, second, small, before.size) for mask in masks]
    found = [place for place in found if place.turned]
    found.sort(key=lambda place: place.delta_e * int(place.mask.sum()), reverse=True)
    return found[:most]


def _masks(shift: NDArray[np.float64]) -> list[NDArray[np.bool_]]:
    """(h, w) each, none over another: around each peak of the shift, as far as it goes the same
    way by SHARE of it. The slope below, down to WEAKEST, holds no other place."""
    side = max(shift.shape)
    smooth = ndimage.gaussian_filter(shift, (side / 150, side / 150, 0), mode="nearest")
    strength = np.linalg.norm(smooth, axis=2)
    least = max(SEEN, WEAKEST * float(strength.max()))
    highest = strength == ndimage.maximum_filter(strength, max(3, side // 25))
    free = np.ones(strength.shape, bool)
    found: list[NDArray[np.bool_]] = []
    while True:
        open_to = np.where(free & highest, strength, 0.0)
        peak = np.unravel_index(int(open_to.argmax()), open_to.shape)
        most = float(open_to[peak])
        if most < least:
            return found
        along = smooth @ smooth[peak] / most
        same = free & (along >= ALIKE * strength)
        mask, hill = (_around(peak, same & (along >= share * most)) for share in (SHARE, WEAKEST))
        free &= ~hill
        if mask.sum() >= SMALLEST * mask.size:
            found.append(mask)


def _around(peak: tuple[Any, ...], field: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The connected part of a field that holds the peak."""
    parts, _ = ndimage.label(field)
    part: NDArray[np.bool_] = parts == parts[peak]
    return part


def _place(
    mask: NDArray[np.bool_],
    first: NDArray[np.float64],
    second: NDArray[np.float64],
    small: list[Image.Image],
    size: tuple[int, int],
) -> Place:
    """What is to be said of a mask: of the half of its pixels that are nearest to their commonest
    colour, so that what stands there is told, and no mixture."""
    height, width = mask.shape
    factor = ceil(size[0] / width)
    here = first[mask]
    away = np.linalg.norm(here - np.median(here, axis=0), axis=1)
    core = away <= np.median(away)
    shift = (second[mask] - here)[core].mean(0)
    one, other = (np.asarray(image)[mask][core].mean(0) for image in small)
    rows, columns = np.nonzero(mask)
    distance = np.linalg.norm(second[mask] - here, axis=1)
    at = int(distance.argmax())
    box = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
    x0, y0, x1, y1 = (min(int(edge) * factor, size[n % 2]) for n, edge in enumerate(box))
    return Place(
        (x0, y0, x1, y1),
        mask,
        (int(columns[at]) * factor, int(rows[at]) * factor),
        whereabouts(columns.mean() / width, rows.mean() / height),
        rgb(one),
        rgb(other),
        (float(shift[0]), float(shift[1]), float(shift[2])),
        float(distance.mean()),
    )


def named(shift: Any) -> str:
    """`redder and darker`, the stronger first; empty for less than is worth naming.

    shift: lightness, red, yellow.
    """
    values = np.asarray(shift, np.float64)
    order = np.argsort(-np.abs(values), kind="stable")
    strongest = abs(float(values[order[0]]))
    words = [
        _SHIFTS[n][int(values[n] > 0)]
        for n in order
        if abs(values[n]) >= max(SEEN, 0.4 * strongest)
    ]
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
