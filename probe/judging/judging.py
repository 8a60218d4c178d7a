"""judge: does the model bear a map out? By few calls, through the loop that maps are made by."""

from __future__ import annotations

from collections.abc import Callable
from math import nan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from probe.errors import UsageError
from probe.heatmap import Heatmap, Planes
from probe.image import Picture, open_image
from probe.judging.judgement import Judgement
from probe.judging.metrics import auroc, pointing
from probe.judging.reading import read
from probe.judging.task import Task
from probe.prober import Prober, Source
from probe.result import Result
from probe.types import Canvas

BUDGET = 40


def judge(
    prober: Prober,
    image: Source,
    heatmap: Heatmap | NDArray[Any],
    budget: int = BUDGET,
    mask: Any = None,
    seed: int = 0,
    *,
    label: str | None = None,
    control: Heatmap | NDArray[Any] | None = None,
    watch: Callable[[Result], None] | None = None,
) -> Judgement:
    """Deletion and insertion of a map, of copies of it in other places, and what a mask says.

    heatmap: a map of the picture, or any array (H, W) whose high values speak for the label.
    budget: how many answers it may use, the unchanged picture among them; more than about 145
        are not used. Known answers cost nothing.
    mask: where the evidence is known to be: a bool array (H, W), or a picture (or its path) of
        the same size, white inside.
    seed: of the places of the copies. label: by default the map's. control: a map to compare
        with instead of the copies, for example that of another label.
    watch: called with a Result of each curve as its answers come in.

    Raises UsageError for a map without an order, of another picture or of a score that is not
    above 0, for a mask that does not fit and a budget that is too small; else what Prober.probe
    raises. Pictures without a score are holes, not errors.
    """
    task = prepare(prober, image, heatmap, budget, seed, label, control)
    found = {}
    if mask is not None:
        inside, values = read_mask(mask, task.picture), task.heatmap.values
        found = {"auroc": auroc(values, inside), "pointing": pointing(values, inside)}
    return read(task, task.ask(watch or (lambda result: None)), **found)


def prepare(
    prober: Prober,
    image: Source,
    heatmap: Heatmap | NDArray[Any],
    budget: int = BUDGET,
    seed: int = 0,
    label: str | None = None,
    control: Heatmap | NDArray[Any] | None = None,
) -> Task:
    """What `judge` will ask; nothing is sent."""
    made = as_map(heatmap)
    task = Task.of(prober, image, made, label or made.label or None, budget)
    other = None if control is None else as_map(control)
    for one in (made, other):
        if one is not None:
            _check(one, task.picture)
    return task.ranked(other, seed)


def as_map(heatmap: Heatmap | NDArray[Any]) -> Heatmap:
    """Any array of numbers as a map, without errors and without a reference."""
    if isinstance(heatmap, Heatmap):
        return heatmap
    values = np.asarray(heatmap)
    if values.ndim != 2 or not values.size or values.dtype.kind not in "biuf":
        raise UsageError(
            f"a map is a Heatmap or an array (H, W) of numbers, not {values.dtype} {values.shape}"
        )
    values = values.astype(np.float32)
    size = (values.shape[1], values.shape[0])
    nothing = np.zeros_like(values)
    planes = Planes(values, nothing, nothing, np.isfinite(values).astype(np.int32))
    return Heatmap("", "value", nan, Canvas(size, size), planes)


def read_mask(mask: Any, picture: Picture) -> NDArray[np.bool_]:
    """Bool (H, W); of an array what is not 0, of a picture what is brighter than middle grey.

    Raises UsageError for one of another size, or without an inside or an outside.
    """
    if isinstance(mask, np.ndarray):
        inside = np.asarray(mask != 0)
    else:
        opened = open_image(mask, background=(0, 0, 0))
        inside = np.asarray(opened.image.convert("L")) > 127
    width, height = picture.image.size
    if inside.shape != (height, width):
        size = " x ".join(map(str, inside.shape[::-1]))
        raise UsageError(
            f"the mask is {size} px, the picture {width} x {height}: it must be of the same size"
        )
    if inside.all() or not inside.any():
        every = "everything" if inside.any() else "nothing"
        raise UsageError(f"the mask marks {every}: it must have an inside and an outside")
    return inside


def _check(heatmap: Heatmap, picture: Picture) -> None:
    """The map must be of the picture."""
    advice = "give the picture that it was made of"
    (columns, rows), (width, height) = heatmap.canvas.size, picture.image.size
    if (columns, rows) != (width, height):
        raise UsageError(
            f"the map is of a picture of {columns} x {rows} px, this one has {width} x {height}: "
            + advice
        )
    if heatmap.image is not None and Picture(heatmap.image).digest != picture.digest:
        raise UsageError(f"the map is of another picture of the same size: {advice}")
