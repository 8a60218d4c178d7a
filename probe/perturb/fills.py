"""What stands where something is covered.

The fill is part of the question: the model scores it too. `str(fill)` is its canonical form,
with radius and seed, and `parse_fill` reads it back.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np
from PIL import Image, ImageColor, ImageFilter, ImageStat

from probe.errors import MissingExtra, UsageError, nearest

Colour = tuple[int, int, int]

BLUR_RADIUS = 0.05
"""Standard deviation of the blur as a fraction of the picture's longer side."""
REACH = 3
"""How many pixels around an inpainted one are looked at."""


@dataclass(frozen=True, slots=True)
class Fill:
    """kind: `mean`, `colour`, `blur`, `noise` or `inpaint`; other fields belong to their kinds.

    mean    the mean colour of the picture as sent.
    colour  `colour`, 0-255 each.
    blur    the picture under a Gaussian blur, `radius` (its sigma) in fractions of the longer side.
    noise   every channel of every pixel uniform in 0-255, from `seed`; the same for all variants.
    inpaint what lies around the cover, carried on into it (Telea, "An Image Inpainting Technique
            Based on the Fast Marching Method", 2004); by OpenCV, from the extra `inpaint`.
    """

    kind: str = "mean"
    colour: Colour = (0, 0, 0)
    radius: float = BLUR_RADIUS
    seed: int = 0

    def __str__(self) -> str:
        if self.kind == "colour":
            return "#{:02x}{:02x}{:02x}".format(*self.colour)
        return self.kind + {"blur": f":{self.radius!r}", "noise": f":{self.seed}"}.get(
            self.kind, ""
        )

    @property
    def hangs_on_cover(self) -> bool:
        """No one layer to cut every cover from: `patch` makes one for each."""
        return self.kind == "inpaint"

    def patch(self, base: Image.Image, cover: Image.Image) -> Image.Image:
        """The base with what `cover` (mode L, 0 shows) marks painted over from around it.

        Where it marks everything, its mean colour. Raises MissingExtra without OpenCV.
        """
        cv2 = _opencv()
        holes = (np.asarray(cover) > 0).astype(np.uint8)
        if holes.all():
            return Image.new("RGB", base.size, _mean(base))
        painted = cv2.inpaint(np.asarray(base), holes, REACH, cv2.INPAINT_TELEA)
        return Image.fromarray(np.asarray(painted))

    def layer(self, base: Image.Image) -> Colour | Image.Image:
        """One colour, or a picture of the base's size to cut the cover from; of `inpaint`, which
        has none, the mean colour."""
        if self.kind in ("mean", "inpaint"):
            return _mean(base)
        if self.kind == "blur":
            return base.filter(ImageFilter.GaussianBlur(self.radius * max(base.size)))
        if self.kind == "noise":
            shape = (base.height, base.width, 3)
            noise = np.random.default_rng(self.seed).integers(0, 256, shape, dtype=np.uint8)
            return Image.fromarray(noise)
        return self.colour


def parse_fill(fill: str | Colour | Fill) -> Fill:
    """A fill from its name or colour.

    `mean`; `black`, `gray` (128), `white` and every CSS colour name; `#rrggbb`; a tuple (r, g, b);
    `blur` or `blur:RADIUS` (fraction of the longer side, up to 1); `noise` or `noise:SEED`;
    `inpaint`. Raises UsageError for anything else, MissingExtra for `inpaint` without OpenCV.
    """
    if isinstance(fill, Fill):
        return fill
    if not isinstance(fill, str):
        return Fill("colour", _colour(fill))
    name, _, argument = fill.strip().lower().partition(":")
    if name == "inpaint" and not argument:
        _opencv()
        return Fill("inpaint")
    try:
        if name == "mean" and not argument:
            return Fill("mean")
        if name == "blur":
            return Fill("blur", radius=_radius(float(argument)) if argument else BLUR_RADIUS)
        if name == "noise":
            return Fill("noise", seed=_seed(int(argument)) if argument else 0)
        return Fill("colour", _colour(ImageColor.getrgb(fill.strip())))
    except ValueError:
        if argument and name in ("blur", "noise"):
            takes = "a fraction of the longer side, up to 1" if name == "blur" else "a whole number"
            raise UsageError(f"fill {fill!r}: {name}: takes {takes}") from None
        known = ("mean", "blur", "noise", "inpaint", *ImageColor.colormap)
        raise UsageError(
            f"no fill {fill!r}.{nearest(name, known)} Give mean, blur, blur:RADIUS, noise,"
            " noise:SEED, inpaint, a CSS colour name or #rrggbb"
        ) from None


def _mean(base: Image.Image) -> Colour:
    red, green, blue = (round(mean) for mean in ImageStat.Stat(base).mean)
    return red, green, blue


def _opencv() -> Any:
    try:
        import cv2
    except ImportError:
        raise MissingExtra("OpenCV (for the fill inpaint)", "inpaint") from None
    return cv2


def _colour(value: object) -> Colour:
    parts = tuple(value) if isinstance(value, tuple | list) else ()
    if len(parts) != 3 or not all(isinstance(p, int) and 0 <= p <= 255 for p in parts):
        raise UsageError(f"a fill's colour is three whole numbers from 0 to 255, not {value!r}")
    return parts[0], parts[1], parts[2]


def _radius(value: float) -> float:
    if not isfinite(value) or not 0 < value <= 1:
        raise ValueError
    return value


def _seed(value: int) -> int:
    if value < 0:
        raise ValueError
    return value
