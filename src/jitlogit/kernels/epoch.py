"""The fused training loop: walk the mini-batches of one epoch; scores, residuals, gradient and update in one go.

A mini-batch is split into `n_chunks` chunks of rows, a chunk into tiles that stay in the cache between the two times
that their rows are read. Each chunk sums its own gradient; the chunks are then added in order. Chunks and tiles follow
from the shape of the data alone, so the sums have the same bits whichever thread computes which chunk.

`plan` says how a shape is cut up, and so whether it runs in parallel.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._jit import helper, kernel, prange
from . import link, storage, update
from .order import fill_order, row_at

# A tile's rows fit the first-level cache beside the weights and the gradient.
_TILE_BYTES = 24 * 1024
_MAX_TILE_ROWS = 1024
# Down columns, a tile must be long for the processor to stream it: it may take half of the second-level cache.
_COLUMN_TILE_BYTES = 512 * 1024
_MIN_COLUMN_ROWS = 128
# Starting threads costs about as much as reading this much.
_CHUNK_BYTES = 64 * 1024
_MIN_CHUNK_ROWS = 16
_MAX_CHUNKS = 64
# The chunks' sums and gradients together.
_MAX_WORK_BYTES = 8 * 1024 * 1024
# Rows summed in the data's own precision before they are added to a float64 sum.
FOLD_ROWS = 256


class Plan(NamedTuple):
    """How an epoch is cut up."""

    tile_rows: int
    n_chunks: int

    @property
    def parallel(self) -> bool:
        return self.n_chunks > 1


def plan(batch_size: int, n_features: int, itemsize: int, layout: str) -> Plan:
    """Choose tiles and chunks for mini-batches of `batch_size` rows; more than one chunk means the parallel kernel."""
    row_bytes = n_features * itemsize
    if layout == "F":
        tile_rows = max(_MIN_COLUMN_ROWS, min(_MAX_TILE_ROWS, _COLUMN_TILE_BYTES // row_bytes))
        chunk_rows = _MIN_COLUMN_ROWS
    else:
        tile_rows = max(4, min(_MAX_TILE_ROWS, _TILE_BYTES // row_bytes))
        chunk_rows = _MIN_CHUNK_ROWS
    work_bytes = (n_features + 2) * (8 + itemsize)
    limit = min(
        _MAX_CHUNKS,
        batch_size * row_bytes // _CHUNK_BYTES,
        batch_size // chunk_rows,
        max(2, _MAX_WORK_BYTES // work_bytes),
    )
    n_chunks = 1 << max(0, limit.bit_length() - 1)  # a power of two shares out evenly
    return Plan(min(tile_rows, batch_size), n_chunks)


def work_space(cut: Plan, n_features: int, dtype: np.dtype[Any]) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Arrays that `epoch` works in: tiles, gradients in the data's precision, and sums in float64, for each chunk."""
    return (
        np.empty((cut.n_chunks, 3, cut.tile_rows), dtype),
        np.empty((cut.n_chunks, n_features), dtype),
        np.empty((cut.n_chunks, n_features + 2), np.float64),
    )


@helper
def _sum_chunk(
    rows,
    labels,
    column_shifts,
    row_shifts,
    order,
    start,
    stop,
    with_loss,
    weights,
    bias,
    tile,
    gradient,
    out_sums,
):
    """Sums over the rows at positions start ... stop - 1: gradient (n), residuals and losses, into out_sums (n + 2).

    Fills in this part of `order` if there are tables of shifts.
    `tile` (3, tile_rows) and `gradient` (n,) are work space.
    """
    if column_shifts.size:
        fill_order(column_shifts, row_shifts, start, stop, order)
    n_features = weights.size
    tile_rows = tile.shape[1]
    one = weights.dtype.type(1)
    zero = weights.dtype.type(0)
    typed_bias = weights.dtype.type(bias)
    sign = tile[0]
    z = tile[1]
    value = tile[2]
    out_sums[:] = 0.0
    gradient[:] = zero
    residual_sum = 0.0
    loss_sum = 0.0
    unfolded = 0
    for first in range(start, stop, tile_rows):
        count = min(tile_rows, stop - first)
        for t in range(count):
            sign[t] = -one if labels[row_at(order, first + t)] else one
        storage.scores(rows, order, first, count, weights, typed_bias, z)
        if with_loss:
            link.losses(z, sign, count, value)
            for t in range(count):
                loss_sum += value[t]
        link.residuals(z, sign, count, value)
        for t in range(count):
            residual_sum += value[t]
        storage.accumulate(rows, order, first, count, value, gradient)
        unfolded += count
        if unfolded >= FOLD_ROWS or first + count == stop:
            for j in range(n_features):
                out_sums[j] += gradient[j]
                gradient[j] = zero
            unfolded = 0
    out_sums[n_features] = residual_sum
    out_sums[n_features + 1] = loss_sum


@helper
def _finish_batch(learning_rate, size, sums, weights, bias):
    """Add the chunks' sums in order, update the parameters, return the sum of the losses."""
    n_features = weights.size
    total = sums[0]
    for c in range(1, sums.shape[0]):
        for j in range(n_features + 2):
            total[j] += sums[c, j]
    step = learning_rate / size
    update.descend(step, total[:n_features], weights)
    bias[0] -= step * total[n_features]
    return total[n_features + 1]


@kernel
def epoch(
    rows,
    labels,
    column_shifts,
    row_shifts,
    order,
    batch_size,
    learning_rate,
    with_loss,
    tile,
    gradient,
    sums,
    out_weights,
    out_bias,
):
    """One epoch of mini-batch gradient descent.

    Parameters
    ----------
    rows : (m, n), a storage
    labels : (m,) of uint8
    column_shifts, row_shifts : (2, n_columns) and (2, n_rows) of uint32
        Tables of the shuffle, see `order.fill_order`.
    order : (m,) or (0,), of unsigned integers
        The order of the rows, to be filled in where there are tables; empty for their own order.
    batch_size : int
    learning_rate : float
    with_loss : bool
        Whether the losses are computed.
    tile, gradient, sums
        Work space from `work_space`, whose shape says how batches are cut up.
    out_weights : (n,), of the rows' dtype
    out_bias : (1,) of float64
        Parameters, updated in place.

    Returns
    -------
    float
        Sum of the losses, each before its own update; 0 without `with_loss`.
    """
    n_samples = rows.shape[0]
    n_chunks = sums.shape[0]
    loss_sum = 0.0
    for batch in range(0, n_samples, batch_size):
        size = min(batch_size, n_samples - batch)
        for c in prange(n_chunks):
            _sum_chunk(
                rows,
                labels,
                column_shifts,
                row_shifts,
                order,
                batch + size * c // n_chunks,
                batch + size * (c + 1) // n_chunks,
                with_loss,
                out_weights,
                out_bias[0],
                tile[c],
                gradient[c],
                sums[c],
            )
        loss_sum += _finish_batch(learning_rate, size, sums, out_weights, out_bias)
    return loss_sum
