"""Sums over all rows for given parameters, of dense rows and of sparse ones."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..compiler.threads import members_for, run
from ..data.validation import Array, as_rows, computed_dtype, is_sparse
from ..kernels.passes.sparse_whole import sparse_curvature_times, sparse_losses, sparse_whole_space, sums_by_column
from ..kernels.passes.whole import curvature_times, losses
from ..kernels.steps.labels import Weighted
from ..kernels.storage.csr import CSR
from ..kernels.storage.plan import class_plan, plan
from ..kernels.storage.sparse_work import COST, padded_classes, sparse_chunks
from ..kernels.storage.work_spaces import class_work_space, work_space

# Sums of sparse rows that take more bytes miss the cache, and are made by columns (Zen 4, two cores). The copy of X by
# columns takes at most this many times the bytes of the chunks' sums.
_CACHED_BYTES, _MOST_COPIED = 4_000_000, 1


class Passes:
    """Sums (K, n + 2) over the rows of x r, of r, and of the losses; K is 1 for two classes.

    Weights (K, n) and biases (K,) belong to unscaled features.
    """

    _labels: Any
    _kernels: tuple[Any, Any]  # for the two methods
    _types: tuple[Any, ...] = ()  # arguments that the second kernel is compiled for

    def losses(self, weights: Array, bias: Array) -> Array:
        """The sums for residuals r = A - Y."""
        return self._run(self._kernels[0], (self._labels,), weights, bias)

    def curvature_times(self, p: Array, counts: Array, weights: Array, bias: Array) -> Array:
        """The losses' Hessian times weights and biases, by probabilities (m, K) and weights of the rows (m,)."""
        return self._run(self._kernels[1], (*self._types, p, counts), weights, bias)

    def _run(self, kernel: Any, of_rows: tuple[Any, ...], weights: Array, bias: Array) -> Array:
        raise NotImplementedError


def make_passes(
    X: Any, labels: Array, n_classes: int | None, sample_weight: Array | None, offset: Array, n_threads: int | None
) -> Passes:
    """Allocate for rows of X, whose features have means `offset`."""
    given = labels if sample_weight is None else Weighted(labels, sample_weight)
    if is_sparse(X):
        return _SparsePasses(X, given, n_classes or 1, n_threads)
    return _DensePasses(X, given, n_classes, offset, n_threads)


class _DensePasses(Passes):
    """Weights are rounded to the data's precision; the bias makes up for the rounding at the features' means."""

    def __init__(self, X: Array, labels: Any, n_classes: int | None, offset: Array, n_threads: int | None) -> None:
        (m, n), dtype, n_scores = X.shape, computed_dtype(X), n_classes or 1
        cut = plan(m, X, ruled=True) if n_classes is None else class_plan(m, X, n_classes, shuffled=False)
        self._rows, self._labels, self._offset, self._tiles = as_rows(X), labels, offset, cut.tiles
        self._members = members_for(n_threads, cut.n_chunks, X.nbytes * n_scores)
        self._sums = np.zeros((cut.n_chunks, n_scores, n + 2))
        self._kernels = losses, curvature_times
        if n_classes is None:
            self._work: Any = work_space(cut._replace(n_chunks=1), n, dtype, self._members)
        else:
            self._work = class_work_space(n_classes, cut.tiles.rows, self._members, n, dtype, self._members)

    def _run(self, kernel: Any, of_rows: tuple[Any, ...], weights: Array, bias: Array) -> Array:
        n_scores, n = weights.shape
        typed = self._work.weights[:n_scores, :n]
        typed[:] = weights
        self._work.bias[:n_scores, 0] = bias + (weights - typed) @ self._offset
        run(kernel, self._members, self._rows, *of_rows, self._tiles, self._work, self._sums)
        return np.asarray(self._sums.sum(axis=0))


def by_columns(X: Any, n_parts: int) -> tuple[CSR, Array]:
    """A copy of sparse X by columns, and bounds (n_parts + 1,) between parts of equally many values."""
    columns = X.tocsc()
    bounds = np.searchsorted(columns.indptr, np.linspace(0, X.nnz, n_parts + 1)).astype(np.int64)
    bounds[[0, -1]] = 0, X.shape[1]
    return CSR(columns.data, columns.indices, columns.indptr), bounds


class _SparsePasses(Passes):
    def __init__(self, X: Any, labels: Any, n_scores: int, n_threads: int | None) -> None:
        (m, n), padded = X.shape, padded_classes(n_scores)
        self._rows, self._labels, self._types = as_rows(X), labels, (labels,)
        n_chunks = sparse_chunks(X.nnz, n, n_scores)
        self._members = members_for(n_threads, n_chunks, X.data.nbytes * n_scores * COST)
        self._kernels = sparse_losses, sparse_curvature_times
        sums_bytes, copy_bytes = 8 * n * padded, X.nnz * (X.data.itemsize + X.indices.itemsize) + 8 * m * padded
        self._columns: CSR | None = None
        if sums_bytes > _CACHED_BYTES and copy_bytes <= _MOST_COPIED * n_chunks * sums_bytes:
            self._columns, self._bounds = by_columns(X, self._members)
        self._work = sparse_whole_space((m, n), n_scores, n_chunks, self._members, self._columns is not None)

    def _run(self, kernel: Any, of_rows: tuple[Any, ...], weights: Array, bias: Array) -> Array:
        (n_scores, n), work, members = weights.shape, self._work, self._members
        work.weights[:, :n_scores] = weights.T
        work.bias[:] = bias
        run(kernel, members, self._rows, *of_rows, work)
        if self._columns is None:
            return np.ascontiguousarray(work.sums[:, :, :n_scores].sum(axis=0).T)
        sums = np.empty((n_scores, n + 2))
        sums[:, n:] = work.sums[:, :, :n_scores].sum(axis=0).T
        run(sums_by_column, members, self._columns, self._labels, work, self._bounds, sums[:, :n])
        return sums
