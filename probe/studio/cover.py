"""Redacting by hand: boxes on the picture of a run, and what the service says then."""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from probe.decide.redact import DEFAULT
from probe.decide.redact_picture import Final, finished
from probe.decide.redact_work import by_size, known_from
from probe.decide.search import Goal, Ground, Search
from probe.decide.search_moves import Cover
from probe.errors import ProbeError, UsageError
from probe.image import Picture, decode
from probe.perturb import Renderer, parse_fill
from probe.plan.words import at_most
from probe.prober import Prober
from probe.result import Result
from probe.studio.desk import Busy, Desk, wish_of
from probe.studio.folder import RunFolder
from probe.studio.live import one_line
from probe.studio.pictures import Missing, shown
from probe.studio.wish import bound, ceiling
from probe.text import count
from probe.types import Codec

BOXES = 3
MOST_BOXES = 50
KEPT = 10
KEY = re.compile(r"[0-9a-f]{16}")
FILLS = ("mean", "black", "gray", "white", "blur", "noise", "inpaint")
FORMS = {"png": Codec("png"), "jpg": Codec("jpeg", 95)}


def suggestion(result: Result) -> dict[str, Any]:
    """Boxes for a start, in pixels of the picture, and why these; costs no call.

    The smallest cover of this run that brought the score under the threshold, else what a search
    for one would ask next.
    """
    reference = result.reference[result.label]
    threshold = DEFAULT if reference >= DEFAULT else reference / 2
    goal = Goal(result.label, threshold, reference, missing=result.missing)
    ground = Ground(result.canvas, BOXES)
    known = known_from(result, ground)
    if not known:
        return {"boxes": [], "said": "No box was covered in this run: paint one yourself."}
    search = Search(ground, goal, known, 64, 0)
    if search.best is not None:
        score = search.scores[search.best]
        said = f"In this run, covering this brought the score to {score:.3g}."
        return {"boxes": _outward(search.best, result), "said": said}
    search.ask(1)
    untried = [cover for cover in search.asked.values() if cover != ground.moves.whole]
    if not untried:
        return {"boxes": [], "said": "No box promises much: paint one yourself."}
    said = f"No cover of this run brought the score below {threshold:.3g}. This may; it is untried."
    return {"boxes": _outward(untried[0], result), "said": said}


@dataclass(frozen=True)
class Covered:
    """A covered picture, kept in the run's folder under its key."""

    run: RunFolder
    key: str

    @property
    def path(self) -> Path:
        """Raises Missing for a key that is none, or has been forgotten."""
        if not KEY.fullmatch(self.key):
            raise Missing(self.key)
        for ending in FORMS:
            path = self.run.path / "redacted" / f"{self.key}.{ending}"
            if path.is_file():
                return path
        raise Missing(self.key)

    def preview(self) -> bytes:
        return shown(decode(self.path.read_bytes()))


def cover(run: RunFolder, given: Any) -> dict[str, Any]:
    """Cover boxes, in pixels of the picture, and keep that under a key; raises UsageError for what
    is none.

    Edges go outwards to whole pixels of the picture as it is sent.
    """
    result = run.result()
    boxes, fill, form = _read(given, result.canvas.size)
    assert result.image is not None
    renderer = Renderer(result.image, result.canvas, parse_fill(fill))
    final = finished(renderer, _sent(boxes, result), FORMS[form])
    key = sha256(final.data).hexdigest()[:16]
    run.write(f"redacted/{key}.{form}", final.data)
    _forget(run)
    return {
        "key": key,
        "boxes": [list(box) for box in final.boxes],
        "area": _area(final),
        "said": f"{_boxes(len(final.boxes))}, {_area(final):.1%} of the picture",
    }


def price(desk: Desk, run: RunFolder, result: Result) -> dict[str, Any]:
    """What asking for the score of a covered picture costs at most; no calls where the service is
    not there to be asked, and why."""
    calls = _calls(result)
    try:
        backend = wish_of(run).backend(desk.connection)
        line, _ = at_most(calls, backend)
    except ProbeError as error:
        return {"line": one_line(error), "calls": 0, "bound": ""}
    return {"line": line, "calls": calls, "bound": bound(calls, backend)}


