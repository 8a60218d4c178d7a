"""Maps as pictures for the page: small, and drawn only while somebody looks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image

from probe.heatmap import Heatmap
from probe.report.packing import small
from probe.result import Result
from probe.show.paint import LEVELS, PAPER, Scale, paint
from probe.studio.pictures import THUMB, shown

SIDE = 512


@dataclass(frozen=True)
class Drawn:
    """A map and its standard error, PNG; `low` and `high` are what their scales end at."""

    map: bytes
    error: bytes
    kind: str
    unit: str
    low: float
    high: float
    error_low: float
    error_high: float

    @property
    def scales(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in ("map", "error")}


def draw(result: Result, picture: Image.Image) -> Drawn:
    """picture: the result's, small already: maps have its size."""
    heatmap = result.heatmap()
    errors = _errors(heatmap)
    scale, of_errors = Scale.of(heatmap), Scale.of(errors)
    return Drawn(
        map=_png(paint(heatmap, picture, scale=scale)),
        error=_png(paint(errors, picture, scale=of_errors)),
        kind=heatmap.kind,
        unit=heatmap.unit,
        low=scale.low,
        high=scale.high,
        error_low=of_errors.low,
        error_high=of_errors.high,
    )


def thumb(result: Result) -> bytes:
    """The map over the picture, WebP of at most THUMB pixels."""
    assert result.image is not None
    return shown(paint(result.heatmap(), small(result.image, THUMB)), THUMB)


def overlay(result: Result, side: int) -> bytes:
    """The map over the picture, WebP."""
    assert result.image is not None
    return shown(paint(result.heatmap(), small(result.image, side)), side)


def scale_bar(kind: str) -> bytes:
    """The colours of a scale from its low to its high end, on paper; PNG."""
    table = Scale(0.0, 1.0, kind).table
    colours = table[:, :3].astype(float)
    opacity = table[:, 3:] / 255
    row = np.rint(colours * opacity + np.array(PAPER) * (1 - opacity)).astype(np.uint8)
    return _png(Image.fromarray(row.reshape(1, LEVELS, 3)))


def _errors(heatmap: Heatmap) -> Heatmap:
    """The standard error as a map of its own; where it is not known there is none."""
    stderr = heatmap.planes.stderr
    known = np.where(np.isfinite(stderr), stderr, np.float32(np.nan))
    planes = replace(heatmap.planes, values=known)
    return replace(heatmap, kind="score", planes=planes, p_value=None)


def _png(image: Image.Image) -> bytes:
    buffer = BytesIO()
    image.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
