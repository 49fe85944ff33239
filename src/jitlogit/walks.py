"""Sums over all rows for given parameters: one class for each way in which rows are held and classes are told apart."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._team import members_for, share
from .kernels.classes import class_work_space
from .kernels.labels import Weighted
from .kernels.plan import class_plan, plan, work_space
from .kernels.sparse_whole import sparse_curvature_times, sparse_losses, sparse_whole_space
from .kernels.sparse_work import COST, sparse_chunks
from .kernels.whole import class_curvature_times, class_losses, curvature_times, losses
from .validation import Array, as_rows, computed_dtype, is_sparse


class Walk:
    """Sums (K, n + 2) over the rows of x r, of r, and of the losses, K 1 for two classes.

    Weights (K, n) and biases (K,) belong to features as they are stored.
    """

    def losses(self, weights: Array, bias: Array) -> Array:
        """Of residuals r = A - Y."""
        raise NotImplementedError

    def curvature_times(self, p: Array, counts: Array, weights: Array, bias: Array) -> Array:
        """The losses' Hessian times weights and biases, of probabilities (m, K) and weights of the rows (m,)."""
        raise NotImplementedError


def make_walk(
    X: Any, labels: Array, n_classes: int | None, sample_weight: Array | None, offset: Array, n_threads: int | None
) -> Walk:
    """Begin. The dense ones compute with weights as rounded to the data's precision, and correct for what that does to
    the means `offset` of the features."""
    given = labels if sample_weight is None else Weighted(labels, sample_weight)
    if is_sparse(X):
        return _SparseWalk(X, given, n_classes or 1, n_threads)
    if n_classes is None:
        return _BinaryWalk(X, given, offset, n_threads)
    return _ClassWalk(X, given, n_classes, offset, n_threads)


class _BinaryWalk(Walk):
    def __init__(self, X: Array, labels: Any, offset: Array, n_threads: int | None) -> None:
        n, cut = X.shape[1], plan(X.shape[0], X, ruled=True)
        self._rows, self._labels, self._offset, self._tile_rows = as_rows(X), labels, offset, cut.tile_rows
        self._members = members_for(n_threads, cut.n_chunks, X.nbytes)
        self._work = work_space(cut._replace(n_chunks=1), n, computed_dtype(X), self._members)
        self._sums = np.zeros((cut.n_chunks, n + 2))

    def losses(self, weights: Array, bias: Array) -> Array:
        return self._run(losses, self._labels, weights, bias)

    def curvature_times(self, p: Array, counts: Array, weights: Array, bias: Array) -> Array:
        return self._run(curvature_times, counts * (p * (1 - p))[:, 0], weights, bias)

    def _run(self, kernel: Any, of_rows: Any, weights: Array, bias: Array) -> Array:
        typed, n = self._work.weights[0], weights.shape[1]
        typed[:n] = weights[0]
        given = float(bias[0] + (weights[0] - typed[:n]) @ self._offset)
        n_chunks = self._sums.shape[0]
        arguments = self._rows, of_rows, self._tile_rows, typed, given, self._work, n_chunks, self._sums
        share(kernel, self._members, n_chunks, *arguments)
        return np.asarray(self._sums.sum(axis=0, keepdims=True))


class _ClassWalk(Walk):
    def __init__(self, X: Array, labels: Any, n_classes: int, offset: Array, n_threads: int | None) -> None:
        n, cut = X.shape[1], class_plan(X.shape[0], X, n_classes, shuffled=False)
        self._rows, self._labels, self._offset, self._tile_rows = as_rows(X), labels, offset, cut.tile_rows
        self._members = members_for(n_threads, cut.n_chunks, X.nbytes * n_classes)
        self._work = class_work_space(n_classes, cut.tile_rows, 1, n, computed_dtype(X), self._members)
        self._sums = np.zeros((cut.n_chunks, n_classes, n + 2))

    def losses(self, weights: Array, bias: Array) -> Array:
        return self._run(class_losses, (self._labels,), weights, bias)

    def curvature_times(self, p: Array, counts: Array, weights: Array, bias: Array) -> Array:
        return self._run(class_curvature_times, (p, counts), weights, bias)

    def _run(self, kernel: Any, of_rows: tuple[Any, ...], weights: Array, bias: Array) -> Array:
        typed, given, n = self._work.weights, self._work.bias, weights.shape[1]
        typed[:, :n] = weights
        given[:, 0] = bias + (weights - typed[:, :n]) @ self._offset
        n_chunks = self._sums.shape[0]
        arguments = self._rows, *of_rows, self._tile_rows, typed, given, self._work, n_chunks, self._sums
        share(kernel, self._members, n_chunks, *arguments)
        return np.asarray(self._sums.sum(axis=0))


class _SparseWalk(Walk):
    def __init__(self, X: Any, labels: Any, n_scores: int, n_threads: int | None) -> None:
        self._rows, self._labels = as_rows(X), labels
        self._n_chunks = sparse_chunks(X.nnz, X.shape[1], n_scores)
        self._members = members_for(n_threads, self._n_chunks, X.data.nbytes * n_scores * COST)
        self._work = sparse_whole_space(X.shape[1], n_scores, self._n_chunks, self._members)

    def losses(self, weights: Array, bias: Array) -> Array:
        return self._run(sparse_losses, (self._labels,), weights, bias)

    def curvature_times(self, p: Array, counts: Array, weights: Array, bias: Array) -> Array:
        return self._run(sparse_curvature_times, (p, counts), weights, bias)

    def _run(self, kernel: Any, of_rows: tuple[Any, ...], weights: Array, bias: Array) -> Array:
        self._work.weights[:] = weights.T
        self._work.bias[:] = bias
        share(kernel, self._members, self._n_chunks, self._rows, *of_rows, self._work, self._n_chunks)
        return np.ascontiguousarray(self._work.sums.sum(axis=0).T)
