"""Boxes of many sizes at low-discrepancy positions: the default design.

A fixed window is blind to evidence much larger or smaller than itself; sides spread over a
range of scales are not. Sobol points fill positions, sides and aspects evenly from the first
box on, so any beginning of the plan is a good plan, and a larger budget goes on where a smaller
one ended: with the sizes that more answers can resolve.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import islice

import numpy as np

from probe.errors import UsageError
from probe.perturb.fixed import FixedDesign, distinct
from probe.perturb.sobol import points
from probe.types import Box, Scene

NEVER = sys.maxsize
"""So many coarse boxes that none shrinks."""
SMALLEST = 0.25
"""Sides shrink to so much of their range, which 16 times the coarse boxes reach."""


def multiscale(
    scene: Scene,
    budget: int,
    seed: int,
    *,
    sides: tuple[float, float] = (0.12, 0.75),
    aspect: float = 0.4,
    overshoot: float = 0.1,
    coarse: int = 64,
) -> FixedDesign:
    """Up to `budget` boxes; fewer only where the picture has fewer distinct ones.

    sides: smallest and largest side, fractions of width and height each, log-uniform between.
    aspect: width / height is between e^-aspect and e^aspect (both as fractions), log-uniform.
    overshoot: how far boxes may reach beyond the picture, so that borders are covered as often
    as the middle; a fraction of the side.
    coarse: so many boxes are such; sides and overshoot of box n > coarse are sqrt(coarse / n) as
    large, a quarter at least: the boxes over a pixel grow in number more slowly and draw it
    sharper.
    """
    low, high = sides
    if not 0 < low <= high <= 1:
        raise UsageError(f"sides must be two fractions, 0 < smallest <= largest <= 1, not {sides}")
    if not 0 <= aspect <= 2:
        raise UsageError(f"aspect must be between 0 and 2, not {aspect}")
    if not 0 <= overshoot <= 0.5:
        raise UsageError(f"overshoot must be between 0 and 0.5, not {overshoot}")
    if isinstance(coarse, bool) or not isinstance(coarse, int) or coarse < 1:
        raise UsageError(f"coarse must be a whole number from 1 on, not {coarse}")
    boxes = _boxes(seed, low, high, aspect, overshoot, coarse)
    return FixedDesign(islice(distinct(boxes, scene.canvas), budget))


def _boxes(
    seed: int, low: float, high: float, aspect: float, overshoot: float, coarse: int
) -> Iterator[Box]:
    for number, (u, v, s, a) in enumerate(points(seed), 1):
        shrunk = min(1, max(SMALLEST, (coarse / number) ** 0.5))
        side, reach = shrunk * low * (high / low) ** s, shrunk * overshoot
        stretch = np.exp(aspect * (a - 0.5))
        width, height = side * stretch, side / stretch
        x = u * (1 + 2 * reach - width) - reach
        y = v * (1 + 2 * reach - height) - reach
        yield Box(float(x), float(y), float(x + width), float(y + height))
