"""Newton's steps in the space of the rows, from the Gram matrix G of the rows and the curvatures of the losses."""

from __future__ import annotations

import numpy as np
from scipy.linalg.lapack import dpotrf, dpotri, dpotrs

from ..data.validation import Array

_LEAST = 1e-30  # curvature by a score; of zeros, no bias could be computed


class RowHessian:
    """The exact Hessian for probabilities (m, K), by Cholesky factors of (m, m) matrices.

    With curvatures W of the mean loss by the scores, it multiplies by  P = (G + W^-1)^-1.  One class has the factor of
    I + W^1/2 G W^1/2,  whose eigenvalues are 1 at least. For more classes, the matrices of single classes and their sum
    are factorised (Rasmussen and Williams, "Gaussian processes for machine learning", 2006, algorithms 3.1 and 3.3).
    """

    def __init__(self, gram: Array, probabilities: Array, weights: Array) -> None:
        """The weights (m,) of the rows are divided by m; raises LinAlgError if rounding makes a matrix indefinite."""
        (m, K), p = probabilities.shape, probabilities
        curvatures = np.maximum((p if K > 1 else p * (1 - p)) * weights[:, np.newaxis], _LEAST)
        self._roots, self._factors = np.sqrt(curvatures), np.empty((K, m, m))
        self._of_sum = np.zeros((m, m)) if K > 1 else None
        for k, matrix in enumerate(self._factors):
            roots = self._roots[:, k]
            np.multiply(gram, roots, out=matrix)
            matrix *= roots[:, np.newaxis]
            matrix[np.diag_indices(m)] += 1
            _factorise(matrix)
            if self._of_sum is not None:
                inverse = dpotri(matrix.T)[0].T
                inverse *= roots
                inverse *= roots[:, np.newaxis]
                self._of_sum += inverse
        of_ones = np.column_stack([self._single(k, np.ones(m)) for k in range(K)])
        self._of_biases = np.diag(of_ones.sum(axis=0))
        if self._of_sum is not None:
            _factorise(self._of_sum)
            self._of_biases -= of_ones.T @ dpotrs(self._of_sum.T, of_ones)[0]
            self._of_biases += np.trace(self._of_biases) / K  # equal changes of all biases change nothing

    def times(self, image: Array) -> Array:
        """P times (m, K)."""
        K = image.shape[1]
        product = np.column_stack([self._single(k, image[:, k]) for k in range(K)])
        if self._of_sum is not None:
            common = dpotrs(self._of_sum.T, product.sum(axis=1))[0]
            product -= np.column_stack([self._single(k, common) for k in range(K)])
        return product

    def biases(self, sums: Array) -> Array:
        """The biases (K,) for which the sums over the rows of P times them are as given."""
        return np.asarray(np.linalg.solve(self._of_biases, sums))

    def _single(self, k: int, values: Array) -> Array:
        """Of one class, for one class alone."""
        roots = self._roots[:, k]
        return np.asarray(roots * dpotrs(self._factors[k].T, roots * values)[0])


def _factorise(matrix: Array) -> None:
    """Replace the lower triangle of a matrix in C order by its Cholesky factor; raises LinAlgError."""
    factor, failed = dpotrf(matrix.T, clean=False, overwrite_a=True)
    if failed:
        raise np.linalg.LinAlgError("not positive definite")
    if not np.shares_memory(factor, matrix):
        matrix[:] = factor.T
