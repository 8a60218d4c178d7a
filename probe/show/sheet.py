"""The contact sheet: the pictures that were really sent, each with its score under it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from math import ceil, sqrt
from typing import TYPE_CHECKING, NamedTuple

from PIL import Image, ImageDraw

from probe.errors import UsageError
from probe.show.words import drawable, font
from probe.text import count
from probe.types import Failure, Identity

if TYPE_CHECKING:
    from probe.perturb import Renderer
    from probe.result import Answer, Result

MAX_TILES = 600
LARGEST, SMALLEST = 160, 64
GAP = 10
TEXT, HEADING = 12, 16
PAPER, INK = "white", "#222222"


class Tile(NamedTuple):
    """One picture of a sheet, and the words under it."""

    image: Image.Image
    caption: str


def scored_tiles(
    result: Result, renderer: Renderer, chosen: Iterable[int] | None = None
) -> Iterator[Tile]:
    """What was sent, each with its number in the plan and its score of the result's label.

    chosen: numbers of answers, all by default. Rendered one by one.
    """
    for number in range(len(result.answers)) if chosen is None else chosen:
        answer = result.answers[number]
        image = renderer.variant(answer.perturbation).pixels()
        yield Tile(image, f"#{number} {_score(result, answer)}")


def _score(result: Result, answer: Answer) -> str:
    outcome = result.outcome(answer)
    shown = "no score" if isinstance(outcome, Failure) else f"{outcome[result.label]:.3g}"
    return f"whole {shown}" if isinstance(answer.perturbation, Identity) else shown


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
        (title, [Tile(thumbnail(tile.image, side), tile.caption) for tile in tiles], more)
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
            kept.append(Tile(thumbnail(image, LARGEST), caption))
        else:
            more += 1
    return kept, more


def thumbnail(image: Image.Image, side: int) -> Image.Image:
    """The picture, RGB, with its longer side at `side` pixels; smaller ones are enlarged."""
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
    heading = fitting(f"{title}{rest}", width - 2 * GAP, HEADING)
    draw.text((GAP, GAP), heading, INK, font(HEADING))
    top = head
    for row, height in enumerate(rows):
        for column, (image, caption) in enumerate(tiles[row * columns : (row + 1) * columns]):
            left = GAP + column * (cell + GAP)
            part.paste(image, (left + (cell - image.width) // 2, top + height - image.height))
            words = fitting(caption, cell, TEXT)
            draw.text((left + cell / 2, top + height + 3), words, INK, font(TEXT), anchor="ma")
        top += height + line + GAP
    return part


def fitting(text: str, width: float, size: int) -> str:
    """The text, safe to draw, shortened until it fits `width` in letters of `size`."""
    shown = drawable(text)
    while shown and font(size).getlength(shown) > width:
        shown = f"{shown[:-2]}…" if len(shown) > 2 else ""
    return shown
