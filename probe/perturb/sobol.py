"""Sobol's sequence in four dimensions, shifted at random: points that fill the cube evenly.

Direction numbers of Joe and Kuo, "Constructing Sobol sequences with better two-dimensional
projections", 2008; the order is that of Gray codes, as in scipy.stats.qmc.Sobol, whose import
takes half a second of every command and whose scrambling may change between versions, and with
it every plan.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import numpy as np
from numpy.typing import NDArray

BITS = 30
POLYNOMIALS = ((0, 0, [1] * BITS), (1, 0, [1]), (2, 1, [1, 3]), (3, 1, [1, 3, 1]))
"""Degree, inner coefficients and first direction numbers of each dimension."""


def points(seed: int) -> Iterator[NDArray[np.float64]]:
    """Endless points of (0, 1)^4; any beginning is spread evenly, the first 2^k most of all.

    The random digital shift (exclusive or) keeps the evenness; it needs nothing but `seed`.
    """
    directions = np.array([_directions(*polynomial) for polynomial in POLYNOMIALS])
    point = np.random.default_rng(seed).integers(0, 2**BITS, len(POLYNOMIALS))
    for n in count(1):
        yield (point + 0.5) / 2**BITS
        changed = (n & -n).bit_length() - 1
        point = point ^ directions[:, changed % BITS]


def _directions(degree: int, inner: int, first: list[int]) -> list[int]:
    odd = list(first)
    while len(odd) < BITS:
        new = odd[-degree] ^ (odd[-degree] << degree)
        for i in range(1, degree):
            if inner >> (degree - 1 - i) & 1:
                new ^= odd[-i] << i
        odd.append(new)
    return [number << (BITS - 1 - k) for k, number in enumerate(odd)]
