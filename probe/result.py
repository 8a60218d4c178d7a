"""What the user holds, saves and loads: a Heatmap of one label, a Result of all of them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from probe.errors import LabelError, OutputError, UsageError, nearest
from probe.text import printable
from probe.types import (
    Canvas,
    Estimator,
    Failure,
    Identity,
    Perturbation,
    Region,
    Scores,
    Window,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from PIL import Image

Plane = NDArray[np.float32]
FORMAT = 1
MAX_PIXELS = 200_000_000


@dataclass(frozen=True, eq=False)
class Planes:
    """The arrays of a map at send size, (h, w): what `Heatmap` enlarges to the picture."""

    values: Plane
    stderr: Plane
    mean_score: Plane
    coverage: NDArray[np.int32]


@dataclass(frozen=True, eq=False, repr=False)
class Heatmap:
    """Where in the picture the score of one label comes from.

    values      float32 (H, W) of the upright picture, in `unit`; positive speaks for the label;
                NaN where nothing looked: no variant changed it, or the model does not see it.
    stderr      float32 (H, W), standard error of `values` in the same unit.
    mean_score  float32 (H, W), the plain mean score of the variants over the pixel.
    coverage    int32 (H, W), how many variants covered (or showed) the pixel.
    reference   the score of the unchanged picture, sent the way the variants were.
    calls       images sent for this map; 0 when the ledger knew all.
    """

    label: str
    unit: str
    reference: float
    canvas: Canvas
    planes: Planes
    kind: Literal["evidence", "score"] = "evidence"
    calls: int = 0
    answers: int = 0
    image: Image.Image | None = None

    @cached_property
    def values(self) -> Plane:
        return self._enlarge(self.planes.values)

    @cached_property
    def stderr(self) -> Plane:
        return self._enlarge(self.planes.stderr)

    @cached_property
    def mean_score(self) -> Plane:
        return self._enlarge(self.planes.mean_score)

    @cached_property
    def coverage(self) -> NDArray[np.int32]:
        return self._enlarge(self.planes.coverage)

    def _enlarge(self, plane: NDArray[Any]) -> NDArray[Any]:
        """Nearest send pixel of each picture pixel: no value is invented, NaN stays NaN."""
        (width, height), (w, h) = self.canvas.size, self.canvas.send
        if (width, height) == (w, h):
            return plane
        rows = (np.arange(height) * 2 + 1) * h // (2 * height)
        columns = (np.arange(width) * 2 + 1) * w // (2 * width)
        return plane[rows[:, None], columns]

    def __repr__(self) -> str:
        width, height = self.canvas.size
        return (
            f"<Heatmap {self.label!r} {width}x{height}, reference {self.reference:.3g}, "
            f"{self.answers} answers, {self.calls} calls>"
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the map (not the picture) to an .npz file that `load` reads."""
        about = {
            "format": FORMAT,
            "label": self.label,
            "unit": self.unit,
            "kind": self.kind,
            "reference": self.reference,
            "calls": self.calls,
            "answers": self.answers,
            "size": self.canvas.size,
            "send": self.canvas.send,
            "grid": self.canvas.grid,
            "seen": self.canvas.seen,
        }
        try:
            with open(path, "wb") as file:
                np.savez_compressed(file, about=np.array(json.dumps(about)), **vars(self.planes))
        except OSError as error:
            raise OutputError(f"cannot write the map to {path}: {error.strerror}") from error

    @classmethod
    def load(cls, path: str | os.PathLike[str], image: Image.Image | None = None) -> Heatmap:
        """Read a saved map; give the picture along to draw over it."""
        try:
            with np.load(path, allow_pickle=False) as file:
                about = json.loads(str(file["about"]))
                if about["format"] > FORMAT:
                    raise UsageError(f"{path} was saved by a newer probe; upgrade to read it")
                canvas = Canvas(
                    size=_pair(about["size"]),
                    send=_pair(about["send"]),
                    grid=int(about["grid"]),
                    seen=_region(about["seen"]),
                )
                planes = Planes(
                    values=_plane(file["values"], canvas),
                    stderr=_plane(file["stderr"], canvas),
                    mean_score=_plane(file["mean_score"], canvas),
                    coverage=_plane(file["coverage"], canvas, np.int32),
                )
            return cls(
                label=str(about["label"]),
                unit=str(about["unit"]),
                reference=float(about["reference"]),
                canvas=canvas,
                planes=planes,
                kind="score" if about["kind"] == "score" else "evidence",
                calls=int(about["calls"]),
                answers=int(about["answers"]),
                image=image,
            )
        except UsageError:
            raise
        except OSError as error:
            raise UsageError(f"cannot read the map {path}: {error.strerror or error}") from error
        except Exception as error:  # a file made to look like a map may raise anything
            raise UsageError(f"{path} is not a map saved by probe") from error

    def overlay(self, image: Image.Image | None = None) -> Image.Image:
        """The map over the picture, RGB, of the picture's size.

        `image` is needed only for a map that was loaded from a file.
        """
        from probe.show import overlay

        return overlay(self, image)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the map over the picture with its scale; returns the matplotlib Axes."""
        from probe.show import plot

        return plot(self, ax)

    def _repr_png_(self) -> bytes:
        from probe.show import figure

        buffer = BytesIO()
        figure(self).save(buffer, "png")
        return buffer.getvalue()


def _pair(value: Any) -> tuple[int, int]:
    """Width and height, as a saved map states them."""
    width, height = (int(side) for side in value)
    if not 1 <= width * height <= MAX_PIXELS or width < 1:
        raise ValueError("no size of a picture")
    return width, height


def _region(value: Any) -> Region:
    x0, y0, x1, y1 = (float(edge) for edge in value)
    return x0, y0, x1, y1


def _plane(value: NDArray[Any], canvas: Canvas, kind: type[Any] = np.float32) -> NDArray[Any]:
    width, height = canvas.send
    if value.shape != (height, width) or value.dtype != kind:
        raise ValueError("a plane of another shape or kind")
    return value


def check_label(label: str | None, offered: tuple[str, ...]) -> None:
    """Raise LabelError for a label that is not offered; nothing offered means not known yet."""
    if label is None or not offered or label in offered:
        return
    shown = ", ".join(printable(known, 60) for known in offered[:20])
    more = f" and {len(offered) - 20} more" if len(offered) > 20 else ""
    raise LabelError(
        f"no label {printable(label, 60)!r}.{nearest(label, offered)} "
        f"The backend offers: {shown}{more}"
    )


@dataclass(frozen=True, slots=True)
class Answer:
    """One row of a run's table: what was asked, what came, and from where.

    source: `sent` (asked in this run), `ledger` (known before), `same` (the perturbation
    changed no pixel, so it has the reference's score and was not sent).
    """

    perturbation: Perturbation
    outcome: Scores | Failure
    source: Literal["sent", "ledger", "same"]


@dataclass(frozen=True, eq=False, repr=False)
class Result:
    """All that one run learned; maps of every label come from the same answers.

    settings    what is needed to repeat the run: method, its options, budget, seed, fill, codec.
    backend     the identity of who scored, None for a callable that states none.
    calls       images sent in this run, retries included. requests: how many requests.
    cost        calls times the price, None where no price is known; `currency` names it.
    complete    the budget was answered (perhaps with failures); False for a snapshot.
    notes       sentences for people: what was converted, what the map cannot show.
    """

    image: Image.Image | None
    canvas: Canvas
    label: str
    reference: Scores
    answers: Sequence[Answer]
    estimator: Callable[[str], Estimator]
    settings: Mapping[str, Any]
    backend: str | None = None
    calls: int = 0
    requests: int = 0
    cost: float | None = None
    currency: str | None = None
    seconds: float = 0.0
    noise: float | None = None
    complete: bool = True
    notes: Sequence[str] = ()

    def __repr__(self) -> str:
        return (
            f"<Result {self.label!r} {self.reference[self.label]:.3g}, "
            f"{len(self.answers)} answers, {self.calls} calls, {len(self.failures)} failures>"
        )

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(self.reference)

    @property
    def failures(self) -> list[Answer]:
        return [answer for answer in self.answers if isinstance(answer.outcome, Failure)]

    def heatmap(self, label: str | None = None) -> Heatmap:
        """The map of any label, rebuilt from the answers; costs no call.

        Raises LabelError for a label that the reference's answer does not hold.
        """
        label = self.label if label is None else label
        check_label(label, self.labels)
        estimator = self.estimator(label)
        for answer in self.answers:
            if isinstance(answer.outcome, Scores):
                estimator.update(answer.perturbation, answer.outcome)
        known = sum(isinstance(answer.outcome, Scores) for answer in self.answers)
        return replace(estimator.heatmap(), calls=self.calls, answers=known, image=self.image)

    @property
    def strongest(self) -> Answer | None:
        """The cover with the lowest score of the label (the window with the highest one)."""
        best: tuple[float, Answer] | None = None
        for answer in self.answers:
            outcome, change = answer.outcome, answer.perturbation
            if isinstance(change, Identity) or not isinstance(outcome, Scores):
                continue
            if self.label in outcome:
                effect = outcome[self.label] * (1 if isinstance(change, Window) else -1)
                if best is None or effect > best[0]:
                    best = effect, answer
        return None if best is None else best[1]

    def describe(self, answer: Answer) -> dict[str, Any]:
        """An answer in the user's terms, for JSON: kind, `box` in pixels of the upright picture
        (x0, y0, x1, y1), `area` as a share of it, `score` of the label or None."""
        change, outcome = answer.perturbation, answer.outcome
        score = outcome.get(self.label) if isinstance(outcome, Scores) else None
        if isinstance(change, Identity):
            return {"kind": "identity", "box": None, "area": None, "score": score}
        x0, y0, x1, y1 = (
            min(max(edge, 0.0), 1.0) for edge in (change.x0, change.y0, change.x1, change.y1)
        )
        width, height = self.canvas.size
        return {
            "kind": type(change).__name__.lower(),
            "box": [round(x0 * width), round(y0 * height), round(x1 * width), round(y1 * height)],
            "area": (x1 - x0) * (y1 - y0),
            "score": score,
        }

    def save(self, folder: str | Path) -> list[Path]:
        """Write overlay.png, map.npy, map.npz, scores.csv and run.json into `folder`."""
        from probe.show import save_run

        return save_run(self, Path(folder))

    def _repr_png_(self) -> bytes:
        return self.heatmap()._repr_png_()
