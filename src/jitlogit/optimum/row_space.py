"""The penalised cost of wide data as a function of one number per row, not of one per feature.

Gradient descent in the metric of the penalty keeps the weights a sum over the rows,  w = F X'^T beta,  F the inverse of
the penalty (Kimeldorf and Wahba, "Some results on Tchebycheffian spline functions", 1971). With many more features than
rows, the search then works on much shorter arrays. It needs products of parameters and gradients only,
beta^T (X' F X'^T gamma). Parameters and gradients are therefore kept together with their products with X', so that each
gradient reads X once.

Of dense rows the Gram matrix is kept, and steps are Newton's: they factorise (m, m) matrices.

From initial weights W on, weights are  w = F X'^T beta + eta W,  and gradients  F X'^T gamma + eta W.
"""

from __future__ import annotations

import contextlib

import numpy as np

from ..data.prediction import losses_of, probabilities_of
from ..data.scaling import raw_parameters, scaled_gradient
from ..data.validation import Array, is_sparse
from .cost import Cost
from .row_products import DenseGram, RowHessian, SparseGram

# Least ratio of features to rows for which this pays with sparse rows (Zen 4, two cores).
_WIDE = 4
# Most lengths that are tried along a step, largest factor between two of them, and relative change that ends this: by
# judgement, not tuned.
_MOST_LENGTHS, _LENGTHS, _SAME_LENGTH = 6, 4, 0.05
# First index of the arrays. Second index: places after the m rows, for biases, eta and the gradient's norm.
_ITSELF, _GRADIENT, _SCORES = 0, 1, 2
_BIASES, _MULTIPLE, _SIZE = -3, -2, -1


