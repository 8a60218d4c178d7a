"""Perturbations to pictures: lazily, from one shared base, only when somebody asks."""

from __future__ import annotations

from functools import cached_property
from typing import assert_never

from PIL import Image, ImageChops

from probe.image import encode, scale
from probe.perturb.fills import Colour, Fill
from probe.perturb.geometry import Pixels, pixels
from probe.perturb.masks import opacity
from probe.types import Box, Canvas, Codec, Identity, Keep, Mask, Perturbation, Variant, Window

RENDER_VERSION = 1
"""Part of the ledger's key: raised whenever the same question gives other pixels."""


class Renderer:
    """Renders perturbations of one picture.

    image: the upright RGB picture at full size; it is scaled to `canvas.send` once, when the
    first variant is rendered. min_side: windows with a shorter side are enlarged by a whole
    factor to reach it. Holds the base and at most one fill layer, whatever the number of variants.
    """

    def __init__(self, image: Image.Image, canvas: Canvas, fill: Fill, min_side: int = 1) -> None:
        self.image = image
        self.canvas = canvas
        self.fill = fill
        self.min_side = min_side

    @cached_property
    def base(self) -> Image.Image:
        """The picture at send size."""
        base = scale(self.image, max(self.canvas.send))
        if base.size != self.canvas.send:
            raise ValueError(
                f"the canvas sends {self.canvas.send}, the picture scales to {base.size}"
            )
        return base

    @cached_property
    def layer(self) -> Colour | Image.Image:
        return self.fill.layer(self.base)

    def variant(self, perturbation: Perturbation) -> Variant:
        """The perturbation on this picture; nothing is rendered before it is asked for."""
        return Rendered(self, perturbation)

    def render(self, perturbation: Perturbation) -> Image.Image:
        """A new RGB picture: the base under a cover, a window of it, or the base itself."""
        if self.fill.hangs_on_cover and isinstance(perturbation, Box | Keep | Mask):
            cover = Image.fromarray(opacity(perturbation, self.canvas))
            return Image.composite(self.fill.patch(self.base, cover), self.base, cover)
        match perturbation:
            case Identity(full=full):
                return (self.image if full else self.base).copy()
            case Window():
                window = self.base.crop(pixels(perturbation, self.canvas))
                return _enlarge(window, self.min_side)
            case Box():
                return self._pasted(self.base, self.layer, pixels(perturbation, self.canvas))
            case Keep():
                return self._pasted(self.layer, self.base, pixels(perturbation, self.canvas))
            case Mask():
                covered = self.base.copy()
                covered.paste(self.layer, mask=Image.fromarray(opacity(perturbation, self.canvas)))
                return covered
            case _:
                assert_never(perturbation)

    def _pasted(
        self, under: Colour | Image.Image, over: Colour | Image.Image, region: Pixels
    ) -> Image.Image:
        """A new picture of `under` with that region of `over` in its place."""
        whole = (
            Image.new("RGB", self.base.size, under) if isinstance(under, tuple) else under.copy()
        )
        whole.paste(over if isinstance(over, tuple) else over.crop(region), region)
        return whole

    def changes(self, perturbation: Perturbation) -> bool:
        """Does it differ from the picture as sent? Of a box it looks at the covered region only,
        at its first row first.

        An Identity changes nothing, except at full size where the picture is sent smaller.
        """
        match perturbation:
            case Identity(full=full):
                return full and self.canvas.size != self.canvas.send
            case Window():
                return pixels(perturbation, self.canvas) != (0, 0, *self.canvas.send)
            case Box() if not self.fill.hangs_on_cover:
                region = x0, y0, x1, _ = pixels(perturbation, self.canvas)
                return self._differs((x0, y0, x1, y0 + 1)) or self._differs(region)
            case Box() | Keep() | Mask():
                change = ImageChops.difference(self.render(perturbation), self.base)
                return change.getbbox() is not None
            case _:
                assert_never(perturbation)

    def _differs(self, region: Pixels) -> bool:
        part, patch = self.base.crop(region), self.layer
        if isinstance(patch, tuple):
            return part.getextrema() != tuple((level, level) for level in patch)
        return ImageChops.difference(part, patch.crop(region)).getbbox() is not None


class Rendered:
    """One variant. Encoded bytes are kept, so that a retry does not encode again; pixels are
    handed over and not kept, as rendering a cover is no dearer than copying a picture."""

    def __init__(self, renderer: Renderer, perturbation: Perturbation) -> None:
        self.perturbation: Perturbation = perturbation
        self.renderer = renderer
        self._encoded: dict[Codec, bytes] = {}

    def pixels(self) -> Image.Image:
        return self.renderer.render(self.perturbation)

    def encode(self, codec: Codec) -> bytes:
        if codec not in self._encoded:
            self._encoded[codec] = encode(self.pixels(), codec)
        return self._encoded[codec]


def _enlarge(window: Image.Image, min_side: int) -> Image.Image:
    factor = -(-min_side // min(window.size))
    if factor <= 1:
        return window
    size = (window.width * factor, window.height * factor)
    return window.resize(size, Image.Resampling.BICUBIC)
