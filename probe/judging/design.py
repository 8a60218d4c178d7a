"""Which points of the curves are asked: a few everywhere, then more where the curve bends."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import pairwise

from probe.judging.metrics import STEPS
from probe.judging.ranking import Kind, Ranking
from probe.types import Failure, Identity, Mask, Perturbation, Scores

SHARED = (2, 8)
"""Steps that the map and every control are asked at: there they are compared."""
FIRST = (*SHARED, STEPS - 2)
"""Steps of the map that are asked before any answer is known, beside the far end."""
ROUGH = 0.2
"""What a gap may hide, as a share of the reference, even where its ends agree."""
MOST_CONTROLS = 19
LEAST = 1 + len(FIRST) + len(SHARED)
"""Answers that a curve and one control need."""
MOST = STEPS + MOST_CONTROLS * len(SHARED)


def controls_for(answers: int) -> int:
    """How many controls so many answers of one curve allow: half of them, in all, or what the map
    leaves."""
    half, left = (answers - 1) // (2 * len(SHARED)), (answers - STEPS) // len(SHARED)
    return max(1, min(MOST_CONTROLS, max(half, left)))


class Steps:
    """The sampler of one curve of a map and of its controls.

    rankings: the map's first. The end where nothing is changed (deletion) or nothing is left to
    change (insertion) is the reference; the other end is the same for all and is asked once.
    What is left of the budget halves the map's gaps in rounds, those first that may hide most of
    the area: the width times the difference of the ends.
    """

    def __init__(
        self, kind: Kind, rankings: Sequence[Ranking], budget: int, label: str | None
    ) -> None:
        self._kind = kind
        self._map = rankings[0]
        self._label = label or ""  # unknown as long as nothing is answered
        self._left = budget
        self._queue: deque[Mask] = deque()
        self._waiting: set[Mask] = set()
        self._scores: dict[Mask, float | None] = {}
        self._known: dict[int, float | None] = {}
        self._places: dict[int, Mask] = {}
        self._want(far_end(kind), *FIRST)
        for control in rankings[1:]:
            for step in SHARED:
                self._ask(control.mask(kind, step))

    def ask(self, n: int) -> Sequence[Perturbation]:
        while not self._queue and not self._waiting and self._left and self._refine():
            pass
        proposals = [self._queue.popleft() for _ in range(min(n, len(self._queue)))]
        return proposals

    def tell(self, perturbation: Perturbation, answer: Scores | Failure) -> None:
        score = None if isinstance(answer, Failure) else answer.get(self._label, 0.0)
        if isinstance(perturbation, Mask):
            self._scores[perturbation] = score
            self._waiting.discard(perturbation)
        elif perturbation == Identity():
            self._known[STEPS - far_end(self._kind)] = score

    def _want(self, *steps: int) -> None:
        for step in steps:
            self._places[step] = mask = self._map.mask(self._kind, step)
            self._ask(mask)

    def _ask(self, mask: Mask) -> None:
        """Equal masks (of tiny pictures) are asked once."""
        if self._left and mask not in self._waiting and mask not in self._scores:
            self._left -= 1
            self._waiting.add(mask)
            self._queue.append(mask)

    def _refine(self) -> bool:
        """Halve the widest and steepest gaps with half of what is left; False where none is."""
        known = self._known | {step: self._scores.get(mask) for step, mask in self._places.items()}
        nodes = [(step, score) for step, score in sorted(known.items()) if score is not None]
        reference = known.get(STEPS - far_end(self._kind)) or 1.0
        gaps = sorted(
            (
                (b - a) * (abs(right - left) + ROUGH * abs(reference)),
                (a + b) // 2,
            )
            for (a, left), (b, right) in pairwise(nodes)
            if b - a > 1 and (a + b) // 2 not in known
        )
        chosen = [step for _, step in gaps[::-1][: -(-self._left // 2)]]
        self._want(*chosen)
        return bool(chosen)


def far_end(kind: Kind) -> int:
    """The step whose picture is not the unchanged one."""
    return STEPS if kind == "deletion" else 0
