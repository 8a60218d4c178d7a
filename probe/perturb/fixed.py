"""Designs that are settled before the first answer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from probe.perturb.geometry import canonical
from probe.types import Canvas, Failure, Perturbation, Scores


class FixedDesign:
    """A sampler that proposes a given sequence in its order, whatever the answers say."""

    def __init__(self, perturbations: Iterable[Perturbation]) -> None:
        self._rest = iter(perturbations)

    def ask(self, n: int) -> Sequence[Perturbation]:
        return list(islice(self._rest, n))

    def tell(self, perturbation: Perturbation, answer: Scores | Failure) -> None:
        pass


def distinct(
    perturbations: Iterable[Perturbation], canvas: Canvas, patience: int = 1000
) -> Iterator[Perturbation]:
    """Leave out what snaps to the pixels of an earlier one; end after `patience` in a row."""
    seen: set[str] = set()
    repeats = 0
    for perturbation in perturbations:
        name = canonical(perturbation, canvas)
        if name not in seen:
            seen.add(name)
            repeats = 0
            yield perturbation
        elif (repeats := repeats + 1) >= patience:
            return
