"""The words on figures: what a map is of, safe to draw whatever a service called its labels."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from probe.heatmap import Heatmap
from probe.text import count, printable

if TYPE_CHECKING:
    from PIL import ImageFont

LABEL = 28


@cache
def _glyphs() -> frozenset[int]:
    """The characters that the figures' font can draw."""
    from matplotlib.font_manager import get_font

    return frozenset(get_font(font_path()).get_charmap())


@cache
def font_path() -> str:
    """DejaVu Sans, which comes with matplotlib."""
    from matplotlib import get_data_path

    return f"{get_data_path()}/fonts/ttf/DejaVuSans.ttf"


def length(text: str) -> float:
    """How wide the text is drawn, in sizes of the font."""
    return font(100).getlength(text) / 100


@cache
def font(size: int) -> ImageFont.FreeTypeFont:
    """The figures' font, `size` in pixels."""
    from PIL import ImageFont

    return ImageFont.truetype(font_path(), size)


def drawable(text: str, limit: int = 200) -> str:
    """`printable`, with characters that the font lacks spelled out too, cut to `limit`."""
    spelled = "".join(
        character
        if ord(character) in _glyphs()
        else character.encode("unicode_escape").decode("ascii")
        for character in printable(text[: limit + 1])
    )
    return spelled if len(spelled) <= limit else f"{spelled[: limit - 1]}…"


def number(value: float) -> str:
    """Three significant digits, never a minus zero."""
    return f"{value + 0.0:.3g}"


def title(heatmap: Heatmap) -> str:
    """Label, reference and how many answers it rests on, in one line; that it is flat or empty."""
    return f"{drawable(heatmap.label, LABEL)} {said(heatmap)}"


def said(heatmap: Heatmap) -> str:
    """`title` without the label."""
    answers = count(heatmap.answers, "answer")
    known = heatmap.planes.values[np.isfinite(heatmap.planes.values)]
    nothing = ""
    if not known.size:
        nothing = " · empty: no variant got a score"
    elif heatmap.kind == "evidence" and not known.any():
        nothing = " · flat: no cover moved it"
    return f"{number(heatmap.reference)} for the whole picture · {answers}{nothing}"


def scale_label(heatmap: Heatmap) -> str:
    """What the colours measure, with the unit."""
    label, unit = drawable(heatmap.label, LABEL), drawable(heatmap.unit, 20)
    known = heatmap.planes.stderr[np.isfinite(heatmap.planes.stderr)]
    if known.size:
        unit += f", typical standard error {np.median(known):.2g}"
    if heatmap.kind == "score":
        return f"mean of {label}, windows sent alone ({unit})"
    return f"drop of {label} when covered ({unit}); red speaks for it, blue against"


def significance(heatmap: Heatmap, unsure: NDArray[np.bool_]) -> str:
    """What the dotted parts of the map are, in words; empty without any."""
    if not unsure.any():
        return ""
    if unsure.sum() == np.isfinite(heatmap.planes.values).sum():
        return "nothing significant: no part matters beyond the errors of the answers"
    return "not significant: within 2 standard errors of zero"
