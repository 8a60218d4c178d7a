"""What a feature looks like: colour, place and size, in words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from probe.audit.likeness import Spot
from probe.audit.records import Look
from probe.colours import called, hexadecimal, lab, rgb, whereabouts
from probe.types import Region

SPREAD = 0.2
"""Standard deviation of the places, in shares of the side, above which a feature has none."""
PATTERN = 30.0
"""Deviation in CIELAB, of its three values together, from which something is patterned."""
AROUND = 0.06
"""Half of the side that is looked at around the middle of a feature."""


def look(images: Sequence[Image.Image], spots: Sequence[Spot]) -> Look:
    """images: the pictures of the spots."""
    patches = [_patch(image, spot.peak) for image, spot in zip(images, spots, strict=True)]
    levels = np.concatenate([np.asarray(patch).reshape(-1, 3) for patch in patches])
    colour = rgb(np.median(levels, axis=0))
    deviation = float(np.median([lab(patch).std(axis=(0, 1)).sum() for patch in patches]))
    pattern = "patterned " if deviation >= PATTERN else ""
    peaks = np.array([spot.peak for spot in spots])
    scattered = float(peaks.std(axis=0).max()) > SPREAD
    place = "anywhere" if scattered else whereabouts(*np.median(peaks, axis=0))
    boxes = np.array([spot.box for spot in spots])
    size = float(np.median((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])))
    return Look(f"{pattern}{called(colour)}, {place}", hexadecimal(colour), place, size)


def excerpt(image: Image.Image, box: Region, side: int = 160) -> Image.Image:
    """The box, outlined, and as much around it, in a square where the picture allows."""
    width, height = image.size
    reach = max((box[2] - box[0]) * width, (box[3] - box[1]) * height) * 0.75
    x, y = (box[0] + box[2]) / 2 * width, (box[1] + box[3]) / 2 * height
    edges = max(0, x - reach), max(0, y - reach), min(width, x + reach), min(height, y + reach)
    left, top, right, bottom = (round(edge) for edge in edges)
    part = image.crop((left, top, max(right, left + 1), max(bottom, top + 1)))
    factor = side / max(part.size)
    part = part.resize([max(1, round(factor * length)) for length in part.size])
    outline = [
        round(factor * (edge * length - start))
        for edge, length, start in zip(box, (width, height) * 2, (left, top) * 2, strict=True)
    ]
    draw = ImageDraw.Draw(part)
    draw.rectangle(outline, outline="black", width=3)
    draw.rectangle(outline, outline="white", width=1)
    return part


def _patch(image: Image.Image, centre: tuple[float, float]) -> Image.Image:
    width, height = image.size
    x, y = centre
    left, right = round((x - AROUND) * width), round((x + AROUND) * width)
    top, bottom = round((y - AROUND) * height), round((y + AROUND) * height)
    part = image.crop(
        (
            max(0, left),
            max(0, top),
            min(width, max(right, left + 1)),
            min(height, max(bottom, top + 1)),
        )
    )
    return part.resize((16, 16), Image.Resampling.BOX)
