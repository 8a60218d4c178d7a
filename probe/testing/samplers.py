"""The contract of samplers, as a test that anybody's sampler can be put to.

from probe.testing.samplers import check_sampler

def test_my_sampler_keeps_the_contract():
    check_sampler(lambda seed: MySampler(seed, budget=64), budget=64)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain, cycle, repeat
from math import isfinite

from probe.types import Failure, Identity, Mask, Perturbation, Sampler, Scores, region_of

Answer = Callable[[Perturbation], Scores | Failure]

TARGET = (0.3, 0.4, 0.5, 0.7)
"""Where the made-up model of the checks looks."""


def check_sampler(make: Callable[[int], Sampler], budget: int = 64, label: str = "nsfw") -> None:
    """Put new samplers `make(seed)` to the contract; raises AssertionError where one breaks it.

    It proposes regions within reach of the picture and never the reference, up to `budget` and
    then nothing; the same seed gives the same plan, however it is asked for; it takes failures
    as answers, scores without the label too.
    """
    model = _model(label)
    plan = _drive(make(0), budget, label, repeat(budget), model)
    assert plan, "the sampler proposes nothing at all"
    for perturbation in plan:
        _check_region(perturbation)
    again = _drive(make(0), budget, label, repeat(budget), model)
    assert again == plan, "the same seed gives another plan"
    for sizes in (repeat(1), cycle((3, 1, 7)), chain((budget - 1,), repeat(2))):
        split = _drive(make(0), budget, label, sizes, model)
        assert split == plan, "ask(a) and then ask(b) is not ask(a + b)"
    _drive(make(1), budget, label, cycle((5, 2)), model)
    for answer in (_refused, _mixed(label), lambda _: Scores({"something else": 0.5})):
        _drive(make(0), budget, label, repeat(8), answer)


def _drive(
    sampler: Sampler, budget: int, label: str, sizes: Iterator[int], answer: Answer
) -> list[Perturbation]:
    """All that it proposes, told only when it waits for answers: as late as a loop may."""
    sampler.tell(Identity(), Scores({label: 0.9}))
    assert not sampler.ask(0), "ask(0) proposes something"
    proposed: list[Perturbation] = []
    told = 0
    for n in sizes:
        asked = sampler.ask(n)
        assert len(asked) <= n, f"ask({n}) proposes {len(asked)}"
        proposed += asked
        assert len(proposed) <= budget, f"it proposes more than its budget of {budget}"
        if asked:
            continue
        if told == len(proposed):
            break
        for perturbation in proposed[told:]:
            sampler.tell(perturbation, answer(perturbation))
        told = len(proposed)
    assert not sampler.ask(1), "it goes on after it was done"
    return proposed


def _check_region(perturbation: Perturbation) -> None:
    assert not isinstance(perturbation, Identity), "the reference is not a sampler's to propose"
    x0, y0, x1, y1 = region_of(perturbation)
    assert all(map(isfinite, (x0, y0, x1, y1))), f"{perturbation} has an edge that is no number"
    assert x0 < x1, f"{perturbation} is empty"
    assert y0 < y1, f"{perturbation} is empty"
    assert x0 < 1 and x1 > 0 and y0 < 1 and y1 > 0, f"{perturbation} misses the picture"  # noqa: PT018


def _model(label: str) -> Answer:
    """A score that falls with the share of the target that the region touches."""

    def answer(perturbation: Perturbation) -> Scores:
        if isinstance(perturbation, Identity):
            return Scores({label: 0.9})
        if isinstance(perturbation, Mask):
            return Scores(
                {label: 0.9 - 0.8 * sum(perturbation.cells) / 255 / len(perturbation.cells)}
            )
        x0, y0, x1, y1 = TARGET
        width = min(x1, perturbation.x1) - max(x0, perturbation.x0)
        height = min(y1, perturbation.y1) - max(y0, perturbation.y0)
        share = max(width, 0) * max(height, 0) / ((x1 - x0) * (y1 - y0))
        return Scores({label: 0.9 - 0.8 * share})

    return answer


def _refused(_: Perturbation) -> Failure:
    return Failure("refused", "not this one")


def _mixed(label: str) -> Answer:
    turn = cycle((_model(label), _refused))
    return lambda perturbation: next(turn)(perturbation)
