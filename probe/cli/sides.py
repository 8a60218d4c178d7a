"""Two maps of `probe compare --map`: in words, as a picture, as a record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from probe.decide.agreement import CELLS
from probe.heatmap import Heatmap
from probe.judging import Judgement
from probe.progress import Sum
from probe.result import Result
from probe.show import overlay
from probe.show.panels import panels
from probe.text import printable

if TYPE_CHECKING:
    from PIL import Image

    from probe.image import Picture


@dataclass(frozen=True, eq=False)
class Side:
    """One of the two maps.

    run: that it is of, None where there is none. asked: whether the run was made for this.
    seconds: to make the map. judgement: what following it does to the score.
    """

    name: str
    heatmap: Heatmap
    run: Result | None
    asked: bool
    seconds: float
    judgement: Judgement


def words(sides: Sequence[Side], agree: Mapping[str, float | None]) -> list[str]:
    lines = [
        f"{side.name}: deletion {side.judgement.deletion:.2f}, insertion "
        f"{side.judgement.insertion:.2f}, made in {side.seconds:.1f} s"
        for side in sides
    ]
    first, second = (_said(value) for value in agree.values())
    lines.append(
        f"{sides[0].name} and {sides[1].name} rank alike by {first} over pixels, "
        f"{second} over {CELLS} x {CELLS} parts (1 is the same order, 0 none)"
    )
    return lines


def drawn(sides: Sequence[Side], picture: Picture, lines: Sequence[str]) -> Image.Image:
    shown = [("the picture", picture.image)]
    shown += [(side.name, overlay(side.heatmap, picture.image)) for side in sides]
    label = printable(sides[0].judgement.label, 28)
    return panels(f"two maps of {label}, each on its own scale", shown, lines=lines)


def record_of(
    sides: Sequence[Side], agree: Mapping[str, float | None], settings: dict[str, Any]
) -> dict[str, Any]:
    """What compare.json holds, with what the runs and both judgements took."""
    spent: list[Any] = [side.judgement for side in sides]
    total = Sum([side.run for side in sides if side.run is not None and side.asked])
    costs = [cost for cost in (total.cost, *(one.cost for one in spent)) if cost is not None]
    return {
        "schema": 1,
        "label": spent[0].label,
        "reference": dict(spent[0].reference),
        **agree,
        "maps": [
            {
                "name": side.name,
                "deletion": side.judgement.deletion,
                "insertion": side.judgement.insertion,
                "seconds": round(side.seconds, 3),
                "calls": side.heatmap.calls,
                "answers": side.heatmap.answers,
                "judgement": side.judgement.as_dict(),
            }
            for side in sides
        ],
        "calls": total.calls + sum(one.calls for one in spent),
        "answers": len(total.answers) + sum(one.answers for one in spent),
        "requests": total.requests + sum(one.requests for one in spent),
        "cost": sum(costs) if costs else None,
        "currency": next((one.currency for one in spent if one.currency), None),
        "failures": len(total.failures) + sum(one.failures for one in spent),
        "seconds": round(sum(side.seconds + side.judgement.seconds for side in sides), 3),
        "settings": settings,
    }


def _said(value: float | None) -> str:
    return "nothing (one is flat)" if value is None else f"{value:.2f}"
