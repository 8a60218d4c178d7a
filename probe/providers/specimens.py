"""Pictures made up to find out what a service does to pictures."""

from __future__ import annotations

import numpy as np
from PIL import Image

from probe.image import scale
from probe.limits import Limits

SIDE = 320
"""Longest side: small enough to be cheap, large enough for most services."""


def fitted(picture: Image.Image, limits: Limits) -> Image.Image:
    """The picture with sides of whole 8 pixels, as JPEG's blocks are; there is room for a frame."""
    longest = SIDE if limits.max_side is None else min(SIDE, limits.max_side * 2 // 3)
    small = scale(picture, longest)
    width, height = (side // 8 * 8 or side for side in small.size)
    small = small.crop((0, 0, width, height))
    factor = -(-max(limits.min_side, 8) // min(small.size))
    return small.resize((width * factor, height * factor), Image.Resampling.NEAREST)


def scrambled(picture: Image.Image) -> Image.Image:
    """Noise of the picture's size, always the same."""
    noise = np.random.default_rng(0).integers(0, 256, (picture.height, picture.width, 3))
    return Image.fromarray(noise.astype(np.uint8))


def framed(picture: Image.Image, around: Image.Image | None = None) -> Image.Image:
    """The picture in a frame a quarter of its longer side wide: of its mean colour, or `around`
    (stretched), which nothing would trim."""
    margin = max(8, max(picture.size) // 32 * 8)
    size = (picture.width + 2 * margin, picture.height + 2 * margin)
    if around is None:
        mean = np.asarray(picture, dtype=float).mean(axis=(0, 1)).round().astype(int)
        frame = Image.new("RGB", size, tuple(mean.tolist()))
    else:
        frame = around.resize(size, Image.Resampling.NEAREST)
    frame.paste(picture, (margin, margin))
    return frame


def landscape(picture: Image.Image) -> Image.Image:
    """The picture stretched to 4:3, which a square cut out of the middle does not hold."""
    height = picture.height
    return picture.resize((height * 4 // 3, height), Image.Resampling.NEAREST)


def banded(base: Image.Image, content: Image.Image, share: float, axis: int) -> Image.Image:
    """`base` with the middle of `content` in two bands along opposite sides, each `share` of the
    side wide; left and right for axis 0, top and bottom for axis 1."""
    width, height = content.size
    middle = content.crop((width // 3, height // 3, -(-width * 2 // 3), -(-height * 2 // 3)))
    thick = max(1, int(base.size[axis] * share))
    size = (thick, base.height) if axis == 0 else (base.width, thick)
    band, image = middle.resize(size, Image.Resampling.NEAREST), base.copy()
    image.paste(band, (0, 0))
    image.paste(band, (base.width - size[0], base.height - size[1]))
    return image
