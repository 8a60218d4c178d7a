"""The contact sheet: the pictures that were really sent, each with its score under it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from math import ceil, sqrt
from typing import NamedTuple

from PIL import Image, ImageDraw, ImageFont

from probe.errors import UsageError
from probe.show.words import drawable, font_path
from probe.text import count

MAX_TILES = 600
LARGEST, SMALLEST = 160, 64
GAP = 10
TEXT, HEADING = 12, 16
PAPER, INK = "white", "#222222"


class Tile(NamedTuple):
    """One picture of a sheet, and the words under it."""

    image: Image.Image
    caption: str


def contact_sheet(
    tiles: Iterable[Tile | tuple[Image.Image, str]],
    columns: int | None = None,
    title: str = "",
) -> Image.Image:
    """Thumbnails in rows, each with its caption; RGB, at most about 2,400 pixels wide.

    Pictures are scaled to fit their tile, smaller ones enlarged; captions are cut to its width.
    The pictures are made small one by one, so an iterator of large ones costs no memory.
    Beyond 600 tiles only their number is told. Raises UsageError without any tile.
    """
    return sheet_of([(title, tiles)], columns)


def sheet_of(
    sections: Sequence[tuple[str, Iterable[Tile | tuple[Image.Image, str]]]],
    columns: int | None = None,
) -> Image.Image:
    """Contact sheets below each other, each under its title, with tiles of one size."""
    if columns is not None and columns < 1:
        raise UsageError(f"a contact sheet has at least 1 column, not {columns}")
    shrunk = [(title, *_gather(tiles)) for title, tiles in sections]
    most = max((len(tiles) for _, tiles, _ in shrunk), default=0)
    if not most:
        raise UsageError("a contact sheet needs at least one picture")
    columns = min(most, columns or max(4, ceil(sqrt(most * 1.5))))
    side = max(SMALLEST, min(LARGEST, 2400 // columns - GAP))
    shrunk = [
        (title, [Tile(_fit(tile.image, side), tile.caption) for tile in tiles], more)
        for title, tiles, more in shrunk
    ]
    widths = [tile.image.width for _, tiles, _ in shrunk for tile in tiles]
    cell = max(SMALLEST, *widths)
    parts = [_section(title, tiles, more, columns, cell) for title, tiles, more in shrunk]
    sheet = Image.new(
        "RGB", (max(part.width for part in parts), sum(part.height for part in parts)), PAPER
    )
    top = 0
    for part in parts:
        sheet.paste(part, (0, top))
        top += part.height
    return sheet


def _gather(tiles: Iterable[Tile | tuple[Image.Image, str]]) -> tuple[list[Tile], int]:
    """Thumbnails of the first tiles, and how many more there are."""
    kept: list[Tile] = []
    more = 0
    for image, caption in tiles:
        if len(kept) < MAX_TILES:
            kept.append(Tile(_fit(image, LARGEST), caption))
        else:
            more += 1
    return kept, more


def _fit(image: Image.Image, side: int) -> Image.Image:
    factor = side / max(image.size)
    size = (max(1, round(image.width * factor)), max(1, round(image.height * factor)))
    way = Image.Resampling.LANCZOS if factor < 1 else Image.Resampling.NEAREST
    return (image if image.mode == "RGB" else image.convert("RGB")).resize(size, way)


def _section(title: str, tiles: list[Tile], more: int, columns: int, cell: int) -> Image.Image:
    rest = f" … and {count(more, 'picture')} more" if more else ""
    head = HEADING + 2 * GAP if title or rest else GAP
    line = TEXT + 6
    heights = [tile.image.height for tile in tiles]
    rows = [max(heights[at : at + columns]) for at in range(0, len(tiles), columns)]
    width = columns * (cell + GAP) + GAP
    part = Image.new("RGB", (width, head + sum(rows) + len(rows) * (line + GAP)), PAPER)
    draw = ImageDraw.Draw(part)
    heading = _cut(f"{title}{rest}", width - 2 * GAP, HEADING)
    draw.text((GAP, GAP), heading, INK, _font(HEADING))
    top = head
    for row, height in enumerate(rows):
        for column, (image, caption) in enumerate(tiles[row * columns : (row + 1) * columns]):
            left = GAP + column * (cell + GAP)
            part.paste(image, (left + (cell - image.width) // 2, top + height - image.height))
            words = _cut(caption, cell, TEXT)
            draw.text((left + cell / 2, top + height + 3), words, INK, _font(TEXT), anchor="ma")
        top += height + line + GAP
    return part


def _cut(text: str, width: int, size: int) -> str:
    """The text, shortened until it fits `width` pixels."""
    shown = drawable(text)
    while shown and _font(size).getlength(shown) > width:
        shown = f"{shown[:-2]}…" if len(shown) > 2 else ""
    return shown


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(font_path(), size)
