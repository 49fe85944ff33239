"""Scores, probabilities, losses and classes of all rows, in one pass."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from ..compiler.threads import members_for, run
from ..kernels.passes import objective
from ..kernels.simd.arrays import PADDING
from ..kernels.storage.plan import class_plan, plan
from ..kernels.storage.work_spaces import tiles_for
from .validation import Array, as_rows, check_rows, computed_dtype, is_sparse, raise_if_not_finite

_BLOCK_VALUES = 1 << 20  # values of held-out rows that are copied at a time


def forward(
    X: Array, weights: Array, bias: float, out: Array, threshold: float | None, n_threads: int | None = None
) -> None:
    """Fill `out` (m,) from `X` of `check_X` and weights (n,) of its `computed_dtype`.

    An integer `out` gets classes 0 and 1. Another one gets scores if `threshold` is None, else probabilities. Raises
    ValueError if X isn't finite, or a score isn't.
    """
    cut = plan(X.shape[0], X)
    padded = np.zeros(weights.size + PADDING, weights.dtype)
    padded[: weights.size] = weights
    members = members_for(n_threads, cut.n_chunks, X.nbytes)
    tiles = tiles_for(members, cut.block_rows, weights.dtype)
    not_finite = np.zeros(members, np.int64)
    run(objective.forward, members, as_rows(X), padded, bias, tiles, cut.n_chunks, threshold, out, not_finite)
    if not_finite.any():
        raise_if_not_finite(X)
        if out.dtype == np.int64:
            forward(X, weights, bias, np.empty(out.size, weights.dtype), threshold, n_threads)
        elif np.isnan(out).any() or threshold is None:
            raise ValueError("the scores overflow: scale the features of X, or check the weights")


def scores_of(X: Any, coef: Array, intercept: Array, n_threads: int | None = None) -> Array:
    """Scores of rows `X` of `check_rows`, in their `computed_dtype`: (m,) for coef (1, n), (m, K) for coef (K, n).

    Raises ValueError if X isn't finite, or a score isn't.
    """
    dtype = computed_dtype(X)
    if is_sparse(X):
        with np.errstate(over="ignore", invalid="ignore"):
            scores: Array = np.asarray(X @ coef.T.astype(dtype)) + intercept.astype(dtype)
        if not np.isfinite(scores).all():
            _raise_for_scores(X)
        return scores[:, 0] if coef.shape[0] == 1 else scores
    if coef.shape[0] == 1:
        scores = np.empty(X.shape[0], dtype)
        forward(X, coef[0].astype(dtype), float(intercept[0]), scores, None, n_threads)
        return scores
    n_classes, n = coef.shape
    cut = class_plan(X.shape[0], X, n_classes, shuffled=False)
    weights = np.zeros((n_classes, n + PADDING), dtype)
    weights[:, :n] = coef
    members = members_for(n_threads, cut.n_chunks, X.nbytes * n_classes)
    tiles = np.empty((members, n_classes, cut.tiles.rows + PADDING), dtype)
    scores = np.empty((X.shape[0], n_classes), dtype)
    bias = intercept.astype(np.float64).reshape(-1, 1)
    bad = np.zeros(members, np.int64)
    run(objective.class_scores, members, as_rows(X), weights, bias, tiles, cut.n_chunks, scores, bad)
    if bad.any():
        _raise_for_scores(X)
    return scores


def _raise_for_scores(X: Any) -> None:
    raise_if_not_finite(X)
    raise ValueError("the scores overflow: scale the features of X, or check the weights")


class SomeRows(NamedTuple):
    """Chosen rows of X, and their labels 0 ... K - 1."""

    X: Any
    labels: Array
    chosen: Array | None = None  # indices of rows; None for all

    def blocks(self) -> Iterator[tuple[Any, Array]]:
        """Yield rows and labels; chosen rows are copied block by block, to save memory."""
        if self.chosen is None:
            yield self.X, self.labels
            return
        step = max(1, _BLOCK_VALUES // self.X.shape[1])
        for start in range(0, self.chosen.size, step):
            part = slice(start, start + step)
            yield check_rows(self.X[self.chosen[part]]), self.labels[part]


def mean_loss_and_accuracy(
    rows: SomeRows, coef: Array, intercept: Array, n_threads: int | None = None
) -> tuple[float, float]:
    """Mean loss, in nats, and the fraction of the rows whose class is predicted."""
    total, right = 0.0, 0
    for X, labels in rows.blocks():
        scores = scores_of(X, coef, intercept, n_threads)
        predicted = scores > 0 if scores.ndim == 1 else scores.argmax(axis=1)
        right += int(np.sum(predicted == labels))
        total += float(losses_of(scores, labels).sum(dtype=np.float64))
    return total / rows.labels.size, right / rows.labels.size


@np.errstate(under="ignore")
def losses_of(scores: Array, labels: Array) -> Array:
    """Losses (m,), in nats, from scores (m,), (m, 1) or (m, K) and labels (m,) of 0 ... K - 1."""
    if scores.size == labels.size:
        scores = scores.reshape(-1)
        return np.asarray(np.logaddexp(0, np.where(labels == 1, -scores, scores)))
    shifted, e = _exponentials(scores)
    return np.asarray(np.log(e.sum(axis=1)) - shifted[np.arange(labels.size), labels.astype(np.intp)])


@np.errstate(under="ignore")
def probabilities_of(scores: Array) -> Array:
    """Probabilities from scores, both (m, K): softmax, for K = 1 sigmoid."""
    if scores.shape[1] == 1:
        e = np.exp(-np.abs(scores))
        return np.asarray(np.where(scores >= 0, 1, e) / (1 + e))
    e = _exponentials(scores)[1]
    return np.asarray(e / e.sum(axis=1, keepdims=True))


@np.errstate(under="ignore")
def log_probabilities_of(scores: Array) -> Array:
    """Logarithms (m, K) of the probabilities of K classes, from scores (m, K), or (m,) for two classes."""
    if scores.ndim == 1:
        return np.asarray(-np.column_stack([np.logaddexp(0, scores), np.logaddexp(0, -scores)]))
    shifted, e = _exponentials(scores)
    return np.asarray(shifted - np.log(e.sum(axis=1, keepdims=True)))


def _exponentials(scores: Array) -> tuple[Array, Array]:
    """Scores (m, K) less the row's largest, so that nothing overflows, and their exponentials."""
    shifted = scores - scores.max(axis=1, keepdims=True)
    return shifted, np.exp(shifted)
