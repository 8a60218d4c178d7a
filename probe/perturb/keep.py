"""Keeping: all but a region is covered.

A cover shows what the rest does without a region, a keep what the region does without the rest:
where two parts are each enough alone, no single cover lowers the score, but either kept raises it.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from probe.errors import UsageError
from probe.perturb.fixed import FixedDesign
from probe.perturb.multiscale import NEVER, multiscale
from probe.types import WHOLE, Box, Keep, Perturbation, Scene

EMPTY = Box(*WHOLE)
"""Everything covered: what keeping is compared to."""


def keep(
    scene: Scene,
    budget: int,
    seed: int,
    *,
    sides: tuple[float, float] = (0.18, 0.62),
    aspect: float = 0.4,
    overshoot: float = 0.1,
) -> FixedDesign:
    """The empty picture, then up to `budget` - 1 keeps; options as those of `multiscale`."""
    require(budget)
    kept = _keeps(scene, budget - 1, seed, sides, aspect, overshoot)
    return FixedDesign([EMPTY, *kept])


def cover_and_keep(
    scene: Scene,
    budget: int,
    seed: int,
    *,
    share: float = 1 / 3,
    sides: tuple[float, float] = (0.12, 0.75),
    keep_sides: tuple[float, float] = (0.18, 0.62),
    aspect: float = 0.4,
    overshoot: float = 0.1,
    coarse: int = 32,
) -> FixedDesign:
    """The empty picture, then covers and keeps in turn, so that any beginning has both.

    share: of the keeps, above 0 and below 1. sides, coarse: of the covers; the first are those of
    `multiscale`, so that their answers are shared, but since fewer covers are asked they become
    smaller earlier. keep_sides: of the keeps, which do not shrink.
    """
    require(budget)
    if not 0 < share < 1:
        raise UsageError(f"share must be a fraction above 0 and below 1, not {share}")
    turns = [int((n + 1) * share) > int(n * share) for n in range(budget - 1)]
    options = {"aspect": aspect, "overshoot": overshoot}
    covers = multiscale(scene, budget, seed, sides=sides, coarse=coarse, **options).ask(budget)
    keeps = _keeps(scene, budget, seed + 1, keep_sides, aspect, overshoot)
    streams: dict[bool, Iterator[Perturbation]] = {False: iter(covers), True: keeps}
    plan = (next(streams[turn], None) for turn in turns)
    return FixedDesign([EMPTY, *(change for change in plan if change is not None)])


def _keeps(
    scene: Scene,
    count: int,
    seed: int,
    sides: tuple[float, float],
    aspect: float,
    overshoot: float,
) -> Iterator[Keep]:
    options = {"aspect": aspect, "overshoot": overshoot}
    boxes = multiscale(scene, count, seed, sides=sides, coarse=NEVER, **options)
    for box in islice(boxes.ask(count), count):
        assert isinstance(box, Box)
        yield Keep(box.x0, box.y0, box.x1, box.y1)


def require(budget: int) -> None:
    if budget < 2:
        raise UsageError(
            f"keeping needs 2 answers beside the reference (the empty picture is one) and the "
            f"budget leaves {budget}: raise it by {2 - budget}"
        )
