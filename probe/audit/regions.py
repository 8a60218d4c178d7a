"""Where in a picture the evidence lies: the regions of a heat map that stand out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from probe.heatmap import Heatmap
from probe.types import Region

MOST = 3
"""Regions of a picture, the strongest first."""
HALF = 0.5
"""Regions are where the evidence is at least this share of the map's peak."""
CORE = 0.75
"""What describes a region is where the evidence is at least this share of its peak."""
SURE = 1.0
"""Standard errors that a peak is above zero: few, for what is found is tested afterwards."""
LEAST = 0.02
"""Evidence that is worth looking at, in the unit of a score."""
LARGEST = 0.5
"""The share of the picture above which a region is no place any more."""


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """One region of one picture.

    box: around it, in fractions of the picture. strength: the evidence at its peak.
    core: float32 (cells, cells), how much each cell belongs to the heart of it; sums to 1.
    """

    box: Region
    strength: float
    core: NDArray[np.float32]


def regions(heatmap: Heatmap, cells: int, most: int = MOST) -> list[Evidence]:
    """The regions of positive evidence, the strongest first; none where nothing stands out."""
    from scipy import ndimage

    values = np.nan_to_num(heatmap.planes.values, nan=0.0)
    errors = np.nan_to_num(heatmap.planes.stderr, nan=np.inf)
    parts, number = ndimage.label(values >= max(LEAST, HALF * float(values.max())))
    found: list[Evidence] = []
    for label in range(1, number + 1):
        part = parts == label
        peak = np.argmax(np.where(part, values, -np.inf))
        strength = float(values.flat[peak])
        if strength >= SURE * errors.flat[peak] and part.mean() <= LARGEST:
            found.append(Evidence(_box(part), strength, _core(part, values, strength, cells)))
    return sorted(found, key=lambda one: -one.strength)[:most]


def _box(part: NDArray[np.bool_]) -> Region:
    height, width = part.shape
    rows, columns = np.flatnonzero(part.any(axis=1)), np.flatnonzero(part.any(axis=0))
    return (
        float(columns[0] / width),
        float(rows[0] / height),
        float((columns[-1] + 1) / width),
        float((rows[-1] + 1) / height),
    )


def _core(
    part: NDArray[np.bool_], values: NDArray[np.float32], strength: float, cells: int
) -> NDArray[np.float32]:
    from PIL import Image

    heart = np.where(part & (values >= CORE * strength), values, 0.0).astype(np.float32)
    core: NDArray[np.float32] = np.array(
        Image.fromarray(heart).resize((cells, cells), Image.Resampling.BOX)
    )
    if not core.any():  # a pixel on the border of two cells is in neither
        row, column = np.unravel_index(int(heart.argmax()), heart.shape)
        core[row * cells // heart.shape[0], column * cells // heart.shape[1]] = 1.0
    core /= core.sum()
    return core
