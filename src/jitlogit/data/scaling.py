"""Scaled features x' = (x - offset) / scale, and what follows for parameters, gradients and products with rows.

Kernels, which can't call NumPy, do the same in `steps.update` and `passes.hessian_sums`.

Scores x' . w' + b' equal the scores of x with the raw weights w'/scale and the raw bias b' - offset . w'/scale.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .validation import Array, is_sparse, widened


def scaled_features(X: Array, offset: Array, scale: Array) -> Array:
    """A scaled copy of dense rows (m, n); it is of X's dtype if offset and scale are."""
    return np.asarray((X - offset) / scale)


def scaled_parameters(weights: Array, bias: Array, offset: Array, scale: Array) -> Array:
    """Parameters (K, n + 1) of the scaled features, in float64, from raw weights (K, n) and biases (K,)."""
    parameters = np.empty((len(weights), offset.size + 1))
    np.multiply(weights, scale, out=parameters[:, :-1])
    parameters[:, -1] = bias + weights @ offset
    return parameters


def raw_parameters(weights: Array, bias: Array | float, offset: Array, scale: Array) -> tuple[Array, Array]:
    """Raw weights (K, n) and biases (K,), in float64, from those of scaled features; or (n,) and a number."""
    raw = weights * (1 / scale)  # kernels multiply, too, so that both round alike
    return raw, bias - raw @ offset


def scaled_gradient(of_weights: Array, of_bias: Array, offset: Array, scale: Array) -> Array:
    """Turn the gradient by raw weights, in place, into that by weights of the scaled features.

    Gradients by weights and by biases are (K, n) and (K, 1), or (n,) and a number.
    """
    of_weights -= offset * of_bias
    of_weights *= 1 / scale
    return of_weights


class ScaledRows:
    """Scaled rows as a linear operator in float64; sparse rows stay sparse.

    Products are made without BLAS: some hundred rows don't gain by its threads, whose waking takes milliseconds.
    """

    def __init__(self, X: Any, offset: Array, scale: Array) -> None:
        self._sparse = is_sparse(X)
        self._rows: Any = (X if self._sparse else widened(X)).astype(np.float64)
        if not self._sparse:
            if offset.any() or (scale != 1).any():
                self._rows -= offset  # in place: new memory takes longer to come by than to compute with
                self._rows /= scale
            offset, scale = np.zeros(offset.size), np.ones(scale.size)
        self._scaling = offset, scale
        self.n_features = X.shape[1]

    def times(self, vector: Array) -> Array:
        """x' . vector of each row, (m,)."""
        weights, bias = raw_parameters(vector, 0.0, *self._scaling)
        products = self._rows @ weights if self._sparse else np.einsum("ij,j->i", self._rows, weights)
        return np.asarray(products + bias)

    def transposed_times(self, values: Array) -> Array:
        """Sum over the rows of values[i] x'_i, (n,)."""
        products = self._rows.T @ values if self._sparse else np.einsum("ij,i->j", self._rows, values)
        return scaled_gradient(products, values.sum(), *self._scaling)

    def squares(self) -> Array:
        """Squared length of each row, (m,)."""
        if not self._sparse:
            return np.asarray(np.einsum("ij,ij->i", self._rows, self._rows))
        offset, scale = self._scaling
        inverse = 1 / scale**2
        crossed = self._rows @ (offset * inverse)
        return np.asarray(self._rows.power(2) @ inverse - 2 * crossed + np.sum(offset**2 * inverse))
