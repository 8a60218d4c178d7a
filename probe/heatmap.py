"""The map of one label: what the user holds, saves, loads and draws."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from probe.errors import OutputError, UsageError
from probe.types import Canvas, Region

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
    p_value     how often shuffled answers give as strong a map, where that was tested.
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
    p_value: float | None = None

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
            "p_value": self.p_value,
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
            with open(path, "rb") as opened, np.load(opened, allow_pickle=False) as file:
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
                p_value=None if about.get("p_value") is None else float(about["p_value"]),
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

    def _repr_html_(self) -> str:
        from probe.show.notebook import heatmap_html

        return heatmap_html(self)

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
