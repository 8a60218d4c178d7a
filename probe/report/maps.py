"""The maps of a page: planes at the places that can be pointed at, and how they are coloured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from probe.heatmap import Heatmap
from probe.report import packing
from probe.result import Result
from probe.show.paint import Scale, blanks, tables, unsure
from probe.show.words import number
from probe.text import printable

FINEST = 256
"""So many places a page can tell apart along the longer side, at most."""
MAX_LABELS = 8
MAX_BYTES = 2_500_000
NAME = 200


@dataclass(frozen=True, slots=True)
class Places:
    """The send pixels that a page knows the values of: every `step`-th, in rows and columns."""

    columns: NDArray[np.int_]
    rows: NDArray[np.int_]
    step: int

    @classmethod
    def of(cls, send: tuple[int, int]) -> Places:
        step = -(-max(send) // FINEST)
        columns, rows = (
            np.arange(step // 2 if side > step // 2 else 0, side, step) for side in send
        )
        return cls(columns, rows, step)

    def sample(self, plane: NDArray[Any]) -> NDArray[Any]:
        return plane[self.rows[:, None], self.columns]


def shown_labels(result: Result) -> list[str]:
    """The label that was asked for, then the others by their score; MAX_LABELS at most."""
    others = [label for label in result.labels if label != result.label]
    others.sort(key=lambda label: -result.reference[label])
    return [result.label, *others[: MAX_LABELS - 1]]


def maps(result: Result, places: Places) -> list[dict[str, Any]]:
    """One entry a label, the asked one first, as many as fit into MAX_BYTES."""
    found: list[dict[str, Any]] = []
    size = 0
    for label in shown_labels(result):
        made = _map(result.heatmap(label), places)
        size += sum(len(made[view]["data"]) for view in ("value", "stderr", "score"))
        if found and size > MAX_BYTES:
            break
        found.append(made)
    return found


def _map(heatmap: Heatmap, places: Places) -> dict[str, Any]:
    planes, scale = heatmap.planes, Scale.of(heatmap)
    views = {
        "value": places.sample(planes.values),
        "stderr": places.sample(planes.stderr),
        "score": places.sample(planes.mean_score),
    }
    made: dict[str, Any] = {name: packing.plane(plane) for name, plane in views.items()}
    return {
        **made,
        "label": printable(heatmap.label, NAME),
        "kind": heatmap.kind,
        "unit": printable(heatmap.unit, 20),
        "reference": heatmap.reference,
        "said": number(heatmap.reference),
        "scale": [scale.low, scale.high],
        "unsure": packing.deflated(np.packbits(places.sample(unsure(heatmap))).tobytes()),
        "blank": ", ".join(blanks(heatmap)),
    }


def colours() -> dict[str, str]:
    """256 x RGBA of each scale, in base64: evidence on light and on dark, scores, errors."""
    return {name: packing.text(table.tobytes()) for name, table in tables().items()}
