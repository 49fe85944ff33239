"""The penalised cost of wide sparse data as a function of a number for each row, not for each feature.

The weights of a minimum are a sum over the rows, w = F X'^T beta, F the inverse of the penalty (Kimeldorf and Wahba,
"Some results on Tchebycheffian spline functions", 1971), and so are all that gradient descent goes through in the
metric of the penalty. With many more features than rows, steps of L-BFGS are then that much shorter arrays. Of the
parameters' products only those with gradients are needed, beta^T (X' F X'^T gamma): both are kept of each, so that X
is read once for each gradient.

Where it begins with weights W, all are the sum of such and a multiple of W,  w = F X'^T beta + eta W,  and so are the
gradients,  F X'^T gamma + eta W.
"""

from __future__ import annotations

import numpy as np

from ..compiler.threads import members_for, run
from ..data.prediction import losses_of, probabilities_of
from ..data.validation import Array, is_sparse
from ..kernels.passes.gram import GramFeatures, GramSpace, gram_times
from ..kernels.simd.arrays import on_lines
from ..kernels.storage.sparse_work import COST, room_for_classes, sparse_chunks
from .cost import Cost
from .passes import by_columns

# How many times as many features as rows, for this to pay.
_WIDE = 4
# What the arrays are made of, and their rows after those of X: biases, the multiple of the first weights, and the
# gradient's size.
_ITSELF, _GRADIENT, _SCORES = 0, 1, 2
_BIASES, _MULTIPLE, _SIZE = -3, -2, -1


def is_wide(cost: Cost) -> bool:
    """Whether the minimum is found sooner in the space of the rows."""
    m, n = cost.X.shape
    return is_sparse(cost.X) and n > _WIDE * m and bool(cost.l2.all())


