"""Coarse to fine: the first answers say where to look and at what scale.

Rounds of questions that can be asked at once. The first is boxes of many sizes everywhere. Each
further one places smaller boxes where the answers so far put the evidence, by the covering mean
and by the posterior over rectangles, at two sizes below the side that the posterior expects:
one that finds the whole of it and one that draws its border.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import cycle, islice
from math import ceil

import numpy as np
from numpy.typing import NDArray

from probe.errors import UsageError
from probe.perturb.geometry import canonical, snap
from probe.perturb.multiscale import NEVER, multiscale
from probe.perturb.regions import CELLS, Belief, Moments, posterior
from probe.types import Box, Canvas, Failure, Identity, Perturbation, Scene, Scores, region_of

Matrix = NDArray[np.float64]

FEWEST = 8
"""With fewer answers in all there is nothing to learn from: they are one round."""
LATTICE = 56
"""Places for a fine box along each side, at most."""
SCALES = ((0.8, 0.04, 0.3), (0.45, 0.08, 1.0))
"""Fine boxes in turn: part of the expected side, and the smallest and largest share of the
region's side."""
COLDEST = 0.6
"""So much of the map gets no fine box for its own sake."""
COVERED = 0.7
"""What is covered by k fine boxes is worth e^(-0.7 k) of another."""


def adaptive(
    scene: Scene,
    budget: int,
    seed: int,
    *,
    rounds: int = 3,
    first: float = 0.625,
    sides: tuple[float, float] = (0.12, 0.75),
) -> Adaptive:
    """Up to `budget` boxes; fewer only where the picture has fewer distinct ones.

    rounds: 2 or more; each waits for the answers of the one before. first: the share of the
    budget that the first round takes, the others share the rest. sides: of the first round, as
    those of `multiscale`. A budget below 8 is one round.
    """
    if isinstance(rounds, bool) or not isinstance(rounds, int) or rounds < 2:
        raise UsageError(f"rounds must be a whole number from 2 on, not {rounds}")
    if not 0 < first < 1:
        raise UsageError(f"first must be a fraction above 0 and below 1, not {first}")
    coarse = multiscale(scene, budget, seed, sides=sides, coarse=NEVER)
    sizes = [budget if budget < FEWEST else ceil(first * budget)]
    for left in range(rounds - 1, 0, -1):
        sizes.append(ceil((budget - sum(sizes)) / left))
    return Adaptive(scene, sizes, coarse.ask(budget))


class Adaptive:
    """A sampler of rounds, the same for the same answers, whatever order they come in.

    A round ends when all it asked is told; failures and answers without the label are told too.
    While no answer has lowered the score there is nothing to look closer at, and the coarse
    boxes go on.
    """

    def __init__(self, scene: Scene, rounds: Sequence[int], coarse: Iterable[Perturbation]) -> None:
        self._canvas = scene.canvas
        self._label = scene.label
        self._rounds = deque(rounds)
        self._coarse = iter(coarse)
        self._queue: deque[Perturbation] = deque()
        self._asked: set[str] = set()
        self._waiting = 0
        self._reference: float | None = None
        self._drops: dict[tuple[float, ...], float] = {}
        self._fine: list[tuple[float, ...]] = []

    def ask(self, n: int) -> Sequence[Perturbation]:
        while self._rounds and not self._queue and not self._waiting:
            self._queue.extend(islice(self._proposals(), self._rounds.popleft()))
        asked = [self._queue.popleft() for _ in range(min(n, len(self._queue)))]
        self._waiting += len(asked)
        return asked

    def tell(self, perturbation: Perturbation, answer: Scores | Failure) -> None:
        variant = not isinstance(perturbation, Identity)
        self._waiting -= variant
        if isinstance(answer, Failure):
            return
        if self._label is None and self._reference is None:
            self._label = max(answer, key=lambda label: answer[label], default=None)
        if self._label is None or self._label not in answer:
            return
        score = answer[self._label]
        if self._reference is None:
            self._reference = score
        elif variant:
            edges = region_of(snap(perturbation, self._canvas))
            self._drops[edges] = self._reference - score

    def _proposals(self) -> Iterator[Perturbation]:
        """Fine boxes, or coarse ones while no answer has lowered the score; none is one before."""
        proposals = self._coarse
        if max(self._drops.values(), default=0) > 0:
            proposals = self._placed()
        for proposal in proposals:
            self._asked.add(canonical(proposal, self._canvas))
            yield proposal

    def _placed(self) -> Iterator[Box]:
        """Fine boxes of each size in turn, where the most is left that none of them covers."""
        known = sorted(self._drops.items())
        covers, drops = np.array([edges for edges, _ in known]), np.array([d for _, d in known])
        belief = posterior(Moments.of(covers, drops, self._canvas.seen))
        lattice = Lattice(self._canvas)
        heat = lattice.heat(covers, drops, belief)
        worth = np.maximum(heat - np.quantile(heat, COLDEST), 0)
        for edges in self._fine:
            worth *= np.exp(-COVERED * lattice.shares(edges))
        for part, smallest, largest in cycle(SCALES):
            side = min(max(part * belief.side, smallest), largest)
            box = next((b for b in lattice.best(worth, side) if self._is_new(b)), None)
            if box is None:
                return
            self._fine.append(region_of(box))
            worth *= np.exp(-COVERED * lattice.shares(region_of(box)))
            yield box

    def _is_new(self, box: Perturbation) -> bool:
        return canonical(box, self._canvas) not in self._asked


