"""As `whole`, for sparse rows: sums over all rows for given parameters, from one read of X, in double precision.

With many features, the sums of a chunk exceed the caches. A first kernel then keeps the rows' residuals, and a second
makes each feature's sum from a copy of X by columns. That copy is smaller than the sums of all chunks.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...compiler.jit import inline, outline, parallel_kernel, prange
from ..simd.arrays import PADDING, on_lines
from ..steps.shares import share_of
from ..storage.csr import add_sparse_row, score_row
from ..storage.sparse_work import padded_classes
from .sparse_rows import residuals

# Rows of a tile, scored before whole lanes of scores become residuals. Lanes of float32 have 16 numbers at most.
_TILE_ROWS = 16


class SparseWholeSpace(NamedTuple):
    """Arrays that the kernels work in. K is 1 for labels 0 and 1, else the number of classes, rounded up to 8."""

    weights: NDArray[np.float64]  # (n, K)
    bias: NDArray[np.float64]  # (K,) not rounded up
    scores: NDArray[np.float64]  # (members, K) of a row
    tiles: NDArray[np.float64]  # (members, K + 2, tile_rows + PADDING), see `sparse_rows.residuals`
    sums: NDArray[np.float64]  # (n_chunks, n + 2 or 2, K) of x r, of r, and of losses (with the first class)
    keeps_residuals: bool  # whether data are wide: `sums` then has no x r, which `sums_by_column` makes from residuals
    residuals: NDArray[np.float64]  # (m, K) of wide data


def sparse_whole_space(
    shape: tuple[int, int], n_scores: int, n_chunks: int, members: int, is_wide: bool
) -> SparseWholeSpace:
    """Make the arrays for rows of a shape (m, n), with zeros for parameters."""
    m, n = shape
    padded, wide = padded_classes(n_scores), np.dtype(np.float64)
    return SparseWholeSpace(
        on_lines((n, padded), wide),
        np.zeros(n_scores),
        on_lines((members, padded), wide),
        on_lines((members, n_scores + 2, _TILE_ROWS + PADDING), wide),
        on_lines((n_chunks, 2 if is_wide else n + 2, padded), wide),
        is_wide,
        on_lines((m if is_wide else 0, padded), wide),
    )


@parallel_kernel
def sparse_losses(rows, labels, work, members):
    """Sums over the rows of x (A - Y), of A - Y and of the losses, chunk by chunk, into the sums of `work`."""
    for member in prange(members):
        share = share_of(member, members, work.sums.shape[0])
        _sparse_losses(rows, labels, work, share)


@outline
def _sparse_losses(rows, labels, work, share):
    n_scores, m = work.bias.size, rows.indptr.size - 1
    z, tile = work.scores[share.member], work.tiles[share.member]
    for c in range(share.first, share.stop):
        sums = work.sums[c]
        sums[:] = 0.0
        stop = m * (c + 1) // share.n_chunks
        for first in range(m * c // share.n_chunks, stop, _TILE_ROWS):
            count = min(_TILE_ROWS, stop - first)
            for t in range(count):
                _score(rows, labels, first + t, work.weights, z)
                for k in range(n_scores):
                    tile[k, t] = z[k] + work.bias[k]
            sums[-1, 0] += residuals(labels, None, first, count, True, tile)
            for t in range(count):
                for k in range(n_scores):
                    z[k] = tile[k, t]
                _add(rows, labels, first + t, z, work, sums)


@parallel_kernel
def sparse_curvature_times(rows, labels, probabilities, counts, work, members):
    """As `whole.curvature_times`, for weights and biases of `work`, into the sums of `work`."""
    for member in prange(members):
        share = share_of(member, members, work.sums.shape[0])
        _sparse_curvature_times(rows, labels, probabilities, counts, work, share)


@outline
def _sparse_curvature_times(rows, labels, probabilities, counts, work, share):
    n_scores, m = work.bias.size, rows.indptr.size - 1
    z = work.scores[share.member]
    for c in range(share.first, share.stop):
        sums = work.sums[c]
        sums[:] = 0.0
        for i in range(m * c // share.n_chunks, m * (c + 1) // share.n_chunks):
            _score(rows, labels, i, work.weights, z)
            p, count, mean = probabilities[i], np.float64(counts[i]), 0.0
            for k in range(n_scores):
                z[k] += work.bias[k]
                mean += p[k] * z[k]
            for k in range(n_scores):
                z[k] = count * p[k] * (z[k] - mean)
            _add(rows, labels, i, z, work, sums)


@inline
def _score(rows, labels, i, weights, out_z):
    """Scores of row i into out_z (K,), by weights (n, K)."""
    begin = np.int64(rows.indptr[i])
    count = np.int64(rows.indptr[i + 1]) - begin
    score_row(labels, rows.data, begin, count, rows.indices, begin, weights, out_z)


@inline
def _add(rows, labels, i, r, work, sums):
    """Add row i's x r and r to sums (n + 2, K), or for wide data keep r and add it."""
    n_padded = sums.shape[1]
    if not work.keeps_residuals:
        begin = np.int64(rows.indptr[i])
        add_sparse_row(labels, rows.data, begin, np.int64(rows.indptr[i + 1]) - begin, rows.indices, begin, r, sums)
    else:
        for k in range(n_padded):
            work.residuals[i, k] = r[k]
    for k in range(n_padded):
        sums[-2, k] += r[k]


@parallel_kernel
def sums_by_column(columns, labels, work, bounds, out_sums, members):
    """Sums over the rows of x r, from the kept residuals r, into out_sums (K, n).

    `columns` is the CSR of X^T. Chunk c has the features bounds[c] ... bounds[c + 1] - 1.
    """
    for member in prange(members):
        share = share_of(member, members, bounds.size - 1)
        _sums_by_column(columns, labels, work, bounds, share, out_sums)


@outline
def _sums_by_column(columns, labels, work, bounds, share, out_sums):
    z = work.scores[share.member]
    for j in range(bounds[share.first], bounds[share.stop]):
        _score(columns, labels, j, work.residuals, z)
        for k in range(out_sums.shape[0]):
            out_sums[k, j] = z[k]
