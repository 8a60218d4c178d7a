"""What a redaction found, and all that was tried for it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from probe.errors import UsageError
from probe.perturb.geometry import Pixels

if TYPE_CHECKING:
    from PIL import Image

    from probe.result import Result


@dataclass(frozen=True)
class Tried:
    """A cover that was asked about.

    boxes: x0, y0, x1, y1 in pixels of the picture; empty for a soft or irregular cover of the map.
    area: the share of the picture that is covered. score: of the label, None where none came.
    stage: `map`, `search`, or `final`: the finished picture at full size.
    """

    boxes: Sequence[Pixels]
    area: float
    score: float | None
    stage: str


@dataclass
class Spent:
    """What the runs of one redaction cost together."""

    calls: int = 0
    requests: int = 0
    cost: float | None = None
    currency: str | None = None
    seconds: float = 0.0
    failures: int = 0
    answers: int = 0

    def add(self, result: Result, repeated: int = 0) -> None:
        """repeated: how many of its answers an earlier run has counted."""
        self.calls += result.calls
        self.requests += result.requests
        if result.cost is not None:
            self.cost = (self.cost or 0.0) + result.cost
        self.currency = result.currency
        self.seconds += result.seconds
        self.failures += len(result.failures)
        self.answers += len(result.answers) - repeated


@dataclass(frozen=True, eq=False, repr=False)
class Redaction:
    """The smallest cover that was found to bring a score to the other side of a threshold.

    found       a picture passes, and a call on that very picture said so.
    image       that picture, RGB at full size; None where none was found. `save` writes it.
    boxes       what is covered, x0, y0, x1, y1 in pixels of the picture; none where the picture
                passes as it is.
    area        the share of the picture that is covered, 0 to 1; None where none was found.
    score       of the label in that picture, scaled and sent as every picture is; where it
                was not found, the closest to the threshold that any cover came.
    scores      the same by size: `sent`, and `full` where the service was shown the full size.
    reference   every label's score of the unchanged picture. threshold: what `label` had to get
                under, or, if `above`, to or over.
    tried       every cover that was asked about.
    spent       calls, requests, cost, seconds, failures and answers, the map among them.
    notes       sentences for people.
    """

    found: bool
    label: str
    threshold: float
    above: bool
    reference: Mapping[str, float]
    score: float | None
    scores: Mapping[str, float] = field(default_factory=dict)
    boxes: Sequence[Pixels] = ()
    area: float | None = None
    image: Image.Image | None = None
    tried: Sequence[Tried] = ()
    spent: Spent = field(default_factory=Spent)
    notes: Sequence[str] = ()
    backend: str | None = None
    picture: str = ""
    data: bytes = b""

    def __repr__(self) -> str:
        passes = f"{self.area:.1%} covered" if self.found else "not found"
        return f"<Redaction {self.label!r} {self.reference[self.label]:.3g}, {passes}>"

    @property
    def already(self) -> bool:
        """The picture passes as it is."""
        return self.found and not self.boxes

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the picture that was scored, byte for byte in the form it was scored in.

        Raises UsageError where none was found, OutputError when the disk refuses.
        """
        if not self.found:
            raise UsageError(f"no redaction was found for {self.label!r}: nothing to save")
        from probe.show.files import write_file

        return write_file(Path(path), lambda file: file.write(self.data))

    def record(self) -> dict[str, Any]:
        """All but the picture, for JSON."""
        return {
            "picture": self.picture,
            "backend": self.backend,
            "label": self.label,
            "found": self.found,
            "already": self.already,
            "threshold": self.threshold,
            "direction": "above" if self.above else "below",
            "reference": dict(self.reference),
            "score": self.score,
            "scores": dict(self.scores),
            "boxes": [list(box) for box in self.boxes],
            "area": self.area,
            "tried": [
                {"stage": one.stage, "boxes": list(map(list, one.boxes)), "area": one.area}
                | {"score": one.score}
                for one in self.tried
            ],
            "calls": self.spent.calls,
            "answers": self.spent.answers,
            "requests": self.spent.requests,
            "cost": self.spent.cost,
            "currency": self.spent.currency,
            "failures": self.spent.failures,
            "seconds": round(self.spent.seconds, 3),
            "notes": list(self.notes),
        }