class RowSpace:
    """A cost as `descent.minimise` takes it.

    Parameters and gradients are arrays (3, m + 3, K), such that products of the two, and sums, are what they should be:

    - parameters: beta, the biases, and eta (in the first column) in `_ITSELF`; the scores less the biases in `_SCORES`;
    - gradients: their products with the rows (m, K), those with the first weights, and the biases' in `_ITSELF`; gamma,
      eta and the size in `_GRADIENT`.

    `initial` (K, n + 1), of scaled features, is where it begins.
    """

    def __init__(self, cost: Cost, initial: Array) -> None:
        self._cost, self._initial = cost, initial
        m, K = cost.X.shape[0], cost.n_scores
        room = room_for_classes(K)
        n_chunks = sparse_chunks(cost.X.nnz, m, K)
        self._columns, bounds = by_columns(cost.X, n_chunks)
        self._members = members_for(cost.n_threads, n_chunks, cost.X.data.nbytes * K * COST)
        wide = np.dtype(np.float64)
        self._space = GramSpace(
            on_lines((m, room), wide),
            on_lines((self._members, room), wide),
            on_lines((n_chunks, m, room), wide),
            np.zeros((n_chunks, K)),
            np.zeros(n_chunks),
        )
        inverse_scale = 1 / cost.scale
        self._first = 0.0
        weights, self._begun = initial[:, :-1], bool(initial[:, :-1].any())
        penalised: Array = np.zeros((0, K))
        if self._begun:
            penalised = np.ascontiguousarray((cost.l2 * weights).T)
            cost.passes += 1
            self._scores_begun = cost.X @ (weights * inverse_scale).T - weights @ (cost.offset / cost.scale)
            self._squared = float(np.vdot(penalised.T, weights))
        factors = inverse_scale**2 / cost.l2
        self._features = GramFeatures(bounds, cost.offset, inverse_scale, factors, penalised)

    def begin(self) -> Array:
        """The parameters to begin with, (3, m + 3, K)."""
        parameters = self._zeros()
        parameters[_ITSELF, _BIASES] = self._initial[:, -1]
        if self._begun:
            parameters[_ITSELF, _MULTIPLE, 0] = 1.0
            parameters[_SCORES, : len(self._scores_begun)] = self._scores_begun
        return parameters

    def __call__(self, parameters: Array) -> tuple[float, Array]:
        """Cost, and its gradient."""
        cost, m = self._cost, self._cost.X.shape[0]
        beta, biases, scores = parameters[_ITSELF, :m], parameters[_ITSELF, _BIASES], parameters[_SCORES, :m]
        eta = float(parameters[_ITSELF, _MULTIPLE, 0])
        loss, residuals = _losses(scores + biases, cost.labels[:m], cost.sample_weight)
        cost.passes += 1
        gradient = self._zeros()
        gamma = gradient[_GRADIENT, :m] = residuals / m + beta
        gradient[_GRADIENT, _MULTIPLE, 0] = eta
        gradient[_ITSELF, :m], largest = self._gram_times(gamma, eta)
        squared = float(np.vdot(beta, scores))
        if self._begun:
            gradient[_ITSELF, :m] += eta * self._scores_begun
            gradient[_ITSELF, _MULTIPLE, 0] = float(np.vdot(self._scores_begun, gamma)) + eta * self._squared
            squared += eta * (float(np.vdot(self._scores_begun, beta)) + eta * self._squared)
        if cost.fit_intercept:
            gradient[_ITSELF, _BIASES] = residuals.mean(axis=0)
        gradient[_GRADIENT, _SIZE] = max(largest, np.abs(gradient[_ITSELF, _BIASES]).max())
        return loss / m + squared / 2, gradient

    def size(self, gradient: Array) -> float:
        """Largest element of the gradient by weights of scaled features, and biases."""
        return float(gradient[_GRADIENT, _SIZE, 0])

    def solve(self, gradient: Array) -> Array:
        """A step down, as long as the curvature along the first gradient has it.

        Without first weights, that is the largest of the weights' curvatures, in the metric of the penalty, or near it,
        and 1 the least; the biases' is taken to lie between.
        """
        m, curvature = self._cost.X.shape[0], self._cost.equal_curvature
        image, itself = gradient[_ITSELF, :m], gradient[_GRADIENT, :m]
        eta, along_eta = gradient[_GRADIENT, _MULTIPLE, 0], gradient[_ITSELF, _MULTIPLE, 0]
        if not self._first:
            squared = float(np.vdot(image, itself)) + float(eta * along_eta)
            along = float(np.vdot(image, image)) / m / squared if squared > 0 else 0.0
            self._first = 1 / (1 + curvature * along)
        step = self._zeros()
        step[_ITSELF, :m], step[_SCORES, :m] = self._first * itself, self._first * image
        step[_ITSELF, _MULTIPLE, 0] = self._first * eta
        step[_ITSELF, _BIASES] = self._first**0.5 / curvature * gradient[_ITSELF, _BIASES]
        return step

    def parameters(self, found: Array) -> Array:
        """Weights and biases (K, n + 1), of scaled features."""
        cost = self._cost
        beta, eta = found[_ITSELF, : cost.X.shape[0]], found[_ITSELF, _MULTIPLE, 0]
        sums = cost.X.T @ beta - np.outer(cost.offset, beta.sum(axis=0))
        weights = sums.T / (cost.scale * cost.l2) + eta * self._initial[:, :-1]
        return np.column_stack([weights, found[_ITSELF, _BIASES]])

    def _zeros(self) -> Array:
        return np.zeros((3, self._cost.X.shape[0] + 3, self._cost.n_scores))

    def _gram_times(self, gamma: Array, eta: float) -> tuple[Array, float]:
        """X' F X'^T gamma, and the largest element of X'^T gamma and so much of the first weights' penalty."""
        K = gamma.shape[1]
        self._space.given[:, :K] = gamma
        space = self._space
        run(gram_times, self._members, self._columns, self._features, self._cost.labels, gamma.sum(axis=0), eta, space)
        return space.out.sum(axis=0)[:, :K] - space.common.sum(axis=0), float(space.largest.max())


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
