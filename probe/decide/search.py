"""Looks for the smallest cover that brings a score to the other side of a threshold.

A sampler that learns, in a few rounds of questions that can be asked at once. Each round guesses
what many covers would score, from all answers so far, and asks those that promise the largest
gain: the probability of passing times the logarithm of how much smaller the cover would be
(Jones, Schonlau and Welch, "Efficient Global Optimization of Expensive Black-Box Functions", 1998;
Gardner et al., "Bayesian Optimization with Inequality Constraints", ICML 2014). Within a round
each is chosen as if those before it had answered as guessed (the "kriging believer" of Ginsbourger,
Le Riche and Carraro, 2010).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil, exp, floor, inf, log

import numpy as np
from scipy.special import log_ndtr

from probe.decide.search_field import Array, Field, Lattice
from probe.decide.search_moves import Cover, Moves, area
from probe.perturb.geometry import Pixels
from probe.types import Box, Canvas, Failure, Identity, Mask, Perturbation, Scores

ROUNDS = 6
STEPS = 64
"""Steps of the grid on the longer side of the picture as sent."""
LADDER = (0.2, 0.4, 0.7, 1.1, 1.6)
"""Every other cover of a round has to be smaller than the best one by so much, in logarithms: so a
round is a bisection, too, where all that is expected passes, or nothing does."""
LEAST = 0.01
"""A round that promises no cover smaller by so much, in logarithms, is not asked, unless nothing
passes yet and half of the budget is left."""
TINY = 1e-300
ALIKE = 6
"""Decimals of what is compared: what machines compute differently behind them makes no other plan,
which would have to be paid for again."""
PASSING, FAILING = 5, 3
"""So many of the smallest covers that pass, and of those that nearly do, are changed ..."""
OFTEN, ONCE = 60, 12
"""... so often; and each of those around the heaviest cells."""
NOISE = 0.05
"""Of an answer, in log-odds, where the service is not noisier."""
FURTHEST = 0.002
"""Scores nearer to 0 or 1 than this are taken for this near, before log-odds are made of them."""


@dataclass(frozen=True)
class Goal:
    """The score of `label` has to get under `threshold`, or with `above` to it or over it.

    reference: of the unchanged picture. noise: standard deviation of a score. missing: the score
    of a label that an answer leaves out, None where that is a failure.
    """

    label: str
    threshold: float
    reference: float
    above: bool = False
    noise: float = 0.0
    missing: float | None = None

    def score(self, answer: Scores | Failure) -> float | None:
        return None if isinstance(answer, Failure) else answer.get(self.label, self.missing)

    def passes(self, score: float) -> bool:
        return score >= self.threshold if self.above else score < self.threshold

    def taken(self, score: float) -> float:
        """How far a score is from the reference, in log-odds, towards the threshold positive."""
        moved = log_odds(self.reference) - log_odds(score)
        return -moved if self.above else moved

    @property
    def needed(self) -> float:
        return self.taken(self.threshold)

    def harder(self, by: float) -> Goal:
        """The same with a threshold that is further away, by so much in log-odds."""
        if not 0 < self.threshold < 1:
            return self
        odds = log(self.threshold / (1 - self.threshold)) + (by if self.above else -by)
        return replace(self, threshold=1 / (1 + exp(-odds)))


def log_odds(score: float) -> float:
    clipped = min(max(score, FURTHEST), 1 - FURTHEST)
    return log(clipped / (1 - clipped))


class Ground:
    """Where covers may lie: within what the model sees, on a grid of `step` send pixels."""

    def __init__(self, canvas: Canvas, boxes: int) -> None:
        self.canvas = canvas
        width, height = canvas.send
        grid = canvas.grid
        self.step = -(-max(grid, -(-max(width, height) // STEPS)) // grid) * grid
        left, right = self._seen(canvas.seen[0], canvas.seen[2], width)
        top, bottom = self._seen(canvas.seen[1], canvas.seen[3], height)
        seen = left, top, right, bottom
        self.lattice = Lattice(canvas.send, seen)
        self.moves = Moves(self.lattice, self.step, seen, boxes)

    def _seen(self, low: float, high: float, side: int) -> tuple[int, int]:
        start = floor(low * side / self.step + 1e-9) * self.step
        return start, min(side, ceil(high * side / self.step - 1e-9) * self.step)

    def seen_of(self, box: Pixels | None) -> Cover | None:
        """A box without what the model does not look at; None where nothing is left."""
        if box is None:
            return None
        (whole,) = self.moves.whole
        x0, y0 = max(box[0], whole[0]), max(box[1], whole[1])
        x1, y1 = min(box[2], whole[2]), min(box[3], whole[3])
        return ((x0, y0, x1, y1),) if x0 < x1 and y0 < y1 else None

    def share(self, cover: Cover) -> float:
        """Of the whole picture."""
        width, height = self.canvas.send
        return area(cover) / (width * height)

    def perturbation(self, cover: Cover) -> Perturbation:
        """One box as a Box, several as a Mask."""
        width, height = self.canvas.send
        if len(cover) == 1:
            x0, y0, x1, y1 = cover[0]
            return Box(x0 / width, y0 / height, x1 / width, y1 / height)
        step = self.step
        columns, rows = -(-width // step), -(-height // step)
        cells = np.zeros((rows, columns), np.uint8)
        for x0, y0, x1, y1 in cover:
            cells[y0 // step : -(-y1 // step), x0 // step : -(-x1 // step)] = 255
        return Mask(
            cells.tobytes(), columns, (0.0, 0.0, columns * step / width, rows * step / height)
        )


@dataclass(frozen=True, eq=False)
class Known:
    """A cover with its score; shares: on the ground's lattice. cover: None where it is no box."""

    shares: Array
    score: float
    cover: Cover | None = None


