"""A map with the contours of its standard error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from probe.heatmap import Heatmap
from probe.show.figure import patterns, show_map
from probe.show.words import drawable, number, scale_label, title

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

LINES = 4
SOFT = 0.02
"""Of the longer side: so far the error is averaged before a contour is drawn, since it jumps at
the edges of covers."""
INK = "#1a1a1a"


def plot_errors(heatmap: Heatmap, ax: Axes | None = None) -> Axes:
    """Draw the map over its picture with contours of its standard error into `ax` or a new figure.

    Each line is labelled with the standard error there, in the unit of the map; along it the map
    is known to that much. The colours and the dots are those of `plot`. An error that is the same
    everywhere, or is known nowhere, has no contour; the legend says so.
    """
    keys = [_contours_key(heatmap), *patterns(heatmap)]
    ax = show_map(heatmap, ax, title(heatmap), scale_label(heatmap), keys)
    levels = error_levels(heatmap)
    if levels.size:
        _draw(heatmap, levels, ax)
    return ax


def error_levels(heatmap: Heatmap) -> NDArray[np.float64]:
    """The standard errors that get a contour, round numbers in the map's unit; none where the
    error is flat or unknown."""
    from matplotlib.ticker import MaxNLocator

    known = _softened(heatmap)
    known = known[np.isfinite(known)]
    if not known.size:
        return np.empty(0)
    low, high = np.quantile(known, (0.02, 0.98))
    if high - low <= 1e-3 * high:
        return np.empty(0)
    levels = np.asarray(MaxNLocator(LINES + 1, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high))
    inside: NDArray[np.float64] = levels[(levels > low) & (levels < high)]
    return inside


def _draw(heatmap: Heatmap, levels: NDArray[np.float64], ax: Axes) -> None:
    from matplotlib.patheffects import withStroke

    plane = np.pad(_softened(heatmap), 1, mode="edge")
    (width, height), (tall, wide) = heatmap.canvas.size, plane.shape
    columns, rows = _places(width, wide), _places(height, tall)
    lines = ax.contour(
        columns, rows, np.ma.masked_invalid(plane), levels, colors=INK, linewidths=0.9
    )
    lines.set_path_effects([withStroke(linewidth=2.2, foreground="white", alpha=0.8)])
    for text in ax.clabel(lines, fmt=number, fontsize="x-small", inline=True):
        text.set_path_effects([withStroke(linewidth=2.5, foreground="white")])
    ax.set_xlim(0, width)
    ax.set_ylim(height, 0)


def _places(side: int, padded: int) -> NDArray[np.float64]:
    """Where the values of a padded row stand in the picture: at the middles of their pixels, the
    first and the last at the picture's edges."""
    inner = padded - 2
    places: NDArray[np.float64] = np.r_[0, (np.arange(inner) + 0.5) * side / inner, side]
    return places


def _softened(heatmap: Heatmap) -> NDArray[np.float64]:
    """The standard error, (h, w), averaged over its neighbourhood; NaN stays NaN."""
    from scipy.ndimage import gaussian_filter

    plane = heatmap.planes.stderr.astype(np.float64)
    known = np.isfinite(plane)
    wide = SOFT * max(plane.shape)
    weight = gaussian_filter(known.astype(np.float64), wide, mode="nearest")
    summed: Any = gaussian_filter(np.where(known, plane, 0.0), wide, mode="nearest")
    return np.where(known, summed / np.maximum(weight, 1e-12), np.nan)


def _contours_key(heatmap: Heatmap) -> Artist:
    from matplotlib.lines import Line2D

    unit = drawable(heatmap.unit, 20)
    known = heatmap.planes.stderr[np.isfinite(heatmap.planes.stderr)]
    if error_levels(heatmap).size:
        return Line2D([], [], color=INK, lw=0.9, label=f"lines of equal standard error ({unit})")
    said = "no standard error is known"
    if known.size:
        said = f"the standard error is {number(float(np.median(known)))} ({unit}) everywhere"
    return Line2D([], [], lw=0, label=said)
