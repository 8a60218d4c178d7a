"""The covered picture at full size, as the file that is handed out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image

from probe.decide.search_moves import Cover
from probe.image import decode, encode
from probe.perturb import Renderer
from probe.perturb.geometry import Pixels
from probe.types import Codec


@dataclass(frozen=True)
class Final:
    """boxes: in pixels of the picture. data: the file. image: what the file decodes to."""

    boxes: tuple[Pixels, ...]
    data: bytes
    image: Image.Image

    @property
    def area(self) -> float:
        covered = sum((x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in self.boxes)
        return covered / (self.image.width * self.image.height)


def finished(renderer: Renderer, cover: Cover, codec: Codec) -> Final:
    """The picture at full size under a cover of send pixels, by the renderer's fill.

    Edges go outwards to whole pixels, in a JPEG to whole blocks, so that none of what was covered
    shines through.
    """
    (width, height), (w, h) = renderer.canvas.size, renderer.canvas.send
    grid = codec.grid
    boxes = tuple(
        (
            x0 * width // w // grid * grid,
            y0 * height // h // grid * grid,
            min(width, -(-x1 * width // w // grid) * grid),
            min(height, -(-y1 * height // h // grid) * grid),
        )
        for x0, y0, x1, y1 in cover
    )
    image = renderer.image.copy()
    layer = _layer(renderer, boxes)
    for box in boxes:
        image.paste(layer if isinstance(layer, tuple) else layer.crop(box), box)
    data = encode(image, codec)
    return Final(boxes, data, decode(data))


def _layer(renderer: Renderer, boxes: Sequence[Pixels]) -> tuple[int, int, int] | Image.Image:
    """The fill that was searched with, at full size: noise keeps the grain it was sent in."""
    image, fill = renderer.image, renderer.fill
    if fill.hangs_on_cover and boxes:
        cover = Image.new("L", image.size)
        for box in boxes:
            cover.paste(255, box)
        return fill.patch(image, cover)
    layer = renderer.layer
    if isinstance(layer, tuple) or layer.size == image.size:
        return layer
    grain = fill.kind == "noise"
    resampling = Image.Resampling.NEAREST if grain else Image.Resampling.BICUBIC
    return layer.resize(image.size, resampling)
