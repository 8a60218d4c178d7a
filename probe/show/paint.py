"""A map as colours over its picture."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance

from probe.errors import UsageError
from probe.heatmap import Heatmap
from probe.image import open_image
from probe.notes import CHANCE

if TYPE_CHECKING:
    from matplotlib.colors import Colormap

PAPER = (245, 245, 245)
INK = (70, 70, 70)
FAINT = 0.05  # a map of smaller effects is drawn pale, not stretched to full colour
LEVELS = 256
ALPHA = 0.75
ERRORS = 2  # so many standard errors from zero, a value is significant

Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Scale:
    """How values become colours: from `low` to `high`; opacity grows with what is said.

    Evidence is drawn from blue (against the label) to red (for it), symmetric about zero and as
    far as what is significant goes; scores from the lowest (clear) to the highest (yellow).
    """

    low: float
    high: float
    kind: str

    @classmethod
    def of(cls, heatmap: Heatmap) -> Scale:
        values = heatmap.planes.values
        known = values[np.isfinite(values)]
        if heatmap.kind == "evidence":
            sure = values[np.isfinite(values) & ~unsure(heatmap)]
            known = sure if sure.size else known
            limit = max(FAINT, float(np.abs(known).max()) if known.size else 1.0)
            return cls(-limit, limit, heatmap.kind)
        low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
        return cls(low, max(high, low + FAINT), heatmap.kind)

    @property
    def colours(self) -> Colormap:
        from matplotlib import colormaps

        return colormaps["RdBu_r" if self.kind == "evidence" else "viridis"]

    @cached_property
    def table(self) -> NDArray[np.uint8]:
        """(256, 4): colour and opacity of each level from `low` to `high`."""
        place = np.linspace(0, 1, LEVELS)
        rgb = self.colours(place)[:, :3]
        strength = np.abs(2 * place - 1) if self.kind == "evidence" else place
        alpha = ALPHA * strength**0.6
        table: NDArray[np.uint8] = np.rint(np.column_stack([rgb, alpha]) * 255).astype(np.uint8)
        return table

    def levels(self, values: NDArray[Any]) -> NDArray[np.uint8]:
        """The row of `table` of each value; 0 where it is NaN."""
        place = (np.nan_to_num(values, nan=self.low) - self.low) / (self.high - self.low)
        levels: NDArray[np.uint8] = np.rint(np.clip(place, 0, 1) * (LEVELS - 1)).astype(np.uint8)
        return levels


def tables() -> dict[str, NDArray[np.uint8]]:
    """(256, 4) RGBA, uint8, of each scale of a page: evidence on light and on dark ground, scores,
    standard errors."""
    from matplotlib import colormaps

    place = np.linspace(0, 1, LEVELS)
    flat = np.full(LEVELS, ALPHA)
    diverging = ALPHA * np.abs(2 * place - 1) ** 0.6
    named = {
        "light": ("RdBu_r", diverging),
        "dark": ("managua_r", diverging),
        "score": ("viridis", flat),
        "stderr": ("cividis", flat),
    }
    return {
        scale: np.rint(np.column_stack([colormaps[name](place)[:, :3], alpha]) * 255).astype(
            np.uint8
        )
        for scale, (name, alpha) in named.items()
    }


def overlay(heatmap: Heatmap, image: Any = None) -> Image.Image:
    """The map over the picture, RGB, of the picture's size.

    Evidence for the label is red, against it blue, on one symmetric scale; the stronger, the
    less of the picture shows through. Evidence within two standard errors of zero has no colour
    and is dotted. What nothing covered, or the model does not see, is hatched.

    image: anything `open_image` takes; needed only for a map that was loaded from a file.
    Raises UsageError without a picture, or with one of another size.
    """
    picture = heatmap.image if image is None else open_image(image).image
    if picture is None:
        raise UsageError("this map was loaded without its picture: pass it, overlay(image)")
    if picture.size != heatmap.canvas.size:
        width, height = heatmap.canvas.size
        raise UsageError(
            f"the map is of a picture of {width} x {height} pixels, "
            f"not of {picture.width} x {picture.height}"
        )
    return paint(heatmap, picture)


def paint(
    heatmap: Heatmap,
    picture: Image.Image | None,
    size: tuple[int, int] = (1, 1),
    scale: Scale | None = None,
) -> Image.Image:
    """The map over `picture` at the picture's own size, or over paper of `size`; on its own scale
    unless one is given."""
    scale = scale or Scale.of(heatmap)
    base = Image.new("RGB", size, PAPER) if picture is None else faded(picture)
    values = heatmap.planes.values
    rgba = scale.table[scale.levels(values)]
    blank = np.isnan(values)
    rgba[blank] = (*PAPER, 90)
    dotted = unsure(heatmap)
    rgba[dotted] = (*PAPER, 60)
    layer = Image.fromarray(rgba).resize(base.size, Image.Resampling.NEAREST)
    base.paste(layer.convert("RGB"), mask=layer.getchannel("A"))
    for where, pattern in ((blank, hatch), (dotted, dots)):
        if where.any():
            inside = Image.fromarray(where).resize(base.size, Image.Resampling.NEAREST)
            ink = Image.fromarray(pattern(base.size) & np.asarray(inside)).convert("L")
            base.paste(INK, mask=ink.point(lambda level: level * 160 // 255))
    return base


def unsure(heatmap: Heatmap) -> Mask:
    """(h, w), True where evidence is known and within two standard errors of zero.

    Where fewer than two answers cover a pixel, its error is not known, and so nothing is sure;
    a zero without an error is. Nor is anything of a map that shuffled answers match too often.
    """
    values = heatmap.planes.values
    if heatmap.kind != "evidence":
        return np.zeros(values.shape, bool)
    sure = np.abs(values) >= ERRORS * heatmap.planes.stderr
    if (heatmap.p_value or 0) > CHANCE:
        sure = values == 0
    unsure: Mask = np.isfinite(values) & ~sure
    return unsure


def faded(picture: Image.Image) -> Image.Image:
    """The picture nearly grey and light, so that colours over it can be read."""
    grey = ImageEnhance.Color(picture).enhance(0.15)
    return Image.blend(grey, Image.new("RGB", picture.size, "white"), 0.45)


def hatch(size: tuple[int, int]) -> Mask:
    """(H, W), True on diagonal lines whose distance suits the picture."""
    width, height = size
    period = max(4, min(24, max(size) // 40))
    band = np.arange(period)[:, None] + np.arange(width)
    lines: Mask = band % period < max(1, period // 6)
    return lines[np.arange(height) % period]


def dots(size: tuple[int, int]) -> Mask:
    """(H, W), True on staggered dots whose distance suits the picture."""
    width, height = size
    period = max(4, min(40, max(size) // 70))
    side = max(1, period // 5)
    rows, columns = np.arange(height)[:, None], np.arange(width)
    shift = rows // period % 2 * (period // 2)
    dots: Mask = (rows % period < side) & ((columns + shift) % period < side)
    return dots


def blanks(heatmap: Heatmap) -> list[str]:
    """What the hatched parts of the map are, in words; empty without any."""
    values = heatmap.planes.values
    height, width = values.shape
    x0, y0, x1, y1 = heatmap.canvas.seen
    x, y = (np.arange(width) + 0.5) / width, (np.arange(height) + 0.5) / height
    seen = ((y0 <= y) & (y <= y1))[:, None] & ((x0 <= x) & (x <= x1))
    blank = np.isnan(values)
    names = []
    if (blank & ~seen).any():
        names.append("not seen by the model")
    if (blank & seen).any():
        evidence = heatmap.kind == "evidence"
        names.append("not covered by an answer" if evidence else "in no answered window")
    return names