class Search:
    """The sampler, for up to `budget` covers in so many rounds. scores: of every cover of boxes
    that has an answer, None where that was a failure; asked: those that it asked about."""

    def __init__(
        self,
        ground: Ground,
        goal: Goal,
        known: Sequence[Known],
        budget: int,
        seed: int,
        rounds: int = ROUNDS,
    ) -> None:
        self.ground = ground
        self.goal = goal
        self.scores: dict[Cover, float | None] = {
            one.cover: one.score for one in known if one.cover is not None
        }
        self.asked: dict[Perturbation, Cover] = {}
        self._covers = [one.shares for one in known]
        self._taken = [goal.taken(one.score) for one in known]
        self._budget = self._left = budget
        self._rounds = rounds
        self._rng = np.random.default_rng(seed)
        self._next: deque[Perturbation] = deque()
        self._waiting = 0

    @property
    def best(self) -> Cover | None:
        """The smallest cover that passes, as far as is known."""
        return min(self.passing(), key=area, default=None)

    def taken(self, cover: Cover) -> float:
        """How far a cover with a score brought it, in log-odds."""
        score = self.scores[cover]
        return -inf if score is None else self.goal.taken(score)

    def passing(self, goal: Goal | None = None) -> list[Cover]:
        """The covers that pass, as far as is known, or that would pass another goal."""
        passes = (goal or self.goal).passes
        scored = ((cover, score) for cover, score in self.scores.items() if score is not None)
        return [cover for cover, score in scored if passes(score)]

    def ask(self, n: int) -> list[Perturbation]:
        if n and not self._next and not self._waiting and self._left:
            covers = self._choose()
            self._left -= len(covers)
            self.asked |= {self.ground.perturbation(cover): cover for cover in covers}
            self._next.extend(self.ground.perturbation(cover) for cover in covers)
        asked = [self._next.popleft() for _ in range(min(n, len(self._next)))]
        self._waiting += len(asked)
        return asked

    def tell(self, perturbation: Perturbation, answer: Scores | Failure) -> None:
        if isinstance(perturbation, Identity):
            return
        self._waiting -= 1
        cover = self.asked[perturbation]
        score = self.goal.score(answer)
        self.scores[cover] = score
        if score is not None:
            self._covers.append(self.ground.lattice.cover(cover))
            self._taken.append(self.goal.taken(score))

    def _choose(self) -> list[Cover]:
        """The covers of a round; at last those that try to do without a box."""
        spare = self.ground.moves.boxes if self._left > self.ground.moves.boxes > 1 else 0
        if self._rounds:
            chosen = self._round(-(-(self._left - spare) // self._rounds))
            self._rounds = self._rounds - 1 if chosen else 0
            if chosen:
                return chosen
        best = self.best or ()
        fewer = (tuple(one for one in best if one != box) for box in best)
        return [cover for cover in fewer if cover and cover not in self.scores][: self._left]

    def _round(self, n: int) -> list[Cover]:
        if not self._covers:
            return [] if self.asked else [self.ground.moves.whole]
        chosen = self._promising(n)
        if self.best is None and not self.asked:
            chosen = [self.ground.moves.whole, *chosen]
        return list(dict.fromkeys(chosen))[:n]

    def _promising(self, n: int) -> list[Cover]:
        """The most promising covers, as far as they promise anything."""
        goal, best = self.goal, self.best
        largest = area(best or self.ground.moves.whole)
        odds = goal.noise / max(goal.reference * (1 - goal.reference), goal.noise, FURTHEST)
        noise = max(NOISE, odds)
        covers, taken = np.array(self._covers), np.array(self._taken)
        model = Field(self.ground.lattice.shape, covers, taken, goal.needed / 3, noise)
        open_ = [cover for cover in self._candidates(model.weights) if area(cover) < largest]
        if not open_:
            return []
        guess = model.guess(np.array([self.ground.lattice.cover(cover) for cover in open_]))
        smaller = np.log(largest / np.array([area(cover) for cover in open_]))
        bolder, chosen = deque(LADDER), list[Cover]()
        least = log(LEAST) if best is not None or self._left <= self._budget / 2 else -inf
        while len(chosen) < min(n, len(open_)):
            sure = np.round((guess.mean - goal.needed) / np.hypot(guess.spread, noise), ALIKE)
            promise = np.round(np.log(smaller) + log_ndtr(sure), ALIKE)
            index = int(np.argmax(promise))
            if promise[index] < least:
                break
            if len(chosen) % 2 and bolder:
                far_enough = smaller > bolder.popleft()
                if far_enough.any():
                    index = int(np.argmax(np.where(far_enough, sure, -inf)))
            chosen.append(open_[index])
            smaller[index] = TINY
            guess = model.believe(guess, index)
        return chosen

    def _candidates(self, weights: Array) -> list[Cover]:
        """Covers around the heaviest cells, those known to be best, and both changed a little."""
        known = {cover: score for cover, score in self.scores.items() if score is not None}
        passing = sorted(self.passing(), key=area)
        failing = sorted(
            (c for c, score in known.items() if not self.goal.passes(score)),
            key=self.taken,
            reverse=True,
        )
        seeds = [*passing[:PASSING], *failing[:FAILING]]
        moves = self.ground.moves
        fresh = sorted(moves.around(weights))
        found = dict.fromkeys(fresh)
        for cover, times in (*((c, OFTEN) for c in seeds), *((c, ONCE) for c in fresh)):
            found |= dict.fromkeys(moves.changed(cover, self._rng, times))
        for cover in seeds:
            found |= dict.fromkeys(moves.cut(cover, self._rng, OFTEN))
        return [c for c in found if len(c) <= moves.boxes and c not in self.scores]