class Lattice:
    """The places of fine boxes: cells of what the model sees, none below the codec's grid."""

    def __init__(self, canvas: Canvas) -> None:
        x0, y0, x1, y1 = canvas.seen
        width, height = canvas.send
        self._x, self._y = (
            np.linspace(low, high, 1 + max(1, min(LATTICE, int((high - low) * side / canvas.grid))))
            for low, high, side in ((x0, x1, width), (y0, y1, height))
        )

    def shares(self, edges: tuple[float, ...]) -> Matrix:
        """(rows, columns): what share of each cell the box covers."""
        x0, y0, x1, y1 = edges
        return np.outer(_hidden(self._y, y0, y1), _hidden(self._x, x0, x1))

    def heat(self, covers: Matrix, drops: Matrix, belief: Belief) -> Matrix:
        """(rows, columns): the covering mean, shrunk, and half as much of the inclusion
        probability, each over its spread."""
        x0, y0, x1, y1 = covers[:, :, None].transpose(1, 0, 2)
        wide, high = _hidden(self._x, x0, x1), _hidden(self._y, y0, y1)
        weights = ((x1 - x0) * (y1 - y0)) ** -0.5
        total = (high * weights).T @ wide
        middling = np.exp(np.log(weights).mean())
        mean = (high * weights * drops[:, None]).T @ wide / (total + middling)
        rows, columns = (_cells_of(line) for line in (self._y, self._x))
        inclusion = belief.inclusion[rows[:, None], columns]
        # rounded, so that the plan does not hang on the last bits of a sum
        return np.round(_scaled(mean) + 0.5 * _scaled(inclusion), 6)

    def best(self, worth: Matrix, side: float) -> Iterator[Box]:
        """The boxes of a side (a share of what the model sees) that hold any worth, the most
        worth first."""
        rows, columns = (max(1, round(side * (len(line) - 1))) for line in (self._y, self._x))
        sums = np.pad(worth, ((1, 0), (1, 0))).cumsum(0).cumsum(1)
        held = sums[rows:] - sums[:-rows]
        held = np.round(held[:, columns:] - held[:, :-columns], 6)
        for place in np.argsort(-held, axis=None, kind="stable"):
            y, x = divmod(int(place), held.shape[1])
            if held[y, x] <= 0:
                return
            edges = self._x[x], self._y[y], self._x[x + columns], self._y[y + rows]
            yield Box(*map(float, edges))


def _hidden(lines: Matrix, low: Matrix | float, high: Matrix | float) -> Matrix:
    """(..., cells): the share of each cell between the lines that lies within the interval."""
    over = np.minimum(high, lines[1:]) - np.maximum(low, lines[:-1])
    shares: Matrix = np.clip(over, 0, None) / np.diff(lines)
    return shares


def _cells_of(lines: Matrix) -> NDArray[np.intp]:
    """The cell of the posterior that holds the middle of each cell of the lattice."""
    cells = len(lines) - 1
    return (2 * np.arange(cells) + 1) * CELLS // (2 * cells)


def _scaled(plane: Matrix) -> Matrix:
    """Over its spread; as it is where it has none."""
    return plane / (plane.std() or 1.0)
