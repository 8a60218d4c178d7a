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
from probe.estimate import CoveringMean
from probe.perturb import grid, multiscale, windows
from probe.types import Canvas, Estimator, Sampler


@dataclass(frozen=True, slots=True)
class Method:
    """How a map is made.

    summary: one line for people. sampler: called with (canvas, budget, seed, **options), its
    keyword arguments are the options and their defaults. estimator: called with (canvas, label).
    """

    summary: str
    sampler: Callable[..., Sampler]
    estimator: Callable[[Canvas, str], Estimator]

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
                    f"no option {name!r}.{nearest(name, known)} The method has: {', '.join(known)}"
                )
        return {**known, **options}

    def plan(self, canvas: Canvas, budget: int, seed: int = 0, **options: Any) -> Sampler:
        """The sampler of one run, for up to `budget` perturbations (the reference is not one).

        Raises UsageError for options that cannot be used and, before any call is made, for a
        budget that a design of fixed size does not fit.
        """
        if budget < 0:
            raise UsageError(f"the budget leaves {budget} answers for perturbations: raise it")
        if seed < 0:
            raise UsageError(f"the seed must be 0 or more, not {seed}")
        return self.sampler(canvas, budget, seed, **self.settle(options))


METHODS: dict[str, Method] = {
    "multiscale": Method(
        "boxes of many sizes, spread evenly (default)",
        multiscale,
        partial(CoveringMean, kind="evidence", shrink=True, weight="area"),
    ),
    "grid": Method(
        "the sliding box: one size at regular steps",
        grid,
        partial(CoveringMean, kind="evidence"),
    ),
    "windows": Method(
        "the crop experiment: windows sent by themselves",
        windows,
        partial(CoveringMean, kind="score", weight="area"),
    ),
}


def method(name: str) -> Method:
    """A method by its name; raises UsageError with the nearest one."""
    if name not in METHODS:
        raise UsageError(
            f"no method {name!r}.{nearest(name, METHODS)} There are: {', '.join(METHODS)}"
        )
    return METHODS[name]
