"""As `whole`, of sparse rows: sums over all rows for given parameters, from one read of X, in double precision."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._jit import inline, kernel
from .plan import LINE_BYTES, PADDING, on_lines
from .sparse_rows import residuals

# Rows that are scored before residuals are made of the scores, whole lanes at once.
_TILE_ROWS = 16


class SparseWholeSpace(NamedTuple):
    """Arrays that the kernels work in. K: classes, 1 for labels 0 and 1."""

    weights: NDArray[np.float64]  # (n, K)
    bias: NDArray[np.float64]  # (K,)
    scores: NDArray[np.float64]  # (members, K, up to whole lines) of a row
    tiles: NDArray[np.float64]  # (members, K + 2, tile_rows + PADDING), see `sparse_rows.residuals`
    sums: NDArray[np.float64]  # (n_chunks, n + 2, K) of x r and of r; the losses, with the first class


def sparse_whole_space(n_features: int, n_scores: int, n_chunks: int, members: int) -> SparseWholeSpace:
    """Make the arrays; parameters are zeros."""
    room = -(-n_scores // (LINE_BYTES // 8)) * (LINE_BYTES // 8)
    return SparseWholeSpace(
        np.zeros((n_features, n_scores)),
        np.zeros(n_scores),
        on_lines((members, room), np.dtype(np.float64)),
        on_lines((members, n_scores + 2, _TILE_ROWS + PADDING), np.dtype(np.float64)),
        np.zeros((n_chunks, n_features + 2, n_scores)),
    )


@inline
def _score(rows, i, weights, bias, out_z):
    """x . weights + bias of row i into out_z (K,)."""
    n_scores = weights.shape[1]
    begin, end = np.int64(rows.indptr[i]), np.int64(rows.indptr[i + 1])
    if n_scores == 1:
        z = bias[0]
        for p in range(begin, end):
            z += np.float64(rows.data[p]) * weights[np.uint64(rows.indices[p]), 0]
        out_z[0] = z
        return
    for k in range(n_scores):
        out_z[k] = bias[k]
    for p in range(begin, end):
        x, weight = np.float64(rows.data[p]), weights[np.uint64(rows.indices[p])]
        for k in range(n_scores):
            out_z[k] += x * weight[k]


@inline
def _add(rows, i, r, sums):
    """Add x r and r of row i to sums (n + 2, K)."""
    n_scores, n_features = sums.shape[1], sums.shape[0] - 2
    begin, end = np.int64(rows.indptr[i]), np.int64(rows.indptr[i + 1])
    if n_scores == 1:
        for p in range(begin, end):
            sums[np.uint64(rows.indices[p]), 0] += np.float64(rows.data[p]) * r[0]
    else:
        for p in range(begin, end):
            x, total = np.float64(rows.data[p]), sums[np.uint64(rows.indices[p])]
            for k in range(n_scores):
                total[k] += x * r[k]
    for k in range(n_scores):
        sums[n_features, k] += r[k]


@kernel
def sparse_losses(rows, labels, work, n_chunks, part, first_chunk, stop_chunk):
    """Sums over the rows of x (A - Y), of A - Y and of the losses, chunk by chunk, into the sums of `work`."""
    (n_features, n_scores), m = work.weights.shape, rows.indptr.size - 1
    z, tile = work.scores[part, :n_scores], work.tiles[part]
    for c in range(first_chunk, stop_chunk):
        sums = work.sums[c]
        sums[:] = 0.0
        stop = m * (c + 1) // n_chunks
        for first in range(m * c // n_chunks, stop, _TILE_ROWS):
            count = min(_TILE_ROWS, stop - first)
            for t in range(count):
                _score(rows, first + t, work.weights, work.bias, z)
                for k in range(n_scores):
                    tile[k, t] = z[k]
            sums[n_features + 1, 0] += residuals(labels, None, first, count, True, tile)
            for t in range(count):
                for k in range(n_scores):
                    z[k] = tile[k, t]
                _add(rows, first + t, z, sums)


@kernel
def sparse_curvature_times(rows, probabilities, counts, work, n_chunks, part, first_chunk, stop_chunk):
    """The Hessian of the losses times the weights and biases of `work`, chunk by chunk, into its sums; of
    probabilities (m, K) and weights of the rows (m,)."""
    n_scores, m = work.weights.shape[1], rows.indptr.size - 1
    z = work.scores[part, :n_scores]
    for c in range(first_chunk, stop_chunk):
        sums = work.sums[c]
        sums[:] = 0.0
        for i in range(m * c // n_chunks, m * (c + 1) // n_chunks):
            _score(rows, i, work.weights, work.bias, z)
            p, count, mean = probabilities[i], np.float64(counts[i]), 0.0
            if n_scores == 1:
                mean = p[0] * z[0]
            else:
                for k in range(n_scores):
                    mean += p[k] * z[k]
            for k in range(n_scores):
                z[k] = count * p[k] * (z[k] - mean)
            _add(rows, i, z, sums)
