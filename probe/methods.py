"""The table of methods: a name is a sampler and an estimator.

A new method is one sampler file (and an estimator where the covering mean won't do) and one
entry here.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from probe.errors import UsageError, nearest
from probe.estimate import (
    CoarseToFine,
    Contrast,
    CoverAndKeep,
    CoveringMean,
    KeepingMean,
    Regression,
)
from probe.estimate.regression import ridge, shapley
from probe.perturb import (
    FixedDesign,
    adaptive,
    cover_and_keep,
    grid,
    keep,
    kernelshap,
    lime,
    multiscale,
    rise,
    windows,
)
from probe.types import Canvas, Estimator, Sampler, Scene

DEFAULT = "multiscale"


@dataclass(frozen=True, slots=True)
class Method:
    """How a map is made.

    name: what it is called. summary: one line for people.
    sampler: called with (scene, budget, seed, **options), its keyword-only arguments are the
    options and their defaults. estimator: called with (canvas, label).
    learns: what it proposes hangs on the answers, so that a plan knows only its upper bound.
    anytime: any beginning of what it proposes is a plan of its own, so that it may end early.
    fill: stands where something is covered whatever the Prober's fill is.
    """

    name: str
    summary: str
    sampler: Callable[..., Sampler]
    estimator: Callable[[Canvas, str], Estimator]
    learns: bool = False
    anytime: bool = True
    fill: str | None = None

    @property
    def options(self) -> Mapping[str, Any]:
        """Names and defaults."""
        parameters = inspect.signature(self.sampler).parameters.values()
        return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}

    def settle(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """All options with their values; raises UsageError for a name that is not one."""
        known = self.options
        for name in options:
            if name not in known:
                raise UsageError(
                    f"no option {name!r}.{nearest(name, known)} "
                    f"{self.name} has: {', '.join(known) or 'none'}"
                )
        return {**known, **options}

    def plan(self, scene: Scene, budget: int, seed: int = 0, **options: Any) -> Sampler:
        """The sampler of one run, for up to `budget` perturbations (the reference is not one).

        Raises UsageError for options that cannot be used and, before any call is made, for a
        budget that a design of fixed size does not fit.
        """
        if budget < 0:
            raise UsageError(f"the budget leaves {budget} answers for perturbations: raise it")
        if seed < 0:
            raise UsageError(f"the seed must be 0 or more, not {seed}")
        return self.sampler(scene, budget, seed, **self.settle(options))


METHODS: dict[str, Method] = {
    one.name: one
    for one in (
        Method(
            "multiscale",
            "boxes of many sizes, spread evenly (default)",
            multiscale,
            partial(CoveringMean, kind="evidence", shrink=True, weight="area", even=True),
        ),
        Method(
            "adaptive",
            "boxes of many sizes, then smaller ones where they pay",
            adaptive,
            CoarseToFine,
            learns=True,
            anytime=False,
        ),
        Method(
            "grid",
            "the sliding box: one size at regular steps",
            grid,
            partial(CoveringMean, kind="evidence"),
            anytime=False,
        ),
        Method(
            "windows",
            "the crop experiment: windows sent by themselves",
            windows,
            partial(CoveringMean, kind="score", weight="area"),
            anytime=False,
        ),
        Method("keep", "all but a region is covered, of many sizes", keep, KeepingMean),
        Method("cover+keep", "boxes and kept regions in turn", cover_and_keep, CoverAndKeep),
        Method("rise", "random smooth grids of covers (RISE)", rise, Contrast),
        Method(
            "lime",
            "superpixels on and off at random (LIME)",
            lime,
            partial(Regression, fit=ridge),
            anytime=False,
        ),
        Method(
            "kernelshap",
            "Shapley values of superpixels (Kernel SHAP)",
            kernelshap,
            partial(Regression, fit=shapley),
            anytime=False,
        ),
    )
}


ALONE = Method(
    "reference",
    "the unchanged picture alone",
    lambda scene, budget, seed: FixedDesign(()),
    partial(CoveringMean, kind="evidence"),
)


def method(name: str | Method) -> Method:
    """A method by its name; raises UsageError with the nearest one."""
    if isinstance(name, Method):
        return name
    if name not in METHODS:
        raise UsageError(
            f"no method {name!r}.{nearest(name, METHODS)} There are: {', '.join(METHODS)}"
        )
    return METHODS[name]
