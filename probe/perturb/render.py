"""Perturbations to pictures: lazily, from one shared base, only when somebody asks."""

from __future__ import annotations

from functools import cached_property

from PIL import Image, ImageChops

from probe.image import encode, scale
from probe.perturb.fills import Colour, Fill
from probe.perturb.geometry import Pixels, pixels
from probe.types import Canvas, Codec, Identity, Perturbation, Variant, Window

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
        """A new RGB picture: the base with a cover, a window of it, or the base itself."""
        if isinstance(perturbation, Identity):
            return (self.image if perturbation.full else self.base).copy()
        region = pixels(perturbation, self.canvas)
        if isinstance(perturbation, Window):
            return _enlarge(self.base.crop(region), self.min_side)
        covered = self.base.copy()
        patch = self.layer
        covered.paste(patch if isinstance(patch, tuple) else patch.crop(region), region)
        return covered

    def changes(self, perturbation: Perturbation) -> bool:
        """Does it differ from the picture as sent? Looks at the covered
        region only, at its first row first.

        An Identity changes nothing, except at full size where the picture is sent smaller.
        """
        if isinstance(perturbation, Identity):
            return perturbation.full and self.canvas.size != self.canvas.send
        region = pixels(perturbation, self.canvas)
        if isinstance(perturbation, Window):
            return region != (0, 0, *self.canvas.send)
        x0, y0, x1, _ = region
        return self._differs((x0, y0, x1, y0 + 1)) or self._differs(region)

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
        self._renderer = renderer
        self._encoded: dict[Codec, bytes] = {}

    def pixels(self) -> Image.Image:
        return self._renderer.render(self.perturbation)

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
