"""Which of the scored pictures are probed, and which are looked at."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from probe.audit.records import Reason

MISSES = 0.1
ALARMS = 0.3
RANDOM = 0.25
"""Shares of the probed pictures; the rest are those with the highest scores."""
Indexes = NDArray[np.intp]


@dataclass
class Board:
    """The scores of many pictures, 13 bytes each. Equal pictures count once: as their first."""

    scores: array[float] = field(default_factory=lambda: array("f"))
    truths: array[int] = field(default_factory=lambda: array("b"))
    digests: array[int] = field(default_factory=lambda: array("Q"))

    def add(self, score: float, truth: bool | None, digest: str) -> None:
        """NaN for a picture without a score."""
        self.scores.append(score)
        self.truths.append(-1 if truth is None else int(truth))
        self.digests.append(int(digest[:16] or "0", 16))

    def __len__(self) -> int:
        return len(self.scores)

    @property
    def known(self) -> Indexes:
        """Those with a score, each picture once, in their order."""
        scored = np.flatnonzero(~np.isnan(np.array(self.scores)))
        _, first = np.unique(np.array(self.digests, "u8")[scored], return_index=True)
        return np.sort(scored[first])


def chosen(
    board: Board, most: int, threshold: float, rng: np.random.Generator
) -> Iterator[tuple[int, Reason]]:
    """Up to `most` pictures out of a random half of them all: the others are left to test on."""
    known = board.known
    known = np.sort(rng.permutation(known)[: len(known) // 2])
    left = min(most, len(known))
    scores, truths = np.array(board.scores)[known], np.array(board.truths)[known]
    high = scores >= threshold
    free = np.ones(len(known), bool)
    shares: list[tuple[Reason, NDArray[np.bool_], int]] = [
        ("false alarm", high & (truths == 0), round(ALARMS * left)),
        ("miss", ~high & (truths == 1), round(MISSES * left)),
        ("random", free, round(RANDOM * left)),
        ("high score", free, left),
    ]
    for reason, which, share in shares:
        candidates = np.flatnonzero(which & free)
        ranked = rng.permutation(candidates)
        if reason == "high score":
            ranked = ranked[np.argsort(-scores[ranked], kind="stable")]
        for place in ranked[: min(share, left)]:
            free[place] = False
            left -= 1
            yield int(known[place]), reason


def looked_at(
    board: Board, most: int, threshold: float, rng: np.random.Generator
) -> tuple[Indexes, Indexes]:
    """Random pictures without and with the label, half of `most` each: by the truth where it is
    known, else by the service's word."""
    known = board.known
    scores, truths = np.array(board.scores)[known], np.array(board.truths)[known]
    positive, negative = truths == 1, truths == 0
    if not (positive.any() or negative.any()):
        positive = scores >= threshold
        negative = ~positive
    drawn = [rng.permutation(known[which])[: most // 2] for which in (negative, positive)]
    return drawn[0], drawn[1]
