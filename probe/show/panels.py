"""Pictures side by side on one page, each with its caption, with the scale of a map below."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from probe.show.figure import DOTS, MARGIN, PLAIN, drawn, fitted, mappable, resized
from probe.show.paint import Scale
from probe.show.places import outlined
from probe.show.sheet import fitting
from probe.show.words import drawable

LONGEST, THINNEST, NARROWEST = 400, 40, 330
LETTERS = 14
"""Of lines of words, in pixels: those of size 9 as the renderer spaces them, at the most."""
HEAD, CAPTION, LINE, BAR = 44, 26, 18, 66


def panels(
    title: str,
    shown: Sequence[tuple[str, Image.Image]],
    scale: Scale | None = None,
    measure: str = "",
    lines: Sequence[str] = (),
    marks: Sequence[NDArray[np.bool_]] = (),
) -> Image.Image:
    """A finished picture, RGB: the pictures in one row, all at the size of the first, lines of
    words below them, and the scale, which `measure` says the meaning of.

    marks: (h, w) each, places of the picture, whose outlines and numbers are drawn on each."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    size = fitted(shown[0][1].size, LONGEST, THINNEST)
    cell = max(size[0], NARROWEST)
    width = len(shown) * (cell + MARGIN) + MARGIN
    below = LINE * len(lines) + (BAR if scale else 12)
    height = HEAD + CAPTION + size[1] + 10 + below
    drawing = Figure(figsize=(width / DOTS, height / DOTS), dpi=DOTS, facecolor="white")
    canvas = FigureCanvasAgg(drawing)
    centred: dict[str, Any] = {"ha": "center", "va": "center", **PLAIN}
    drawing.text(0.5, 1 - 22 / height, drawable(title), size=11, **centred)
    for place, (caption, image) in enumerate(shown):
        middle = MARGIN + cell / 2 + place * (cell + MARGIN)
        drawing.text(
            middle / width, 1 - (HEAD + 12) / height, drawable(caption, 60), size=9.5, **centred
        )
        x, y = round(middle - size[0] / 2), height - HEAD - CAPTION - size[1]
        laid = outlined(resized(image, size), marks) if marks else resized(image, size)
        drawing.figimage(np.asarray(laid), x, y, origin="upper")
    for number, line in enumerate(lines):
        up = below - LINE * (number + 0.5)
        said = fitting(line, width - 2 * MARGIN, LETTERS)
        drawing.text(0.5, up / height, said, size=9, **centred)
    if scale is not None:
        long = min(width - 2 * MARGIN, 480)
        axes = drawing.add_axes(
            ((width - long) / 2 / width, 42 / height, long / width, 10 / height)
        )
        colorbar = drawing.colorbar(mappable(scale), cax=axes, orientation="horizontal")
        colorbar.set_label(drawable(measure), size=9, labelpad=1, **PLAIN)
        colorbar.ax.tick_params(labelsize=8, pad=1)
    return drawn(canvas)


def signed(values: NDArray[Any], limit: float | None = None) -> Image.Image:
    """A signed picture (h, w, 3) around middle grey; NaN is white.

    limit: the value of full colour, by default that which 1 in 200 exceed.
    """
    known = np.abs(values[np.isfinite(values)])
    if limit is None:
        limit = float(np.quantile(known, 0.995)) if known.size else 1.0
    shares = np.clip(np.nan_to_num(values, nan=limit or 1.0) / (limit or 1.0), -1, 1)
    return Image.fromarray(np.rint(127.5 + 127.5 * shares).astype(np.uint8))
