"""The penalised cost of wide sparse data as a function of one number per row, not of one per feature.

Gradient descent in the metric of the penalty keeps the weights a sum over the rows,  w = F X'^T beta,  F the inverse of
the penalty (Kimeldorf and Wahba, "Some results on Tchebycheffian spline functions", 1971). With many more features than
rows, L-BFGS then works on much shorter arrays. It needs products of parameters and gradients only,
beta^T (X' F X'^T gamma). Parameters and gradients are therefore kept together with their products with X', so that each
gradient reads X once.

From initial weights W on, weights are  w = F X'^T beta + eta W,  and gradients  F X'^T gamma + eta W.
"""

from __future__ import annotations

import numpy as np

from ..compiler.threads import members_for, run
from ..data.prediction import losses_of, probabilities_of
from ..data.validation import Array, is_sparse
from ..kernels.passes.gram import GramFeatures, GramSpace, gram_times
from ..kernels.simd.arrays import on_lines
from ..kernels.storage.sparse_work import COST, padded_classes, sparse_chunks
from .cost import Cost
from .passes import by_columns

# Least ratio of features to rows for which this pays (Zen 4, two cores).
_WIDE = 4
# First index of the arrays. Second index: places after the m rows, for biases, eta and the gradient's norm.
_ITSELF, _GRADIENT, _SCORES = 0, 1, 2
_BIASES, _MULTIPLE, _SIZE = -3, -2, -1


def is_wide(cost: Cost) -> bool:
    """Whether the minimum is found faster in the space of the rows."""
    m, n = cost.X.shape
    return is_sparse(cost.X) and n > _WIDE * m and bool(cost.l2.all())


class RowSpace:
    """A cost as `lbfgs.minimise` takes it.

    Parameters and gradients are arrays (3, m + 3, K). Adding two of them adds what they stand for. The dot product of
    parameters and a gradient equals that of weights and biases with their gradient.

    - Parameters: beta, the biases, and eta (in the first column) in `_ITSELF`; scores without biases in `_SCORES`.
    - Gradients: products with the rows (m, K) and with the initial weights, and the biases' gradient in `_ITSELF`;
      gamma, eta and the norm in `_GRADIENT`.
    """

    def __init__(self, cost: Cost, initial: Array) -> None:
        """Begin at `initial` (K, n + 1), for scaled features."""
        self._cost, self._initial = cost, initial
        m, K, room = cost.X.shape[0], cost.n_scores, padded_classes(cost.n_scores)
        n_chunks = sparse_chunks(cost.X.nnz, m, K)
        self._columns, bounds = by_columns(cost.X, n_chunks)
        self._members = members_for(cost.n_threads, n_chunks, cost.X.data.nbytes * K * COST)
        shapes = (m, room), (self._members, room), (n_chunks, m, room)
        given, rows, out = (on_lines(shape, np.dtype(np.float64)) for shape in shapes)
        self._space = GramSpace(given, rows, out, np.zeros((n_chunks, K)), np.zeros(n_chunks))
        self._first = 0.0  # factor of the first approximation of the inverse Hessian; 0 until there is a gradient
        weights, self._begun = initial[:, :-1], bool(initial[:, :-1].any())
        penalised: Array = np.zeros((0, K))
        if self._begun:
            penalised = np.ascontiguousarray((cost.l2 * weights).T)
            cost.passes += 1
            self._scores_begun = cost.X @ (weights * cost.inverse_scale).T - weights @ (cost.offset / cost.scale)
            self._squared = float(np.vdot(penalised.T, weights))
        factors = cost.inverse_scale**2 / cost.l2
        self._features = GramFeatures(bounds, cost.offset, cost.inverse_scale, factors, penalised)

    def begin(self) -> Array:
        """The initial parameters, (3, m + 3, K)."""
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
        """The gradient over the curvature along the first gradient; that of the biases over its square root.

        In the metric of the penalty, weights have curvatures from 1 up. That along the first gradient is near the
        largest if initial weights are zero. The curvature of biases is assumed to lie between 1 and that.
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
        """Weights and biases (K, n + 1) of scaled features."""
        cost = self._cost
        beta, eta = found[_ITSELF, : cost.X.shape[0]], found[_ITSELF, _MULTIPLE, 0]
        sums = cost.X.T @ beta - np.outer(cost.offset, beta.sum(axis=0))
        weights = sums.T / (cost.scale * cost.l2) + eta * self._initial[:, :-1]
        return np.column_stack([weights, found[_ITSELF, _BIASES]])

    def _zeros(self) -> Array:
        return np.zeros((3, self._cost.X.shape[0] + 3, self._cost.n_scores))

    def _gram_times(self, gamma: Array, eta: float) -> tuple[Array, float]:
        """X' F X'^T gamma, and the largest element of X'^T gamma plus eta times the penalty's gradient at W."""
        K = gamma.shape[1]
        space = self._space
        space.given[:, :K] = gamma
        run(gram_times, self._members, self._columns, self._features, self._cost.labels, gamma.sum(axis=0), eta, space)
        return space.out.sum(axis=0)[:, :K] - space.common.sum(axis=0), float(space.largest.max())


def _losses(scores: Array, labels: Array, weights: Array | None) -> tuple[float, Array]:
    """Sum of the weighted losses, and the weighted residuals A - Y (m, K)."""
    residuals = probabilities_of(scores)
    if scores.shape[1] == 1:
        losses = losses_of(scores[:, 0], labels)
        residuals[:, 0] -= labels
    else:
        losses = losses_of(scores, labels)
        residuals[np.arange(len(scores)), labels] -= 1
    if weights is None:
        return float(losses.sum()), residuals
    return float(weights @ losses), residuals * weights[:, np.newaxis]
