"""Approximate Hessians of the penalised cost, as the product of their inverse and a gradient."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.linalg import solve_triangular

from .cost import LEAST_CURVATURE, Cost
from .reference import sigmoid, softmax
from .rows import ScaledRows
from .validation import Array

# Rows of a sample: so many products, but so many rows for each feature at least, and in all.
_SAMPLE_PRODUCTS = 5e8
_SAMPLE_ROWS_A_FEATURE = 4
_MOST_SAMPLE_ROWS = 10_000
_ITERATIONS_BEFORE_A_HESSIAN, _ITERATIONS_OF_A_HESSIAN = 12, 10
_GRAM_ROWS = 1000
_MOST_PRODUCTS = 50


class Preconditioner:
    """An approximate Hessian: of the classes' mean curvature, from a sample of rows, or of unit variance alone.

    That of a sample is drawn towards unit variance, the more the fewer rows it has for a feature: in directions that
    its rows don't show, steps would be far too long (Ledoit and Wolf, "A well-conditioned estimator for
    large-dimensional covariance matrices", 2004).
    """

    def __init__(self, cost: Cost, chosen: Array | None) -> None:
        self._cost = cost
        self._features: Array | None = None
        if chosen is not None:
            rows = ScaledRows(cost.X[chosen], cost.offset, cost.scale)
            self._features = rows.with_constant(cost.fit_intercept)
        self._chosen = chosen
        self._factor: Any = None
        self._diagonal: Any = None

    def at(self, parameters: Array) -> None:
        """Take the curvature at these parameters."""
        cost = self._cost
        penalties = np.append(cost.l2, 0.0)
        features = self._features
        if features is None:
            classes = max(2, cost.n_scores)
            curvature = (classes - 1) / classes**2
            self._diagonal = curvature + penalties
            return
        weights = np.ones(features.shape[0]) if cost.sample_weight is None else cost.sample_weight[self._chosen]
        scores = features @ parameters.T
        if cost.n_scores == 1:
            p = sigmoid(scores[:, 0])
            curvature = p * (1 - p)
        else:
            p = softmax(scores.T).T
            curvature = (p * (1 - p)).mean(axis=1)
        curvature = weights * np.maximum(curvature, LEAST_CURVATURE) / features.shape[0]
        hessian = _weighted_gram(features, curvature)
        if features.shape[0] < cost.X.shape[0]:
            part = features.shape[1] / sum(features.shape)
            hessian *= 1 - part
            hessian[np.diag_indices_from(hessian)] += part * curvature.sum()
        hessian[np.diag_indices_from(hessian)] += penalties + 1e-12 * max(1e-300, float(np.trace(hessian)))
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
    """Unit variances for the first iterations, which often suffice; then the Hessian of a sample, at what they found.

    It is taken anew now and then where the sample is most of the rows, and so nearly the Hessian of all.
    """

    def __init__(self, cost: Cost, diagonal: Preconditioner, rng: np.random.Generator) -> None:
        m, n = cost.X.shape
        size = sample_size(m, n)
        self._chosen = np.arange(m) if size == m else np.sort(rng.choice(m, size, replace=False))
        self._anew = 2 * size >= m
        self._cost, self._now, self._iteration = cost, diagonal, 0

    def at(self, parameters: Array) -> None:
        if self._iteration == _ITERATIONS_BEFORE_A_HESSIAN:
            self._now = Preconditioner(self._cost, self._chosen)
        since = self._iteration - _ITERATIONS_BEFORE_A_HESSIAN
        if self._iteration == 0 or since == 0 or (since > 0 and self._anew and since % _ITERATIONS_OF_A_HESSIAN == 0):
            self._now.at(parameters)
        self._iteration += 1

    def solve(self, gradient: Array) -> Array:
        return self._now.solve(gradient)


class ConjugateGradients:
    """The inverse of the exact Hessian, by conjugate gradients, as exactly as steps far from the minimum need it.

    As many iterations as make the residual smaller than the gradient by the square root of its norm (Dembo and
    Steihaug, "Truncated-Newton algorithms for large-scale unconstrained optimization", 1983).
    """

    def __init__(self, cost: Cost, diagonal: Preconditioner) -> None:
        self._cost, self._diagonal = cost, diagonal

    def at(self, parameters: Array) -> None:
        self._diagonal.at(parameters)
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