def is_wide(cost: Cost) -> bool:
    """Whether the minimum is found faster in the space of the rows."""
    m, n = cost.X.shape
    return n > (_WIDE if is_sparse(cost.X) else 1) * m and bool(cost.l2.all())


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
        self._hessian: RowHessian | None = None
        self._weights = np.ones(cost.X.shape[0]) if cost.sample_weight is None else cost.sample_weight
        self._first = 0.0  # factor of the first approximation of the inverse Hessian; 0 until there is a gradient
        weights, self._begun = initial[:, :-1], bool(initial[:, :-1].any())
        penalised = None
        if self._begun:
            penalised = np.ascontiguousarray((cost.l2 * weights).T)
            cost.passes += 1
            raw, bias = raw_parameters(weights, 0.0, cost.offset, cost.scale)
            self._scores_begun = cost.X @ raw.T + bias
            self._squared = float(np.vdot(penalised.T, weights))
        self.gram = (SparseGram if is_sparse(cost.X) else DenseGram)(cost, penalised)

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
        gradient[_ITSELF, :m], largest = self.gram.times(gamma, eta)
        if self._begun:
            gradient[_ITSELF, :m] += eta * self._scores_begun
            gradient[_ITSELF, _MULTIPLE, 0] = float(np.vdot(self._scores_begun, gamma)) + eta * self._squared
        if cost.fit_intercept:
            gradient[_ITSELF, _BIASES] = residuals.mean(axis=0)
        gradient[_GRADIENT, _SIZE] = max(largest, np.abs(gradient[_ITSELF, _BIASES]).max())
        return loss / m + self._product(parameters, parameters) / 2, gradient

    def size(self, gradient: Array) -> float:
        """Largest element of the gradient by weights of scaled features, and biases."""
        return float(gradient[_GRADIENT, _SIZE, 0])

    def at(self, parameters: Array, _gradient: Array) -> None:
        """Take the Hessian here, if there is a Gram matrix; the one before stays where it can't be computed."""
        if isinstance(self.gram, DenseGram):
            m = self._cost.X.shape[0]
            p = probabilities_of(parameters[_SCORES, :m] + parameters[_ITSELF, _BIASES])
            with contextlib.suppress(np.linalg.LinAlgError):
                self._hessian = RowHessian(self.gram.matrix, p, self._weights / m)

    def solve(self, gradient: Array) -> Array:
        """Product of the approximate inverse Hessian and a gradient; the step's scores come with it."""
        if self._hessian is None or not isinstance(self.gram, DenseGram):
            return self._first_step(gradient)
        m, eta, step = self._cost.X.shape[0], gradient[_GRADIENT, _MULTIPLE, 0], self._zeros()
        change = self._hessian.times(gradient[_ITSELF, :m])
        if self._cost.fit_intercept:
            biases = self._hessian.biases(gradient[_ITSELF, _BIASES] - change.sum(axis=0))
            change += self._hessian.times(np.broadcast_to(biases, change.shape))
            step[_ITSELF, _BIASES] = biases
        step[_ITSELF, :m] = gradient[_GRADIENT, :m] - change
        step[_ITSELF, _MULTIPLE, 0] = eta
        step[_SCORES, :m] = self.gram.matrix @ step[_ITSELF, :m]
        if self._begun:
            step[_SCORES, :m] += eta * self._scores_begun
        return step

    def length(self, parameters: Array, direction: Array) -> float:
        """Length of the step that minimises the cost along the direction, nearly: by Newton's method for one number.

        It reads arrays of m rows only. Where the penalty is weak, losses are like exponentials. Newton's steps are then
        too short by far, and these lengths save up to three in four of them.
        """
        cost, m = self._cost, self._cost.X.shape[0]
        scores, change = (each[_SCORES, :m] + each[_ITSELF, _BIASES] for each in (parameters, direction))
        labels = cost.labels[:m]
        of_labels = labels * change[:, 0] if cost.n_scores == 1 else change[np.arange(m), labels]
        slope, curvature = self._product(parameters, direction), self._product(direction, direction)
        length = 1.0
        for _ in range(_MOST_LENGTHS):
            p = probabilities_of(scores + length * change)
            means, squares = (p * change).sum(axis=1), (p * change**2).sum(axis=1)
            first = float(self._weights @ (means - of_labels)) / m + slope + length * curvature
            second = float(self._weights @ (squares - means**2)) / m + curvature
            if not second > 0:
                break
            before, length = length, min(max(length - first / second, length / _LENGTHS), length * _LENGTHS)
            if abs(length - before) <= _SAME_LENGTH * before:
                break
        return length

    def _first_step(self, gradient: Array) -> Array:
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
        sums = (cost.X.T @ beta).T
        scaled_gradient(sums, beta.sum(axis=0)[:, np.newaxis], cost.offset, cost.scale)
        weights = sums / cost.l2 + eta * self._initial[:, :-1]
        return np.column_stack([weights, found[_ITSELF, _BIASES]])

    def _product(self, one: Array, other: Array) -> float:
        """Product of two arrays of parameters, as weights, in the metric of the penalty."""
        m = self._cost.X.shape[0]
        product = float(np.vdot(one[_ITSELF, :m], other[_SCORES, :m]))
        if self._begun:
            eta, of_other = one[_ITSELF, _MULTIPLE, 0], other[_ITSELF, _MULTIPLE, 0]
            product += eta * (float(np.vdot(self._scores_begun, other[_ITSELF, :m])) + of_other * self._squared)
        return product

    def _zeros(self) -> Array:
        return np.zeros((3, self._cost.X.shape[0] + 3, self._cost.n_scores))


def _losses(scores: Array, labels: Array, weights: Array | None) -> tuple[float, Array]:
    """Sum of the weighted losses, and the weighted residuals A - Y (m, K)."""
    losses, residuals = losses_of(scores, labels), probabilities_of(scores)
    if scores.shape[1] == 1:
        residuals[:, 0] -= labels
    else:
        residuals[np.arange(len(scores)), labels] -= 1
    if weights is None:
        return float(losses.sum()), residuals
    return float(weights @ losses), residuals * weights[:, np.newaxis]
