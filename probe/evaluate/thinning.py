"""Few points of a long curve that say the same."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from probe.evaluate.metrics import Curve

MOST = 2000


def thinned(curve: Curve, most: int = MOST) -> NDArray[np.intp]:
    """Places of at most `most` thresholds, ascending, the first and the last among them.

    They lie about evenly along the ROC curve, closer where little is found yet; and each is chosen
    so that the area under straight lines between them stays that of the whole curve.
    """
    if len(curve.thresholds) <= most:
        return np.arange(len(curve.thresholds))
    x, y = np.append(0, curve.fpr), np.append(0, curve.tpr)
    found = np.log1p(np.append(0, curve.tp + curve.fp))
    along = x + y + found / found[-1]
    under = np.append(0, np.cumsum(np.diff(x) * (y[1:] + y[:-1]) / 2))
    edges = np.searchsorted(along, np.linspace(along[1], along[-1], most))
    chosen, error = [1], under[1] - x[1] * y[1] / 2
    for low, high in zip(edges[:-2] + 1, edges[2:], strict=True):
        at = chosen[-1]
        near = np.arange(max(low, at + 1), high)
        if not len(near):
            continue
        lines = (x[near] - x[at]) * (y[near] + y[at]) / 2
        errors = error + under[near] - under[at] - lines
        best = int(np.argmin(np.abs(errors)))
        chosen.append(int(near[best]))
        error = float(errors[best])
    return np.array([*chosen, len(x) - 1], np.intp) - 1
