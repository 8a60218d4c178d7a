"""Where is the evidence, and how large is it? A posterior over rectangles.

Hypothesis: one rectangle of the picture carries the score, and a cover takes
amplitude x shape(share of the rectangle that it hides). Every rectangle between the lines of a
grid is weighed against the answers; averages over all of them say which cells belong to the
evidence (posterior inclusion probability) and what its side is, without choosing one. Where the
evidence is no rectangle the average still follows it: no single one then stands out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from probe.types import Region

Matrix = NDArray[np.float64]

CELLS = 16
TEMPER = 0.5
"""Power of the likelihood: the hypothesis is a simplification, so answers count half."""
FLOOR = 2e-3
"""Residuals below this share of the answers' variance tell rectangles no further apart."""
LEAST = -40.0
"""No rectangle is less likely than the likeliest one times e to this power."""
SHAPES = ((0, 1), (1,), (2, -1), (4, -6, 4, -1))
"""Polynomials of the share f, from f^1 on: f^2, f, 1 - (1 - f)^2 and 1 - (1 - f)^4."""

_INTERVALS = np.array([(a, b) for a in range(CELLS) for b in range(a + 1, CELLS + 1)])
_HOLDS = np.array([[a <= cell < b for cell in range(CELLS)] for a, b in _INTERVALS], float)
_LENGTHS = np.diff(_INTERVALS / CELLS).ravel()


@dataclass(frozen=True, slots=True)
class Belief:
    """What the answers say of the hidden rectangle.

    inclusion: (CELLS, CELLS) rows from the top, the probability that the cell belongs to it.
    evidence: (CELLS, CELLS), the amplitude where it does, on average: in the score's unit.
    side: the root of its share of the region, on average; 0 to 1.
    """

    inclusion: Matrix
    evidence: Matrix
    side: float


@dataclass(frozen=True, slots=True)
class Moments:
    """Sums over answers; those of a part of the answers can be taken away.

    shares, products: of f^p, p from 1 to 8, and of f^p d, p from 1 to 4, for every rectangle:
    (p, vertical intervals, horizontal intervals). drops: of 1, d and d^2.
    """

    shares: Matrix
    products: Matrix
    drops: Matrix

    @classmethod
    def of(cls, covers: Matrix, drops: Matrix, region: Region) -> Moments:
        """Covers (n, 4), x0, y0, x1, y1 in fractions of the picture; drops d (n,), what each
        takes from the score; the rectangles are those of a grid that divides `region`."""
        x0, y0, x1, y1 = region
        wide, high = _powers(covers[:, ::2], x0, x1), _powers(covers[:, 1::2], y0, y1)
        # not by BLAS, whose threads wait for each other when the machine is busy
        return cls(
            np.einsum("pnv,pnh->pvh", high, wide),
            np.einsum("pnv,pnh->pvh", high[:4] * drops[:, None], wide[:4]),
            np.array([len(drops), drops.sum(), drops @ drops]),
        )

    def without(self, part: Moments) -> Moments:
        return Moments(
            self.shares - part.shares, self.products - part.products, self.drops - part.drops
        )

    def __add__(self, other: Moments) -> Moments:
        return Moments(
            self.shares + other.shares, self.products + other.products, self.drops + other.drops
        )


def posterior(moments: Moments) -> Belief:
    """All rectangles and shapes are equally likely beforehand; there must be an answer.

    The intercept and the amplitude (not negative) are the best ones of each rectangle and shape,
    and its likelihood is (residual variance)^(-n / 2), that of normal noise of unknown size.
    """
    n, summed, squares = moments.drops
    total = max(squares - summed**2 / n, 0.0)
    logs, amplitudes = [], []
    for shape in SHAPES:
        first = _combined(shape, moments.shares)
        square = _combined(np.convolve(shape, shape), moments.shares[1:])
        product = _combined(shape, moments.products) - first * (summed / n)
        spread = np.maximum(square - first**2 / n, 0) + 1e-6
        amplitude = np.maximum(product / spread, 0)
        left = np.maximum(total - amplitude * (2 * product - amplitude * spread), 0)
        logs.append(-0.5 * n * TEMPER * np.log(left + FLOOR * total + 1e-300))
        amplitudes.append(amplitude)
    weights = np.exp(np.maximum(np.array(logs) - np.max(logs), LEAST))
    weights /= weights.sum()
    belief = weights.sum(0)
    return Belief(
        inclusion=_per_cell(belief),
        evidence=_per_cell((weights * amplitudes).sum(0)),
        side=float(_LENGTHS**0.5 @ belief @ _LENGTHS**0.5),
    )


def _powers(edges: Matrix, low: float, high: float) -> Matrix:
    """(8, n, intervals): the share of each interval of an axis that each cover hides, to the
    first power, the second and so on."""
    ends = low + (high - low) * _INTERVALS / CELLS
    over = np.minimum(edges[:, 1:], ends[:, 1]) - np.maximum(edges[:, :1], ends[:, 0])
    shares = np.clip(over, 0, None) / np.diff(ends).ravel()
    powers: Matrix = np.cumprod(np.broadcast_to(shares, (8, *shares.shape)), axis=0)
    return powers


def _combined(factors: Sequence[int] | NDArray[np.int_], sums: Matrix) -> Matrix:
    """The sums times factors, added up."""
    found: Matrix = sum(c * plane for c, plane in zip(factors, sums, strict=False))
    return found


def _per_cell(rectangles: Matrix) -> Matrix:
    """(CELLS, CELLS): the sum over the rectangles that hold the cell."""
    cells: Matrix = _HOLDS.T @ rectangles @ _HOLDS
    return cells
