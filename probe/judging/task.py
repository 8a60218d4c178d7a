"""The questions of a judgement: two runs that share the unchanged picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from probe.errors import UsageError
from probe.estimate import CoveringMean
from probe.heatmap import Heatmap
from probe.image import Picture
from probe.judging.design import LEAST, MOST, Steps, controls_for
from probe.judging.ranking import Kind, Ranking, cells_of, moved, ranking
from probe.methods import ALONE, Method
from probe.perturb import cells
from probe.prober import Prober, Source
from probe.result import Result
from probe.text import printable
from probe.types import Canvas, Scene

FILLS: dict[Kind, str] = {"deletion": "mean", "insertion": "blur"}


@dataclass(frozen=True)
class Task:
    """One map's judgement, made ready.

    unchanged: how often the unchanged picture is asked, once for both runs. rankings: the map's
    first, then its controls'.
    """

    prober: Prober
    heatmap: Heatmap
    picture: Picture
    canvas: Canvas
    label: str | None
    budget: int
    unchanged: int
    rankings: Sequence[Ranking] = ()
    controls: Literal["moved", "given"] = "moved"

    @classmethod
    def of(
        cls, prober: Prober, image: Source, heatmap: Heatmap, label: str | None, budget: int
    ) -> Task:
        """Raises UsageError for a budget that is too small, and what Prober.plan raises."""
        check_budget(budget, 1)
        alone = prober.plan(image, label, ALONE, budget=budget)
        check_budget(budget, len(alone.perturbations))
        renderer = alone.renderer
        picture = Picture(renderer.image)
        return cls(
            prober, heatmap, picture, renderer.canvas, label, budget, len(alone.perturbations)
        )

    def ranked(self, other: Heatmap | None, seed: int) -> Task:
        """With the orders of the map and of what it is held against: `other`, or copies of the
        map in places drawn from `seed`."""
        own = self._cells(self.heatmap)
        if other is None:
            controls = moved(own, controls_for(self.share("insertion")), seed)
        else:
            controls = [self._cells(other)]
        return replace(
            self,
            rankings=[ranking(own), *map(ranking, controls)],
            controls="moved" if other is None else "given",
        )

    def _cells(self, heatmap: Heatmap) -> NDArray[np.float64]:
        columns, rows = cells(self.canvas)
        return cells_of(heatmap.planes.values, columns, rows)

    def share(self, kind: Kind) -> int:
        """How many answers a curve and its controls may use."""
        left = min(self.budget - self.unchanged, 2 * MOST)
        return left - left // 2 if kind == "deletion" else left // 2

    @property
    def answers(self) -> int:
        """How many it may use of the budget, those to the unchanged picture counted once."""
        return self.unchanged + sum(self.share(kind) for kind in FILLS)

    def arguments(self, kind: Kind) -> dict[str, Any]:
        """Those of Prober.stream and Prober.plan."""

        def sampler(scene: Scene, budget: int, seed: int) -> Steps:
            return Steps(kind, self.rankings, budget, scene.label)

        return {
            "image": self.picture,
            "label": self.label,
            "method": Method(
                kind,
                f"the {kind} curve of a map",
                sampler,
                CoveringMean,
                learns=True,
                fill=FILLS[kind],
            ),
            "budget": self.unchanged + self.share(kind),
        }

    def calls(self) -> int:
        """How many images it would send at most, without retries; the ledger is looked into."""
        first, second = (self.prober.plan(**self.arguments(kind)) for kind in FILLS)
        return first.calls + min(second.calls, second.answers - self.unchanged)

    def ask(self, watch: Callable[[Result], None]) -> dict[Kind, Result]:
        """Run it; what the second asks of the unchanged picture is known from the first."""
        return {kind: self._ask(kind, watch) for kind in FILLS}

    def _ask(self, kind: Kind, watch: Callable[[Result], None]) -> Result:
        for result in self.prober.stream(**self.arguments(kind)):
            reference = result.reference[result.label]
            if reference <= 0:
                raise UsageError(
                    f"the unchanged picture scores {reference:.3g} for "
                    f"{printable(result.label, 60)!r}: nothing can be taken from that. "
                    "Judge the map of a label that the picture has"
                )
            watch(result)
        return result


def check_budget(budget: int, unchanged: int) -> None:
    """Raise UsageError for a budget too small for the unchanged picture, asked so often, and for
    the curves."""
    if isinstance(budget, bool) or not isinstance(budget, int):
        raise UsageError(f"budget must be a whole number, not {budget!r}")
    least = unchanged + 2 * LEAST
    if budget < least:
        raise UsageError(
            f"the budget is {budget}: judging a map needs at least {least} answers "
            f"(the unchanged picture {unchanged} x, and {LEAST} for each curve)"
        )
