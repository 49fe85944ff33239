"""Products with the Gram matrix  G = X' F X'^T  of the rows, and Newton's steps by it.

F is the inverse of the penalty, and X' are the scaled features. Sparse rows have products from X itself.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg.lapack import dpotrf, dpotri, dpotrs

from ..compiler.threads import members_for, run
from ..data.scaling import scaled_features, scaled_gradient
from ..data.validation import Array, widened
from ..kernels.passes.gram import GramFeatures, GramSpace, gram_times
from ..kernels.simd.arrays import on_lines
from ..kernels.storage.sparse_work import COST, padded_classes, sparse_chunks
from .cost import Cost
from .passes import by_columns

# Values of X that are scaled at a time: their copy in float64 takes 8 MB.
_BLOCK_VALUES = 1_000_000
_LEAST = 1e-30  # curvature by a score; of zeros, no bias could be computed


class SparseGram:
    """Products that read X. A Gram matrix would take far more memory than sparse rows."""

    def __init__(self, cost: Cost, penalised: Array | None) -> None:
        """Gradients are added to multiples of `penalised` (n, K), if there is one."""
        m, K, padded = cost.X.shape[0], cost.n_scores, padded_classes(cost.n_scores)
        n_chunks = sparse_chunks(cost.X.nnz, m, K)
        self._columns, bounds = by_columns(cost.X, n_chunks)
        self._members = members_for(cost.n_threads, n_chunks, cost.X.data.nbytes * K * COST)
        shapes = (m, padded), (self._members, padded), (n_chunks, m, padded)
        given, rows, out = (on_lines(shape, np.dtype(np.float64)) for shape in shapes)
        self._space = GramSpace(given, rows, out, np.zeros((n_chunks, K)), np.zeros(n_chunks))
        factors = cost.inverse_scale**2 / cost.l2
        self._features = GramFeatures(
            bounds,
            cost.offset,
            cost.inverse_scale,
            factors,
            penalised is not None,
            np.empty((0, 0)) if penalised is None else penalised,
        )
        self._labels = cost.labels

    def times(self, gamma: Array, eta: float) -> tuple[Array, float]:
        """X' F X'^T gamma, and the largest element of  X'^T gamma + eta penalised."""
        K, space = gamma.shape[1], self._space
        space.given[:, :K] = gamma
        run(gram_times, self._members, self._columns, self._features, self._labels, gamma.sum(axis=0), eta, space)
        return space.out.sum(axis=0)[:, :K] - space.common.sum(axis=0), float(space.largest.max())


class DenseGram:
    """Products by the matrix, which is made once and takes (m, m) numbers."""

    def __init__(self, cost: Cost, penalised: Array | None) -> None:
        self._rows = cost.X if cost.X.dtype in (np.float32, np.float64) else widened(cost.X)
        self._offset, self._scale, self._penalised = cost.offset, cost.scale, penalised
        m, n = self._rows.shape
        self.matrix = np.zeros((m, m))
        scale, step = cost.scale * np.sqrt(cost.l2), max(1, _BLOCK_VALUES // m)
        for start in range(0, n, step):
            part = slice(start, start + step)
            scaled = scaled_features(self._rows[:, part], cost.offset[part], scale[part])
            self.matrix += scaled @ scaled.T

    def times(self, gamma: Array, eta: float) -> tuple[Array, float]:
        """X' F X'^T gamma, and the largest element of  X'^T gamma + eta penalised."""
        sums = (self._rows.T @ gamma.astype(self._rows.dtype, copy=False)).T.astype(np.float64, copy=False)
        scaled_gradient(sums, gamma.sum(axis=0)[:, np.newaxis], self._offset, self._scale)
        if self._penalised is not None:
            sums += eta * self._penalised.T
        return self.matrix @ gamma, float(np.abs(sums).max())


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
