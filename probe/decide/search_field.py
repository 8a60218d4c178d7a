"""What any cover would score, guessed from those that were asked.

A Gaussian process over covers (Rasmussen and Williams, "Gaussian Processes for Machine
Learning", 2006) in log-odds: what a cover takes away is the sum of a smooth field over what it
covers, and of a rest that covers share as far as they overlap. The field carries what was learned
with boxes of one size over to those of another; the rest learns, around the covers asked last,
how far their effects are from adding up.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, cholesky, solve_triangular

from probe.perturb.geometry import Pixels

Array = NDArray[np.float64]

CELLS = 24
"""Of the lattice on the longer side; covers may cut them anywhere."""
SMOOTH = (1.5, 3.0)
"""Correlation lengths of the field that are tried, in cells."""
REACH = (0.02, 0.06, 0.2)
"""Correlation lengths of the rest: the share of the picture by which two covers differ."""
REST = (0.1, 0.4)
"""Shares of the variance that the rest has."""
JITTER = 0.01


class Lattice:
    """Covers as shares of the cells that they cover: vectors between 0 and 1.

    send: width, height of the picture as sent. seen: the pixels that the model looks at; what
    is covered outside of them counts for nothing.
    """

    def __init__(self, send: tuple[int, int], seen: Pixels) -> None:
        longer = max(send)
        columns, rows = (max(1, round(CELLS * side / longer)) for side in send)
        self.shape = rows, columns
        self._across = _reached(send[0], columns, seen[0], seen[2])
        self._down = _reached(send[1], rows, seen[1], seen[3])
        self.edges = (
            [round(n * send[0] / columns) for n in range(columns + 1)],
            [round(n * send[1] / rows) for n in range(rows + 1)],
        )

    def cover(self, boxes: tuple[Pixels, ...]) -> Array:
        """Of boxes in send pixels that do not overlap: (cells,)."""
        shares = np.zeros(self.shape)
        for x0, y0, x1, y1 in boxes:
            down, across = self._down[y1] - self._down[y0], self._across[x1] - self._across[x0]
            shares += np.multiply.outer(down, across)
        return shares.ravel()

    def mean(self, opacity: NDArray[np.uint8]) -> Array:
        """Of any cover, (h, w) at send size, 0 shown to 255 covered: (cells,)."""
        shares = np.diff(self._down, axis=0).T @ (opacity / 255) @ np.diff(self._across, axis=0)
        return np.asarray(shares.ravel())


def _reached(side: int, count: int, low: int, high: int) -> Array:
    """(side + 1, count): the share of each cell that lies before a pixel and is seen."""
    pixels = np.clip(np.arange(side + 1), low, high)[:, None]
    start = np.clip(np.arange(count) * side / count, low, high)
    end = np.clip(np.arange(1, count + 1) * side / count, low, high)
    return np.clip((pixels - start) * count / side, 0, (end - start) * count / side)


@dataclass(frozen=True)
class Guess:
    """Of covers (n, cells): what each takes away, and how it hangs on what is known."""

    covers: Array
    mean: Array
    variance: Array
    ties: Array

    @property
    def spread(self) -> Array:
        return np.sqrt(self.variance)


class Field:
    """Fitted to covers (n, cells) and what they took away (n,), in log-odds.

    scale: a prior guess at how large effects are. noise: of an answer, in log-odds.
    """

    def __init__(
        self, shape: tuple[int, int], covers: Array, taken: Array, scale: float, noise: float
    ) -> None:
        self.shape = shape
        self.covers = covers
        self.noise = noise
        self.variance = max(float(np.mean(taken**2)), scale**2)
        apart = _apart(covers, covers)
        fits = []
        for length in SMOOTH:
            self._set(length)
            for reach, rest in product(REACH, REST):
                kernel = self._kernel(apart, reach, rest)
                fits.append((_likelihood(kernel, taken), length, reach, rest, kernel))
        _, length, self.reach, self.rest, kernel = max(fits, key=lambda fit: fit[0])
        self._set(length)
        self._factor = cholesky(kernel, lower=True)
        self._alpha = cho_solve((self._factor, True), taken)
        share = self.variance * (1 - self.rest) / self._size
        self.weights = (share * (self._alpha @ self._smoothed)).reshape(shape)
        """What each cell takes away by itself: (rows, columns)."""

    def _set(self, length: float) -> None:
        self._blur = [_gaussian(side, length) for side in self.shape]
        self._smoothed = self._smooth(self.covers)
        self._common = self.covers @ self._smoothed.T
        self._size = float(np.mean(np.diag(self._common))) or 1.0

    def _kernel(self, apart: Array, reach: float, rest: float) -> Array:
        field = (1 - rest) * self._common / self._size
        kernel = self.variance * (field + rest * np.exp(-apart / reach))
        kernel[np.diag_indices(len(kernel))] += self.noise**2 + JITTER * self.variance
        return np.asarray(kernel)

    def _smooth(self, covers: Array) -> Array:
        planes = covers.reshape(-1, *self.shape)
        down, across = self._blur
        return np.asarray((down @ planes @ across).reshape(len(covers), -1))

    def _between(self, some: Array, others: Array, smoothed: Array) -> Array:
        field = (1 - self.rest) * (some @ smoothed.T) / self._size
        rest = self.rest * np.exp(-_apart(some, others) / self.reach)
        return np.asarray(self.variance * (field + rest))

    def guess(self, covers: Array) -> Guess:
        known = self._between(covers, self.covers, self._smoothed)
        ties = solve_triangular(self._factor, known.T, lower=True)
        own = np.einsum("ij,ij->i", covers, self._smooth(covers)) / self._size
        before = self.variance * ((1 - self.rest) * own + self.rest)
        variance = np.maximum(before - (ties**2).sum(0), 1e-9)
        return Guess(covers, known @ self._alpha, variance, ties)

    def believe(self, guess: Guess, index: int) -> Guess:
        """The guess as it will be when cover `index` has answered just as guessed: not a bit
        other, but surer. So a batch does not ask the same thing twice."""
        one = guess.covers[index : index + 1]
        known = self._between(guess.covers, one, self._smooth(one))[:, 0]
        tie = known - guess.ties.T @ guess.ties[:, index]
        tie /= np.sqrt(guess.variance[index] + self.noise**2 + JITTER * self.variance)
        variance = np.maximum(guess.variance - tie**2, 1e-9)
        return Guess(guess.covers, guess.mean, variance, np.vstack([guess.ties, tie]))


def _likelihood(kernel: Array, taken: Array) -> float:
    """The logarithm of the marginal likelihood, but for a constant."""
    factor = cholesky(kernel, lower=True)
    whitened = solve_triangular(factor, taken, lower=True)
    return float(-whitened @ whitened / 2 - np.log(np.diag(factor)).sum())


def _apart(some: Array, others: Array) -> Array:
    """The share of the picture by which covers differ: (n, m)."""
    squares = (some**2).sum(1)[:, None] + (others**2).sum(1) - 2 * some @ others.T
    return np.asarray(np.maximum(squares, 0) / some.shape[1])


def _gaussian(side: int, length: float) -> Array:
    """(side, side): a smoothing whose rows sum to one away from the borders."""
    steps = np.subtract.outer(np.arange(side), np.arange(side))
    bell = np.exp(-(steps**2) / (2 * length**2))
    return np.asarray(bell / bell.sum(1).max())
