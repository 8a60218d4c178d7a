"""How a picture is laid before a network, and how what is found comes back to its pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageStat

from probe.backends.preprocessing import FILTERS, MAX_SIDE, Preprocessing
from probe.errors import ImageError
from probe.types import WHOLE, Canvas

Fit = Literal["pad", "squeeze"]


@dataclass(frozen=True)
class Frame:
    """One picture before one network.

    image    what the preprocessing, and any backend, is given instead of the picture.
    canvas   the geometry of maps: the picture's size, and the size of a map's planes.
    place    rows and columns of a map's planes that the network's pixels `cut` fill.
    cut      rows and columns of the network's pixels that are of the picture.
    """

    image: Image.Image
    canvas: Canvas
    place: tuple[slice, slice]
    cut: tuple[slice, slice]

    def back(self, values: NDArray[Any]) -> NDArray[np.float32]:
        """Of each of the network's pixels, (h, w) or (h, w, 3), to the plane of a map; NaN where
        the network does not see the picture."""
        width, height = self.canvas.send
        plane = np.full((height, width, *values.shape[2:]), np.nan, np.float32)
        plane[self.place] = values[self.cut]
        return plane


def frame(picture: Image.Image, preprocessing: Preprocessing, fit: Fit = "pad") -> Frame:
    """Lay a picture before a network.

    pad: the picture keeps its proportions and lies, as large as it fits, in the middle of what
    the network looks at; around it is its mean colour. squeeze: as the preprocessing does it,
    with its proportions lost and the border unseen, if that is its way.
    """
    return _padded(picture, preprocessing) if fit == "pad" else _squeezed(picture, preprocessing)


def _padded(picture: Image.Image, preprocessing: Preprocessing) -> Frame:
    width, height = preprocessing.size
    factor = min(width / picture.width, height / picture.height)
    inside = (
        min(width, max(1, round(picture.width * factor))),
        min(height, max(1, round(picture.height * factor))),
    )
    resize = preprocessing.resize
    whole = resize if isinstance(resize, tuple) else (resize, resize) if resize else (width, height)
    small = picture.resize(inside, FILTERS[preprocessing.filter][0])
    around = Image.new("RGB", whole, mean_colour(small))
    left, top = (whole[0] - width) // 2, (whole[1] - height) // 2
    x, y = (width - inside[0]) // 2, (height - inside[1]) // 2
    around.paste(small, (left + x, top + y))
    cut = slice(y, y + inside[1]), slice(x, x + inside[0])
    return Frame(around, Canvas(picture.size, inside), (slice(None), slice(None)), cut)


def _squeezed(picture: Image.Image, preprocessing: Preprocessing) -> Frame:
    width, height = preprocessing.size
    target = preprocessing.target(picture.size)
    if max(target) > MAX_SIDE:
        raise ImageError(
            f"the picture is {picture.width} x {picture.height} px: for this network its longer "
            f"side would become {max(target)} px; pad it instead, with --fit pad"
        )
    left, top = (target[0] - width) // 2, (target[1] - height) // 2
    place = slice(top, top + height), slice(left, left + width)
    seen = WHOLE if target == preprocessing.size else preprocessing.seen
    canvas = Canvas(picture.size, target, seen=seen)
    return Frame(picture, canvas, place, (slice(None), slice(None)))


def mean_colour(picture: Image.Image) -> tuple[int, int, int]:
    red, green, blue = (round(level) for level in ImageStat.Stat(picture).mean)
    return red, green, blue
