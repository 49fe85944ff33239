"""Products with the Gram matrix of the rows,  X' F X'^T:  of sparse rows from X itself, of dense rows from the matrix.

F is the inverse of the penalty, and X' are the scaled features.
"""

from __future__ import annotations

import numpy as np

from ..compiler.threads import members_for, run
from ..data.validation import Array, widened
from ..kernels.passes.gram import GramFeatures, GramSpace, gram_times
from ..kernels.simd.arrays import on_lines
from ..kernels.storage.sparse_work import COST, room_for_classes, sparse_chunks
from .cost import Cost
from .passes import by_columns

# Values of X that are scaled at a time: their copy in float64 takes 8 MB.
_BLOCK_VALUES = 1_000_000


class SparseGram:
    """Products that read X. A Gram matrix would take far more room than sparse rows."""

    def __init__(self, cost: Cost, penalised: Array) -> None:
        """Gradients are added to multiples of `penalised`, (n, K) or empty."""
        m, K, room = cost.X.shape[0], cost.n_scores, room_for_classes(cost.n_scores)
        n_chunks = sparse_chunks(cost.X.nnz, m, K)
        self._columns, bounds = by_columns(cost.X, n_chunks)
        self._members = members_for(cost.n_threads, n_chunks, cost.X.data.nbytes * K * COST)
        shapes = (m, room), (self._members, room), (n_chunks, m, room)
        given, rows, out = (on_lines(shape, np.dtype(np.float64)) for shape in shapes)
        self._space = GramSpace(given, rows, out, np.zeros((n_chunks, K)), np.zeros(n_chunks))
        factors = cost.inverse_scale**2 / cost.l2
        self._features = GramFeatures(bounds, cost.offset, cost.inverse_scale, factors, penalised)
        self._labels = cost.labels

    def times(self, gamma: Array, eta: float) -> tuple[Array, float]:
        """X' F X'^T gamma, and the largest element of  X'^T gamma + eta penalised."""
        K, space = gamma.shape[1], self._space
        space.given[:, :K] = gamma
        run(gram_times, self._members, self._columns, self._features, self._labels, gamma.sum(axis=0), eta, space)
        return space.out.sum(axis=0)[:, :K] - space.common.sum(axis=0), float(space.largest.max())


class DenseGram:
    """Products by the matrix, which is made once and takes (m, m) numbers."""

    def __init__(self, cost: Cost, penalised: Array) -> None:
        self._rows = cost.X if cost.X.dtype in (np.float32, np.float64) else widened(cost.X)
        self._offset, self._inverse_scale, self._penalised = cost.offset, cost.inverse_scale, penalised
        m, n = self._rows.shape
        self.matrix = np.zeros((m, m))
        factors, step = cost.inverse_scale / np.sqrt(cost.l2), max(1, _BLOCK_VALUES // m)
        for start in range(0, n, step):
            part = slice(start, start + step)
            scaled = self._rows[:, part] - cost.offset[part]
            scaled *= factors[part]
            self.matrix += scaled @ scaled.T

    def times(self, gamma: Array, eta: float) -> tuple[Array, float]:
        """X' F X'^T gamma, and the largest element of  X'^T gamma + eta penalised."""
        sums = self._rows.T @ gamma.astype(self._rows.dtype, copy=False) - np.outer(self._offset, gamma.sum(axis=0))
        sums *= self._inverse_scale[:, np.newaxis]
        if self._penalised.size:
            sums += eta * self._penalised
        return self.matrix @ gamma, float(np.abs(sums).max())
