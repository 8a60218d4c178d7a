"""How far two maps of one picture agree on where to look."""

from __future__ import annotations

import numpy as np

from probe.decide.comparison import spearman
from probe.errors import UsageError
from probe.heatmap import Heatmap
from probe.judging.ranking import cells_of

CELLS = 16


def agreement(one: Heatmap, other: Heatmap) -> dict[str, float | None]:
    """Spearman's rank correlation of two maps, -1 to 1, None where one is flat.

    `rank_correlation`: over the pixels that both know. `rank_correlation_of_parts`: over the means
    of 16 x 16 parts, fair to a map that is finer-grained than the other. Raises UsageError for
    maps of pictures of different sizes.
    """
    if one.canvas.size != other.canvas.size:
        sizes = " and ".join(f"{w} x {h}" for w, h in (one.canvas.size, other.canvas.size))
        raise UsageError(f"the maps are of pictures of {sizes} px: give two of the same picture")
    first, second = one.values, other.values
    known = np.isfinite(first) & np.isfinite(second)
    found: dict[str, float | None] = {"rank_correlation": spearman(first[known], second[known])}
    of_parts = "rank_correlation_of_parts"
    if found["rank_correlation"] is None:
        return {**found, of_parts: None}
    rows, columns = (min(CELLS, side) for side in first.shape)
    parts = [cells_of(np.where(known, values, np.nan), columns, rows) for values in (first, second)]
    both = np.isfinite(parts[0])
    return {**found, of_parts: spearman(parts[0][both], parts[1][both])}
