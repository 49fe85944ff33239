"""Approximate Hessians of the penalised cost, as the product of their inverse and a gradient."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.linalg import solve_triangular

from .cost import LEAST_CURVATURE, Cost
from .kernels.sparse_work import COST
from .reference import sigmoid, softmax
from .rows import ScaledRows
from .validation import Array, is_sparse

# Rows of a sample: so many products, but so many rows for each feature at least, and in all.
_SAMPLE_PRODUCTS = 5e8
_SAMPLE_ROWS_A_FEATURE = 4
_MOST_SAMPLE_ROWS = 10_000
_ITERATIONS_BEFORE_A_HESSIAN, _ITERATIONS_OF_A_HESSIAN = 12, 10
# What part of the gradient's norm is left after two slow iterations: that of well-conditioned costs is a tenth at most.
_SLOW = 0.2
# Rows of a sample for each feature where that is so. A Hessian's products take about as long as reading as many values:
# how many reads of X it may take then, and at once.
_FEW_ROWS_A_FEATURE, _WORTH_READS, _MOST_READS_AT_ONCE = 60, 16, 1
_GRAM_ROWS = 1000
_MOST_PRODUCTS = 50


class Preconditioner:
    """An approximate Hessian: of the classes' mean curvature, from a sample of rows, or of unit variance alone.

    That of a sample is drawn towards unit variance, the more the fewer rows it has for a feature: in directions that
    its rows don't show, steps would be far too long (Ledoit and Wolf, "A well-conditioned estimator for
    large-dimensional covariance matrices", 2004).
    """

    def __init__(self, cost: Cost, chosen: Array | None, part: float = 1.0) -> None:
        """Of the chosen rows, which stand for all or for that `part` of them, the others weighing nothing."""
        self._cost, self._part = cost, part
        self._features: Array | None = None
        if chosen is not None:
            rows = ScaledRows(cost.X[chosen], cost.offset, cost.scale)
            self._features = rows.with_constant(cost.fit_intercept)
        classes = max(2, cost.n_scores)
        self._chosen, self._penalties = chosen, np.append(cost.l2, 0.0)
        self._diagonal = (classes - 1) / classes**2 + self._penalties
        self._factor: Any = None

    def at(self, parameters: Array, gradient: Array) -> None:
        """Take the curvature at these parameters."""
        cost, features = self._cost, self._features
        if features is None:
            return
        weights = np.ones(features.shape[0]) if cost.sample_weight is None else cost.sample_weight[self._chosen]
        scores = features @ parameters.T
        if cost.n_scores == 1:
            p = sigmoid(scores[:, 0])
            curvature = p * (1 - p)
        else:
            p = softmax(scores.T).T
            curvature = (p * (1 - p)).mean(axis=1)
        curvature = weights * np.maximum(curvature, LEAST_CURVATURE) * (self._part / features.shape[0])
        hessian = _weighted_gram(features, curvature)
        if features.shape[0] < cost.X.shape[0]:
            part = features.shape[1] / sum(features.shape)
            hessian *= 1 - part
            hessian[np.diag_indices_from(hessian)] += part * curvature.sum()
        hessian[np.diag_indices_from(hessian)] += self._penalties + 1e-12 * max(1e-300, float(np.trace(hessian)))
        if not cost.fit_intercept:
            hessian[-1, -1] = 1.0
        self._factor = np.linalg.cholesky(hessian)

    def solve(self, gradient: Array) -> Array:
        """Product of the inverse and a gradient (K, n + 1)."""
        if self._factor is None:
            return np.asarray(gradient / self._diagonal)
        half = solve_triangular(self._factor, gradient.T, lower=True, check_finite=False)
        return np.asarray(solve_triangular(self._factor, half, lower=True, trans="T", check_finite=False).T)


def _weighted_gram(features: Array, weights: Array) -> Array:
    """Sum over the rows of weight x x^T, of rows that fit the cache at a time."""
    n = features.shape[1]
    total, room = np.zeros((n, n)), np.empty((_GRAM_ROWS, n))
    for start in range(0, features.shape[0], _GRAM_ROWS):
        rows = features[start : start + _GRAM_ROWS]
        half = np.multiply(rows, np.sqrt(weights[start : start + _GRAM_ROWS, np.newaxis]), out=room[: len(rows)])
        total += half.T @ half
    return total


class LateCurvature:
    """Unit variances while they suffice, then the Hessian of a sample of rows.

    That of few rows is taken as soon as the gradient shrinks slowly, if it takes no longer than some reads of X; that
    of more rows after some iterations, at what they found, or at once where it takes no longer than a read. It is taken
    anew now and then where the sample is most of the rows, and so nearly the Hessian of all.

    Attributes
    ----------
    at_once : bool
        Whether the Hessian is taken in the first iteration.
    """

    def __init__(self, cost: Cost, diagonal: Preconditioner, rng: np.random.Generator) -> None:
        m, n = cost.X.shape
        values = cost.n_scores * (COST * cost.X.nnz if is_sparse(cost.X) else m * n)
        size = sample_size(m, n)
        few = min(size, _FEW_ROWS_A_FEATURE * n, int(_WORTH_READS * values / n**2))
        self._few = few if few >= _SAMPLE_ROWS_A_FEATURE * n else 0
        self._size, self._anew = size, 2 * size >= m
        self.at_once = size * n**2 <= _MOST_READS_AT_ONCE * values
        self._late = 0 if self.at_once else _ITERATIONS_BEFORE_A_HESSIAN
        self._cost, self._now, self._rng = cost, diagonal, rng
        self._norms: list[float] = []

    def at(self, parameters: Array, gradient: Array) -> None:
        self._norms.append(float(np.linalg.norm(gradient)))
        since = len(self._norms) - 1 - self._late
        if since == 0:
            self._now = self._of_rows(self._size)
        elif since < 0 and self._few and self._is_slow():
            self._now, self._few = self._of_rows(self._few), 0
        elif not (since > 0 and self._anew and since % _ITERATIONS_OF_A_HESSIAN == 0):
            return
        self._now.at(parameters, gradient)

    def solve(self, gradient: Array) -> Array:
        return self._now.solve(gradient)

    def _is_slow(self) -> bool:
        return len(self._norms) > 2 and self._norms[-1] > _SLOW * self._norms[-3]

    def _of_rows(self, size: int) -> Preconditioner:
        """Of so many random rows that weigh anything, or all of these."""
        weights, m = self._cost.sample_weight, self._cost.X.shape[0]
        rows = np.arange(m) if weights is None else np.flatnonzero(weights)
        chosen = rows if size >= rows.size else np.sort(self._rng.choice(rows, size, replace=False))
        return Preconditioner(self._cost, chosen, rows.size / m)


class ConjugateGradients:
    """The inverse of the exact Hessian, by conjugate gradients, as exactly as steps far from the minimum need it.

    As many iterations as make the residual smaller than the gradient by the square root of its norm (Dembo and
    Steihaug, "Truncated-Newton algorithms for large-scale unconstrained optimization", 1983).
    """

    def __init__(self, cost: Cost, diagonal: Preconditioner) -> None:
        self._cost, self._diagonal = cost, diagonal

    def at(self, parameters: Array, gradient: Array) -> None:
        self._diagonal.at(parameters, gradient)
        self._times = self._cost.hessian_at(parameters)

    def solve(self, gradient: Array) -> Array:
        norm = float(np.linalg.norm(gradient))
        wanted = norm * min(0.5, norm**0.5)
        solution, residual = np.zeros_like(gradient), gradient.copy()
        direction = self._diagonal.solve(residual)
        product = float(np.sum(residual * direction))
        for _ in range(_MOST_PRODUCTS):
            image = self._times(direction)
            along = float(np.sum(direction * image))
            if not along > 0:  # flat, as exactly as it is computed
                break
            solution += product / along * direction
            residual -= product / along * image
            if np.linalg.norm(residual) <= wanted:
                break
            preconditioned = self._diagonal.solve(residual)
            before, product = product, float(np.sum(residual * preconditioned))
            direction = preconditioned + product / before * direction
        return solution if solution.any() else self._diagonal.solve(gradient)


def sample_size(m: int, n: int) -> int:
    """Rows that stand for all in a Hessian."""
    size = max(_SAMPLE_ROWS_A_FEATURE * n, min(_MOST_SAMPLE_ROWS, int(_SAMPLE_PRODUCTS / n**2)))
    return min(m, size)
