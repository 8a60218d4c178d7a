"""Superpixels: the parts of a picture that LIME and Kernel SHAP switch on and off.

SLIC of Achanta et al., "SLIC Superpixels Compared to State-of-the-art Superpixel Methods", PAMI
2012, from scikit-image, on a small copy, laid on the cells that a cover can have.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from probe.errors import MissingExtra, UsageError
from probe.perturb.masks import cells
from probe.types import Mask, Scene

Labels = NDArray[np.intp]
SIDE = 500
"""Longest side of the copy that is segmented: the time of SLIC is that of its pixels."""
CELLS = 64
"""Of a mask along the longer side: a thousand masks stay a few megabytes."""
DEFAULT = 50
MOST = 200
TRIES = 8
ENOUGH = 0.8
"""Of the superpixels asked for."""


def superpixels(scene: Scene, segments: int, compactness: float) -> Labels:
    """The superpixel of each cell, (rows, columns), numbered from 0; at most `segments`.

    Without a picture they are those of an even one: a regular grid.
    Raises UsageError for options out of range, MissingExtra without scikit-image.
    """
    for module, name in (("skimage", "scikit-image"), ("sklearn", "scikit-learn")):
        if find_spec(module) is None:
            raise MissingExtra(f"{name} (superpixels and their regression)", "segments")
    if not isinstance(segments, int) or not 2 <= segments <= MOST:
        raise UsageError(f"segments must be a whole number from 2 to {MOST}, not {segments}")
    if not 0 < compactness <= 1000:
        raise UsageError(f"compactness must be above 0 and up to 1000, not {compactness}")
    picture = scene.picture() if scene.picture else Image.new("RGB", scene.canvas.send)
    small = picture.copy()
    small.thumbnail((SIDE, SIDE))
    columns, rows = cells(scene.canvas, CELLS)
    return _segmented(small.tobytes(), small.size, segments, compactness, columns, rows)


@lru_cache(maxsize=4)
def _segmented(
    pixels: bytes,
    size: tuple[int, int],
    segments: int,
    compactness: float,
    columns: int,
    rows: int,
) -> Labels:
    """SLIC asked again, for fewer where it found too many, and for more compact ones where a
    rough texture left far too few; where it finds no two, they are the halves of the picture."""
    from skimage.segmentation import slic

    width, height = size
    picture = np.frombuffer(pixels, np.uint8).reshape(height, width, 3)
    y, x = (
        (np.arange(n) * 2 + 1) * side // (2 * n) for n, side in ((rows, height), (columns, width))
    )
    best: Labels = np.indices((rows, columns))[int(columns >= rows)] * 2 // max(rows, columns)
    ask, most = segments, 1
    for _ in range(TRIES):
        found = slic(picture, n_segments=ask, compactness=compactness, sigma=1, start_label=0)
        _, labels = np.unique(found[y[:, None], x], return_inverse=True)
        count = int(labels.max()) + 1
        if most < count <= segments:
            best, most = labels.reshape(rows, columns), count
        if count > segments:
            ask = max(1, ask - (count - segments))
        elif count < ENOUGH * segments:
            compactness *= 2
        else:
            break
    return best


def mask(labels: Labels, shown: NDArray[Any]) -> Mask:
    """The cover of all superpixels that are not shown; shown: bool, one for each."""
    covered = np.where(shown[labels], 0, 255).astype(np.uint8)
    return Mask(covered.tobytes(), labels.shape[1])


def parts(
    scene: Scene,
    budget: int,
    segments: int | None,
    compactness: float,
    needed: Callable[[int], int],
) -> Labels:
    """Superpixels that a budget bears: one for four answers, up to 50, where none are asked for.

    needed: answers beside the reference for so many superpixels.
    Raises UsageError where the budget is too small, naming what would do.
    """
    if segments is None:
        segments = max(2, min(DEFAULT, budget // 4))
    labels = superpixels(scene, segments, compactness)
    count = int(labels.max()) + 1
    if budget < needed(count):
        fitting = max((n for n in range(2, count) if needed(n) <= budget), default=None)
        instead = "" if fitting is None else f", or take at most {fitting} segments"
        raise UsageError(
            f"{count} superpixels need {needed(count)} answers beside the reference and the "
            f"budget leaves {budget}: raise it by {needed(count) - budget}{instead}"
        )
    return labels
