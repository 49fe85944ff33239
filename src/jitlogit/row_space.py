"""The penalised cost of wide sparse data as a function of a number for each row, not for each feature.

The weights of a minimum are a sum over the rows, w = F X'^T beta, F the inverse of the penalty (Kimeldorf and Wahba,
"Some results on Tchebycheffian spline functions", 1971), and so are all that gradient descent goes through in the
metric of the penalty. With many more features than rows, steps of L-BFGS are then that much shorter arrays. Of the
parameters' products only those with gradients are needed, beta^T (X' F X'^T gamma): both are kept of each, so that X
is read once for each gradient.
"""

from __future__ import annotations

import numpy as np

from ._team import members_for, share
from .cost import Cost
from .kernels.plan import on_lines
from .kernels.row_space import gram_times
from .kernels.sparse_work import COST, room_for_classes, sparse_chunks
from .prediction import losses_of, probabilities_of
from .validation import Array, is_sparse
from .walks import by_columns

# How many times as many features as rows, for this to pay.
_WIDE = 4
# What the arrays are made of; the last row, after those of X and the biases, is that of the gradient's size.
_ITSELF, _GRADIENT, _SCORES = 0, 1, 2


def is_wide(cost: Cost) -> bool:
    """Whether the minimum is found sooner in the space of the rows."""
    m, n = cost.X.shape
    return is_sparse(cost.X) and n > _WIDE * m and bool(cost.l2.all())


class RowSpace:
    """A cost as `descent.minimise` takes it.

    Parameters are beta and the biases, with X' F X'^T beta; gradients X' F X'^T gamma and those of the biases, with
    gamma; arrays (3, m + 2, K), such that products of the two, and sums, are what they should be.
    """

    def __init__(self, cost: Cost) -> None:
        self._cost = cost
        m, K = cost.X.shape[0], cost.n_scores
        room = room_for_classes(K)
        self._n_chunks = sparse_chunks(cost.X.nnz, m, K)
        self._columns, self._bounds = by_columns(cost.X, self._n_chunks)
        self._members = members_for(cost.n_threads, self._n_chunks, cost.X.data.nbytes * K * COST)
        wide = np.dtype(np.float64)
        self._given, self._rows = on_lines((m, room), wide), on_lines((self._members, room), wide)
        self._out, self._common = on_lines((self._n_chunks, m, room), wide), np.zeros((self._n_chunks, K))
        self._inverse_scale = 1 / cost.scale
        self._factors = self._inverse_scale**2 / cost.l2
        self._curvature = (max(2, K) - 1) / max(2, K) ** 2
        self._first = 0.0

    def begin(self, biases: Array) -> Array:
        """Parameters without weights, (3, m + 2, K)."""
        parameters = self._zeros()
        parameters[_ITSELF, -2] = biases
        return parameters

    def __call__(self, parameters: Array) -> tuple[float, Array]:
        """Cost, and its gradient."""
        cost, m = self._cost, self._cost.X.shape[0]
        beta, biases, scores = parameters[_ITSELF, :m], parameters[_ITSELF, m], parameters[_SCORES, :m]
        loss, residuals = _losses(scores + biases, cost.labels[:m], cost.sample_weight)
        cost.passes += 1
        gradient = self._zeros()
        gradient[_GRADIENT, :m] = residuals / m + beta
        gradient[_ITSELF, :m], largest = self._gram_times(gradient[_GRADIENT, :m])
        if cost.fit_intercept:
            gradient[_ITSELF, m] = residuals.mean(axis=0)
        gradient[_GRADIENT, -1] = max(largest, np.abs(gradient[_ITSELF, m]).max())
        return loss / m + float(np.vdot(beta, scores)) / 2, gradient

    def size(self, gradient: Array) -> float:
        """Largest element of the gradient by weights of scaled features, and biases."""
        return float(gradient[_GRADIENT, -1, 0])

    def solve(self, gradient: Array) -> Array:
        """A step down, as long as the curvature along the first gradient has it.

        That is the largest of the weights' curvatures, in the metric of the penalty, or near it, and 1 the least; the
        biases' is taken to lie between.
        """
        image, itself = gradient[_ITSELF, :-2], gradient[_GRADIENT, :-2]
        if not self._first:
            squared = float(np.vdot(image, itself))
            along = float(np.vdot(image, image)) / len(image) / squared if squared > 0 else 0.0
            self._first = 1 / (1 + self._curvature * along)
        step = self._zeros()
        step[_ITSELF, :-2], step[_SCORES, :-2] = self._first * itself, self._first * image
        step[_ITSELF, -2] = self._first**0.5 / self._curvature * gradient[_ITSELF, -2]
        return step

    def parameters(self, found: Array) -> Array:
        """Weights and biases (K, n + 1), of scaled features."""
        cost, beta = self._cost, found[_ITSELF, :-2]
        sums = cost.X.T @ beta - np.outer(cost.offset, beta.sum(axis=0))
        return np.column_stack([sums.T / (cost.scale * cost.l2), found[_ITSELF, -2]])

    def _zeros(self) -> Array:
        return np.zeros((3, self._cost.X.shape[0] + 2, self._cost.n_scores))

    def _gram_times(self, gamma: Array) -> tuple[Array, float]:
        """X' F X'^T gamma, and the largest element of X'^T gamma."""
        K, largest = gamma.shape[1], np.zeros(self._n_chunks)
        self._given[:, :K] = gamma
        share(
            gram_times,
            self._members,
            self._n_chunks,
            self._columns,
            self._cost.labels,
            self._given,
            gamma.sum(axis=0),
            self._cost.offset,
            self._inverse_scale,
            self._factors,
            self._rows,
            self._bounds,
            self._out,
            self._common,
            largest,
        )
        return self._out.sum(axis=0)[:, :K] - self._common.sum(axis=0), float(largest.max())


def _losses(scores: Array, labels: Array, weights: Array | None) -> tuple[float, Array]:
    """Sum of the weighted losses, and the weighted residuals A - Y (m, K)."""
    residuals = probabilities_of(scores)
    if scores.shape[1] == 1:
        scores = scores[:, 0]
        residuals -= labels[:, np.newaxis]
    else:
        residuals[np.arange(len(scores)), labels] -= 1
    losses = losses_of(scores, labels)
    if weights is None:
        return float(losses.sum()), residuals
    return float(weights @ losses), residuals * weights[:, np.newaxis]
