"""Linear models of the score in what is shown: LIME and Kernel SHAP.

A superpixel is known by its masks: cells that all masks treated alike are one part, so that the
partition needs no telling and early snapshots have few, large parts. The regression is
scikit-learn's.
"""

from __future__ import annotations

from math import comb
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from probe.estimate.seen import unseen
from probe.heatmap import Heatmap, Planes
from probe.perturb.geometry import pixels
from probe.perturb.masks import opacity
from probe.types import Box, Canvas, Identity, Mask, Perturbation, Scores

Matrix = NDArray[np.float64]
MOST = 255


class Parts:
    """The coarsest partition of the cells that all masks are made of, refined by each of them.

    shown: one row a mask, uint8, whether it showed the part.
    """

    def __init__(self) -> None:
        self._labels: NDArray[np.intp] = np.zeros((1, 1), np.intp)
        self._count = 1
        self._rows: list[NDArray[np.uint8]] = []

    def add(self, mask: Mask | None) -> None:
        """A hard mask; None: all was covered."""
        if mask is None:
            self._rows.append(np.zeros(self._count, np.uint8))
            return
        grid = np.frombuffer(mask.cells, np.uint8).reshape(mask.rows, mask.columns)
        both, labels = np.unique(self._labels * 2 + (grid < 128), return_inverse=True)
        if len(both) > MOST:
            raise ValueError(f"a regression takes masks of up to {MOST} parts, not of {len(both)}")
        if len(both) > self._count or labels.shape != self._labels.shape:
            parents = both // 2
            self._rows = [row[parents] for row in self._rows]
            self._labels, self._count = labels, len(both)
        self._rows.append((both % 2).astype(np.uint8))

    @property
    def shown(self) -> Matrix:
        return np.array(self._rows, np.float64).reshape(-1, self._count)

    def spread(self, values: Matrix, canvas: Canvas) -> NDArray[np.float32]:
        """Values of the parts as a plane at send size."""
        cells = self._labels.astype(np.uint8)
        where = opacity(Mask(cells.tobytes(), cells.shape[1]), canvas)
        plane: NDArray[np.float32] = values.astype(np.float32)[where]
        return plane


class Fit(Protocol):
    """Coefficients of the parts and their standard errors, from shown (n, parts), the scores
    (n,), that of the unchanged picture, and that of the empty one if it is known."""

    def __call__(
        self, shown: Matrix, scores: Matrix, full: float, empty: float | None
    ) -> tuple[Matrix, Matrix]: ...


class Regression:
    """map(p) = the coefficient of the superpixel of p, in the score's unit: what it adds when it
    is shown, whatever else is; its standard error is that of `fit`.

    Keeps a byte a superpixel and answer. What the model does not see is NaN.
    """

    def __init__(self, canvas: Canvas, label: str, *, fit: Fit) -> None:
        self.canvas = canvas
        self.label = label
        self.fit = fit
        self._reference: float | None = None
        self._empty: float | None = None
        self._parts = Parts()
        self._scores: list[float] = []

    def update(self, perturbation: Perturbation, scores: Scores) -> None:
        if self.label not in scores:
            return
        score = scores[self.label]
        if isinstance(perturbation, Identity):
            if self._reference is None and not perturbation.full:
                self._reference = score
        elif isinstance(perturbation, Mask):
            self._parts.add(perturbation)
            self._scores.append(score)
        elif isinstance(perturbation, Box) and self._whole(perturbation):
            self._empty = score

    def _whole(self, box: Box) -> bool:
        return pixels(box, self.canvas) == (0, 0, *self.canvas.send)

    def heatmap(self) -> Heatmap:
        """The map so far; raises ValueError before the reference."""
        if self._reference is None:
            raise ValueError("no map before the reference's answer")
        shown, scores = self._parts.shown, np.array(self._scores)
        covered = 1 - shown
        with np.errstate(divide="ignore", invalid="ignore"):
            mean_score = covered.T @ scores / covered.sum(0)
        nothing = np.full(shown.shape[1], np.nan)
        values, stderr = nothing, nothing
        if len(scores) > 1 and shown.shape[1] > 1:
            values, stderr = self.fit(shown, scores, self._reference, self._empty)
        planes = [self._parts.spread(one, self.canvas) for one in (values, stderr, mean_score)]
        hidden = unseen(self.canvas)
        for plane in planes:
            plane[hidden] = np.nan
        coverage = self._parts.spread(covered.sum(0), self.canvas).astype(np.int32)
        return Heatmap(
            label=self.label,
            unit="score",
            reference=self._reference,
            canvas=self.canvas,
            answers=len(scores) + (self._empty is not None),
            planes=Planes(planes[0], planes[1], planes[2], coverage),
        )


