"""The words on figures: what a map is of, safe to draw whatever a service called its labels."""

from __future__ import annotations

from functools import cache

import numpy as np

from probe.heatmap import Heatmap
from probe.text import count, printable

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
    """Label, reference and how many answers it rests on, in one line."""
    label = drawable(heatmap.label, LABEL)
    answers = count(heatmap.answers, "answer")
    return f"{label} {number(heatmap.reference)} for the whole picture · {answers}"


def scale_label(heatmap: Heatmap) -> str:
    """What the colours measure, with the unit."""
    label, unit = drawable(heatmap.label, LABEL), drawable(heatmap.unit, 20)
    known = heatmap.planes.stderr[np.isfinite(heatmap.planes.stderr)]
    if known.size:
        unit += f", typical standard error {np.median(known):.2g}"
    if heatmap.kind == "score":
        return f"mean of {label}, windows sent alone ({unit})"
    return f"drop of {label} when covered ({unit}); red speaks for it, blue against"