def score(desk: Desk, covered: Covered, shown_calls: int) -> dict[str, Any]:
    """Ask for the score of a covered picture, as the service gets it; raises what `Prober.score`
    raises, and Busy where a run has the service."""
    run, wish = covered.run, wish_of(covered.run)
    before = run.result()
    calls = _calls(before)
    if calls > shown_calls:
        raise Busy(f"the cost is another one by now: {count(calls, 'call')}")
    backend = wish.backend(desk.connection)
    prober = Prober(backend, fill=wish.fill, ledger=desk.ledger, max_calls=ceiling(calls))
    name = str(before.settings.get("picture", ""))
    with desk.borrowed(prober.backend.limits.host or wish.api):
        after = prober.score(Picture(decode(covered.path.read_bytes()), (), name), before.label)
    return {
        "label": before.label,
        "before": by_size(before),
        "after": by_size(after),
        "calls": after.calls,
        "cost": after.cost,
        "currency": after.currency,
    }


def _calls(result: Result) -> int:
    """One, or two where the full size is not what is sent."""
    canvas = result.canvas
    return 1 if canvas.send == canvas.size else 2


def _read(given: Any, size: tuple[int, int]) -> tuple[list[tuple[int, ...]], str, str]:
    if not isinstance(given, dict) or not isinstance(given.get("boxes"), list):
        raise UsageError("a cover is an object with its boxes")
    boxes = [_box(box, size) for box in given["boxes"][: MOST_BOXES + 1]]
    if not 1 <= len(boxes) <= MOST_BOXES:
        raise UsageError(f"a cover has 1 to {MOST_BOXES} boxes")
    fill, form = given.get("fill", "mean"), given.get("form", "png")
    if not isinstance(fill, str) or len(fill) > 40:
        raise UsageError("the fill is a name or a colour")
    if form not in FORMS:
        raise UsageError(f"the form is one of {', '.join(FORMS)}")
    return boxes, fill, form


def _box(given: Any, size: tuple[int, int]) -> tuple[int, ...]:
    whole = isinstance(given, list) and len(given) == 4
    if not whole or not all(type(edge) is int for edge in given):
        raise UsageError("a box is four whole numbers: x0, y0, x1, y1 in pixels of the picture")
    x0, y0, x1, y1 = given
    if not (0 <= x0 < x1 <= size[0] and 0 <= y0 < y1 <= size[1]):
        raise UsageError(
            f"the box {x0},{y0}-{x1},{y1} does not lie in the picture of {size[0]} x {size[1]} px"
        )
    return x0, y0, x1, y1


def _sent(boxes: list[tuple[int, ...]], result: Result) -> Cover:
    """In pixels as sent, edges outwards."""
    (width, height), (w, h) = result.canvas.size, result.canvas.send
    return tuple(
        (x0 * w // width, y0 * h // height, -(-x1 * w // width), -(-y1 * h // height))
        for x0, y0, x1, y1 in boxes
    )


def _outward(cover: Cover, result: Result) -> list[list[int]]:
    """In pixels of the picture, edges outwards."""
    (width, height), (w, h) = result.canvas.size, result.canvas.send
    return [
        [x0 * width // w, y0 * height // h, -(-x1 * width // w), -(-y1 * height // h)]
        for x0, y0, x1, y1 in cover
    ]


def _boxes(number: int) -> str:
    return "1 box" if number == 1 else f"{number} boxes"


def _area(final: Final) -> float:
    """The share of the picture under boxes, which may overlap."""
    covered = np.zeros((final.image.height, final.image.width), bool)
    for x0, y0, x1, y1 in final.boxes:
        covered[y0:y1, x0:x1] = True
    return float(covered.mean())


def _forget(run: RunFolder) -> None:
    """All but the newest covers."""
    kept = sorted((run.path / "redacted").iterdir(), key=lambda one: one.stat().st_mtime)
    for path in kept[:-KEPT]:
        path.unlink(missing_ok=True)