def ridge(
    shown: Matrix,
    scores: Matrix,
    full: float,
    empty: float | None,
    *,
    width: float = 0.25,
    alpha: float = 0.1,
) -> tuple[Matrix, Matrix]:
    """Ribeiro et al., KDD 2016: ridge regression weighted by exp(-(d / width)^2 / 2), d being the
    cosine distance to the unchanged picture, which is one of the rows.

    Standard errors: H diag(w e / (1 - h))^2 H', the sandwich of White in MacKinnon's form HC3,
    with the weights w, residuals e, leverages h and H = (X' W X + alpha)^-1 X' of centred X;
    and the penalty's own pull alpha (X' W X + alpha)^-1 coefficients, squared and added.
    """
    from sklearn.linear_model import Ridge

    x, y = np.vstack([np.ones(shown.shape[1]), shown]), np.append(full, scores)
    distance = 1 - np.sqrt(x.mean(1))
    weights = np.exp(-((distance / width) ** 2) / 2)
    model = Ridge(alpha=alpha).fit(x, y, sample_weight=weights)
    residuals = y - model.predict(x)
    centred = x - np.average(x, axis=0, weights=weights)
    inverse = np.linalg.inv(centred.T * weights @ centred + alpha * np.eye(x.shape[1]))
    leverage = weights * (np.einsum("ij,jk,ik->i", centred, inverse, centred) + 1 / weights.sum())
    sampled = _sandwich(inverse @ centred.T, weights * residuals, leverage, np.ones(len(x)))
    return model.coef_, np.hypot(sampled, alpha * inverse @ model.coef_)


def shapley(
    shown: Matrix, scores: Matrix, full: float, empty: float | None
) -> tuple[Matrix, Matrix]:
    """Lundberg and Lee, NeurIPS 2017: least squares under the Shapley kernel whose coefficients
    add up to the score of the full picture less that of the empty one.

    Coalitions are drawn by the kernel without repetition, so each weighs kernel / probability of
    being drawn (Olsen and Jullum, "Improving the Weighting Strategy in KernelSHAP", 2024): all
    of them together give the exact Shapley values. A pair of complements is one equation, which
    is free of the interactions of even order (Covert and Lee, 2021).

    Standard errors: as those of `ridge`, over pairs, times 1 - probability of being drawn: what
    is complete has none. Without an answer for the empty picture the lowest score stands for it.
    """
    from sklearn.linear_model import LinearRegression

    proper = (shown.sum(1) > 0) & (shown.sum(1) < shown.shape[1])
    shown, scores, count = shown[proper], scores[proper], shown.shape[1]
    if not len(scores):
        return np.full(count, np.nan), np.full(count, np.nan)
    if empty is None:
        empty = float(np.min(scores))
    chance, weights = inclusion(shown)
    gain = full - empty
    y = scores - empty - shown.mean(1) * gain
    flip = shown[:, 0] == 0
    x, y = np.where(flip[:, None], 1 - shown, shown), np.where(flip, -y, y)
    x, first, pair = np.unique(x, axis=0, return_index=True, return_inverse=True)
    w = np.bincount(pair, weights)
    y, chance = np.bincount(pair, weights * y) / w, chance[first]
    basis = _sum_free(count)
    a = x @ basis
    model = LinearRegression(fit_intercept=False).fit(a, y, sample_weight=w)
    residuals = y - model.predict(a)
    inverse = np.linalg.pinv(a.T * w @ a, hermitian=True)
    leverage = w * np.einsum("ij,jk,ik->i", a, inverse, a)
    stderr = _sandwich(basis @ inverse @ a.T, w * residuals, leverage, 1 - chance)
    return basis @ model.coef_ + gain / count, stderr


def inclusion(shown: Matrix) -> tuple[Matrix, Matrix]:
    """The probability of each coalition to be among those drawn, and its weight (n,).

    Drawn in pairs by the Shapley kernel until so many are distinct: with L draws a pair of
    probability q is among them with 1 - (1 - q)^L, and L is such that their sum is the number
    of distinct pairs seen.
    """
    count = shown.shape[1]
    sizes = np.arange(1, count)
    mass = 1 / (sizes * (count - sizes))
    each = np.array([comb(count, k) for k in sizes], float)
    q = 2 * mass / mass.sum() / each  # of the pair of a coalition of each size
    drawn = len(np.unique(np.where(shown[:, :1] == 0, 1 - shown, shown), axis=0))
    total = each.sum() / 2

    def expected(draws: float) -> Any:
        return -np.expm1(draws * np.log1p(-np.minimum(q, 1 - 1e-12)))

    if drawn >= total:
        chances = np.ones(len(q))
    else:
        low, high = float(drawn), 1e18
        for _ in range(200):
            middle = (low * high) ** 0.5
            low, high = (middle, high) if expected(middle) @ each / 2 < drawn else (low, middle)
        chances = expected(low)
    index = shown.sum(1).astype(int) - 1
    return chances[index], (q / chances)[index]


def _sum_free(count: int) -> Matrix:
    """Orthonormal columns (count, count - 1) that span the vectors whose sum is zero."""
    basis: Matrix = np.linalg.svd(np.ones((1, count)))[2][1:].T
    return basis


def _sandwich(coefficients: Matrix, pulls: Matrix, leverage: Matrix, drawn: Matrix) -> Matrix:
    """Roots of the diagonal of H diag(drawn pulls / (1 - leverage))^2 H'.

    coefficients: H (parts, n), what a unit of each row adds to each coefficient over its weight.
    pulls: weight times residual. drawn: the share of each row's variance that is due to chance.
    NaN where a coefficient rests on a row by chance that no other row can check.
    """
    left = np.maximum(1 - leverage, 1e-9)
    errors: Matrix = np.sqrt(coefficients**2 @ (drawn * (pulls / left) ** 2))
    alone = (left < 1e-6) & (drawn > 0)
    errors[(np.abs(coefficients[:, alone]) > 1e-9).any(1)] = np.nan
    return errors
