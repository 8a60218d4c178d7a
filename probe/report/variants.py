"""The pictures that were sent, small, each with where it was changed and what came back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from probe.perturb import Renderer, kind, opacity, parse_fill, pixels
from probe.report import packing
from probe.result import Answer, Result
from probe.text import printable
from probe.types import Failure, Mask

MAX_BYTES = 3_000_000
SIDES = (112, 88, 64, 48, 36, 28)
QUALITY = 70
SPECIMENS = 16
CELLS = 48
"""Side of the grid of bits that says where a mask covers."""
HALF = 128


def variants(result: Result, labels: Sequence[str]) -> list[dict[str, Any]]:
    """One entry an answer, in plan order.

    box: in send pixels, None of what has none. mask: bits of CELLS x CELLS, rows from the top,
    where at least half of the fill stands. scores: one a label, None where there is none.
    picture: of what was sent, WebP in base64, None where the picture is not at hand.
    """
    pictures = _pictures(result)
    return [
        _variant(result, number, answer, labels) | {"picture": pictures[number]}
        for number, answer in enumerate(result.answers)
    ]


def _variant(result: Result, number: int, answer: Answer, labels: Sequence[str]) -> dict[str, Any]:
    change, outcome = answer.perturbation, answer.outcome
    named = kind(change)
    placed = named in ("box", "window", "keep")
    failure = None
    if isinstance(outcome, Failure):
        failure = printable(f"{outcome.kind}: {outcome.message}", 200)
    return {
        "n": number,
        "kind": named,
        "box": list(pixels(change, result.canvas)) if placed else None,  # type: ignore[arg-type]
        "mask": _bits(change, result) if isinstance(change, Mask) else None,
        "scores": [_score(result, answer, label) for label in labels],
        "failure": failure,
        "source": answer.source,
    }


def _score(result: Result, answer: Answer, label: str) -> float | None:
    outcome = result.outcome(answer, label)
    return None if isinstance(outcome, Failure) else outcome[label]


def _bits(mask: Mask, result: Result) -> str:
    covered = opacity(mask, result.canvas)
    height, width = covered.shape
    rows = (np.arange(CELLS) * 2 + 1) * height // (2 * CELLS)
    columns = (np.arange(CELLS) * 2 + 1) * width // (2 * CELLS)
    return packing.text(np.packbits(covered[rows[:, None], columns] >= HALF).tobytes())


def _pictures(result: Result) -> list[str | None]:
    """As large as MAX_BYTES allow, judged by some of them; beyond that none."""
    if result.image is None:
        return [None] * len(result.answers)
    renderer = Renderer(result.image, result.canvas, parse_fill(result.settings["fill"]))
    changes = [answer.perturbation for answer in result.answers]
    room = MAX_BYTES / max(1, len(changes))
    some = changes[:: max(1, len(changes) // SPECIMENS)]
    specimens = [renderer.variant(change).pixels() for change in some]
    side = next((side for side in SIDES if _mean_size(specimens, side) <= room), SIDES[-1])
    found: list[str | None] = []
    size = 0
    for change in changes:
        data = _small(renderer.variant(change).pixels(), side)
        size += len(data)
        found.append(packing.text(data) if size <= 1.5 * MAX_BYTES else None)
    return found


def _mean_size(pictures: Sequence[Image.Image], side: int) -> float:
    return sum(len(_small(picture, side)) for picture in pictures) / len(pictures)


def _small(picture: Image.Image, side: int) -> bytes:
    factor = min(1.0, side / max(picture.size))
    size = (max(1, round(picture.width * factor)), max(1, round(picture.height * factor)))
    return packing.webp(picture.resize(size, Image.Resampling.BILINEAR, reducing_gap=2), QUALITY)
