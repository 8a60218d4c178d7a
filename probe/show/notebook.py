"""What a notebook shows of a map and of a run: the figure, with a line of words.

Whatever a service called its labels is text here. The figure brings its own white ground and the
words take the notebook's colours, so that both can be read on dark pages.
"""

from __future__ import annotations

from base64 import b64encode
from html import escape

from probe.finding import finding
from probe.heatmap import Heatmap
from probe.result import Result
from probe.show.words import LABEL, said
from probe.text import printable


def heatmap_html(heatmap: Heatmap) -> str:
    """The figure of a map and, under it, its label, reference and answers."""
    return _html(heatmap, f"{printable(heatmap.label, LABEL)} {said(heatmap)}")


def result_html(result: Result) -> str:
    """The figure of the asked label and, under it, what was found."""
    return _html(result.heatmap(), finding(result))


def _html(heatmap: Heatmap, words: str) -> str:
    data = b64encode(heatmap._repr_png_()).decode("ascii")
    what = "over the picture" if heatmap.image is not None else "without its picture"
    alt = escape(f"Map of {printable(heatmap.label, LABEL)} {what}")
    return (
        f'<img src="data:image/png;base64,{data}" alt="{alt}" '
        'style="max-width:100%;height:auto;background:#fff">'
        f'<p dir="ltr" style="margin:.3em 0">{escape(words)}</p>'
    )
