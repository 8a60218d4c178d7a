"""What was found, in one sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from probe.notes import CHANCE
from probe.text import printable
from probe.types import Mask

if TYPE_CHECKING:
    from probe.result import Result

SMALL = 0.005
"""A share of the reference that is not worth a sentence."""


def finding(result: Result) -> str:
    """The label's score and what moves it most; boxes are in pixels of the picture as given."""
    reference = result.reference[result.label]
    noise = f" ± {result.noise:.2g}" if result.noise else ""
    sentence = f"{printable(result.label, 60)} {reference:.3g}{noise}."
    if (result.p_value or 0) > CHANCE:
        return f"{sentence} No part of the map stands out of its errors."
    more = [_cover(result), _kept(result)]
    if any(isinstance(answer.perturbation, Mask) for answer in result.answers):
        more = [_spot(result)]
    return " ".join([sentence, *filter(None, more)])


def _cover(result: Result) -> str:
    """The window with the highest score, or the box with the lowest one."""
    row = _strongest(result, "box", "window")
    if row is None:
        return ""
    if row["kind"] == "window":
        return f"The window {_where(row)} scores {row['score']:.3g} by itself."
    drop = result.reference[result.label] - row["score"]
    if drop <= _floor(result):
        return f"No cover lowers it by more than {max(0, drop):.2g}."
    return f"Covering the box {_where(row)} brings it to {row['score']:.3g}."


def _kept(result: Result) -> str:
    row = _strongest(result, "keep")
    if row is None:
        return ""
    return f"The region {_where(row)} with all else covered scores {row['score']:.3g}."


def _strongest(result: Result, *kinds: str) -> dict[str, Any] | None:
    """The answer of these kinds that says most; what covers everything says nothing of a place."""
    best: dict[str, Any] | None = None
    for answer in result.answers:
        row = result.describe(answer)
        whole = row["kind"] == "box" and row["area"] == 1
        if row["kind"] not in kinds or row["score"] is None or whole:
            continue
        sign = -1 if row["kind"] == "box" else 1
        if best is None or sign * row["score"] > sign * best["score"]:
            best = row
    return best


def _spot(result: Result) -> str:
    """Where a map of masks, which are no region, is hottest: connected pixels of at least half
    of its maximum."""
    import numpy as np
    from scipy.ndimage import label

    heatmap = result.heatmap()
    values = heatmap.values
    if np.isnan(values).all():
        return ""
    top = np.unravel_index(np.nanargmax(values), values.shape)
    value, error = float(values[top]), float(np.nan_to_num(heatmap.stderr[top]))
    if value <= max(_floor(result), 2 * error):
        return "No part of the map stands out of its errors."
    parts, _ = label(np.nan_to_num(values) >= value / 2, np.ones((3, 3)))
    hottest = np.bincount(parts[values == values[top]]).argmax()
    rows, columns = np.nonzero(parts == hottest)
    box = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    where = _where({"box": [int(edge) for edge in box], "area": len(rows) / values.size})
    sure = f" ± {error:.1g}" if error else ""
    return f"The map's strongest spot is {where}: shown, it adds up to {value:.2g}{sure}."


def _floor(result: Result) -> float:
    """What is too little to speak of."""
    return max(SMALL * abs(result.reference[result.label]), 2 * (result.noise or 0))


def _where(row: dict[str, Any]) -> str:
    x0, y0, x1, y1 = row["box"]
    return f"{x0},{y0}-{x1},{y1} px ({row['area']:.0%} of the picture)"
