"""Deletion and insertion of a map that was judged, as lines to draw."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any

from probe.errors import UsageError

WIDTH, HEIGHT = 320, 180
MOST = 50
"""Curves of controls."""
GOOD = {
    "deletion": "share covered, hottest first: low is good",
    "insertion": "share shown, hottest first: high is good",
}


def charts(judged: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """One a curve: its name, area and points in a drawing of WIDTH x HEIGHT, the controls' too.

    judged: the record of `probe judge`; raises UsageError where it is none.
    """
    if judged is None:
        return []
    try:
        return [_chart(judged, name) for name in GOOD]
    except (LookupError, TypeError, ValueError, ArithmeticError, AttributeError) as error:
        raise UsageError("the record of the judgement is damaged: run probe judge again") from error


def _chart(judged: Mapping[str, Any], name: str) -> dict[str, Any]:
    own = judged["curves"][name]
    others = judged["control"][name][:MOST]
    lines = [_points(own), *map(_points, others)]
    top = max((score for line in lines for _, score in line), default=1.0) or 1.0
    area, error = own["area"], own["stderr"]
    said = "not known" if area is None else f"{float(area):.2f} ± {float(error):.2f}"
    return {
        "name": name,
        "said": said,
        "good": GOOD[name],
        "top": f"{top:.3g}",
        "own": _line(lines[0], top),
        "others": [_line(line, top) for line in lines[1:]],
        "rows": [(f"{share:.0%}", f"{score:.3g}") for share, score in lines[0]],
        "width": WIDTH,
        "height": HEIGHT,
    }


def _points(curve: Mapping[str, Any]) -> list[tuple[float, float]]:
    points = [(point[0], point[1]) for point in curve["points"]]
    known = [(float(share), float(score)) for share, score in points if score is not None]
    if not all(isfinite(share) and isfinite(score) for share, score in known):
        raise ValueError("a point that is no number")
    return known


def _line(points: list[tuple[float, float]], top: float) -> str:
    place = (
        (share * WIDTH, (1 - max(0.0, score) / (top * 1.05)) * HEIGHT) for share, score in points
    )
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in place)
