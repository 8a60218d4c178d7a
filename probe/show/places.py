"""Numbered places of a picture: their outlines on it, and a page with each of them, enlarged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageOps

from probe.errors import UsageError
from probe.show.figure import resized
from probe.show.sheet import GAP, HEADING, INK, PAPER, TEXT, fitting
from probe.show.words import font

CROP = 240, 180
THINNEST, NEAREST = 24, 12
SWATCH = 76, 44
WORDS = 330
LINE = TEXT + 8
BADGE = 15


class Shown(NamedTuple):
    """A place as it is shown.

    mask: (h, w) what belongs to it, at any size. box: x0, y0, x1, y1 in pixels. heading, lines:
    words. colours: before and after, as anything that Pillow knows for a colour.
    """

    mask: NDArray[np.bool_]
    box: tuple[int, int, int, int]
    heading: str
    lines: Sequence[str]
    colours: tuple[str, str]


def outlined(
    image: Image.Image, masks: Sequence[NDArray[np.bool_]], badges: bool = True
) -> Image.Image:
    """The picture, RGB, with the edge of each mask drawn white in black, and its number, from 1,
    beside it."""
    drawn = image.convert("RGB")
    insides = [_at(mask, image.size) for mask in masks]
    for inside in insides:
        wide = ImageOps.expand(inside, 3, 0)
        for colour, most, least in (("black", 5, 3), ("white", 1, 3)):
            edge = ImageChops.subtract(_grown(wide, most), _shrunk(wide, least))
            drawn.paste(colour, mask=ImageOps.crop(edge, 3))
    if badges:
        for number, inside in enumerate(insides, 1):
            _badge(drawn, inside, str(number))
    return drawn


def _at(mask: NDArray[np.bool_], size: tuple[int, int]) -> Image.Image:
    """At a size: 255 inside, else 0, with a smooth edge."""
    large = Image.fromarray(mask).convert("L").resize(size, Image.Resampling.BICUBIC)
    return large.point([255 * (level > 127) for level in range(256)])


def _grown(mask: Image.Image, size: int) -> Image.Image:
    return mask.filter(ImageFilter.MaxFilter(size))


def _shrunk(mask: Image.Image, size: int) -> Image.Image:
    return mask.filter(ImageFilter.MinFilter(size))


def _badge(drawn: Image.Image, inside: Image.Image, text: str) -> None:
    """A number at the upper left corner of what it is of, within the picture."""
    x, y, *_ = inside.getbbox() or (0, 0)
    letters = font(TEXT)
    width = max(BADGE, round(letters.getlength(text)) + 6)
    x, y = min(max(0, x - width), drawn.width - width), min(max(0, y - BADGE), drawn.height - BADGE)
    draw = ImageDraw.Draw(drawn)
    draw.rectangle((x, y, x + width, y + BADGE), "black")
    draw.text((x + width / 2, y + BADGE / 2), text, "white", letters, anchor="mm")


def places_page(
    title: str, before: Image.Image, after: Image.Image, places: Sequence[Shown]
) -> Image.Image:
    """A finished picture, RGB: a row for each place, with what surrounds it before and after,
    enlarged, both colours beside each other, and the words."""
    if not places:
        raise UsageError("a page of places needs at least one")
    height = CROP[1] + HEADING + 2 * GAP
    width = GAP + 2 * (CROP[0] + GAP) + WORDS
    page = Image.new("RGB", (width, HEADING + 3 * GAP + len(places) * height), PAPER)
    draw = ImageDraw.Draw(page)
    draw.text((GAP, GAP), fitting(title, width - 2 * GAP, HEADING), INK, font(HEADING))
    for number, place in enumerate(places, 1):
        top = HEADING + 3 * GAP + (number - 1) * height
        heading = fitting(f"{number} · {place.heading}", width - 2 * GAP, HEADING)
        draw.text((GAP, top), heading, INK, font(HEADING))
        for n, image in enumerate((before, after)):
            crop = _crop(image, place)
            left = GAP + n * (CROP[0] + GAP) + (CROP[0] - crop.width) // 2
            page.paste(crop, (left, top + HEADING + GAP))
        _say(draw, place, (GAP + 2 * (CROP[0] + GAP), top + HEADING + GAP))
    return page


def _say(draw: ImageDraw.ImageDraw, place: Shown, at: tuple[int, int]) -> None:
    """The two colours, edge to edge, and the words below them."""
    (x, y), (width, height) = at, SWATCH
    for n, colour in enumerate(place.colours):
        left = x + n * width
        draw.rectangle((left, y, left + width - 1, y + height - 1), colour)
        draw.text(
            (left + width / 2, y + height + 3), fitting(colour, width, TEXT), INK, font(TEXT), "ma"
        )
    top = y + height + LINE + GAP
    for n, line in enumerate(place.lines):
        draw.text((x, top + n * LINE), fitting(line, WORDS - GAP, TEXT), INK, font(TEXT))


def _crop(image: Image.Image, place: Shown) -> Image.Image:
    """The place with its outline and half as much around it, to fit CROP."""
    x0, y0, x1, y1 = place.box
    more = round(max((x1 - x0) / 2, (y1 - y0) / 2, NEAREST))
    left, top = max(0, x0 - more), max(0, y0 - more)
    window = left, top, min(image.width, x1 + more), min(image.height, y1 + more)
    part = image.crop(window)
    factor = min(CROP[0] / part.width, CROP[1] / part.height)
    width, height = (
        min(most, max(THINNEST, round(side * factor)))
        for side, most in zip(part.size, CROP, strict=True)
    )
    inside = np.asarray(_at(place.mask, image.size).crop(window)) > 127
    return outlined(resized(part, (width, height)), [inside], badges=False)
