"""What the model looks at, in pixels of what is sent."""

from __future__ import annotations

from math import ceil, floor

import numpy as np
from numpy.typing import NDArray

from probe.perturb.geometry import Pixels
from probe.types import Canvas


def seen_pixels(canvas: Canvas) -> Pixels:
    """Pixels that at least touch what the model looks at: x0, y0, x1, y1."""
    width, height = canvas.send
    x0, y0, x1, y1 = canvas.seen
    left, top = floor(x0 * width + 1e-9), floor(y0 * height + 1e-9)
    return left, top, ceil(x1 * width - 1e-9), ceil(y1 * height - 1e-9)


def unseen(canvas: Canvas) -> NDArray[np.bool_]:
    """bool (h, w) at send size: the other ones."""
    hidden = np.ones(canvas.send[::-1], bool)
    x0, y0, x1, y1 = seen_pixels(canvas)
    hidden[y0:y1, x0:x1] = False
    return hidden
