"""Several classes by softmax: residuals of a tile, and sums over a chunk, with a gradient for each class."""

from __future__ import annotations

import numpy as np

from ...compiler.jit import helper, outline, strict
from ..simd import lanes
from ..steps import link
from ..steps.labels import label_of, weigh
from ..steps.row_order import row_at
from ..storage import operations as storage
from ..storage.plan import FOLD_ROWS


@outline
def softmax_residuals(labels, order, start, count, with_loss, tile):
    """Turn scores (K, count) in `tile` into residuals, and return the sum of the losses.

    A residual is the probability, less 1 for the row's own class, times the row's weight. Losses log(sum_k exp(z_k)) -
    z_y are computed from differences to the largest score, so nothing overflows.
    """
    n_classes = tile.shape[0] - 2
    total, own = tile[n_classes], tile[n_classes + 1]
    step = lanes.width(total)
    zeros = lanes.fill(total, 0.0)
    loss_sum = total.dtype.type(0)
    for t in range(count):
        total[t] = tile[0, t]
    for k in range(1, n_classes):
        for t in range(count):
            total[t] = tile[k, t] if tile[k, t] > total[t] else total[t]
    for k in range(n_classes):
        for t in range(0, count, step):
            lanes.store(tile[k], t, lanes.load(tile[k], t) - lanes.load(total, t))
    if with_loss:
        for t in range(count):
            own[t] = tile[label_of(labels, row_at(order, start + t)), t]
    for t in range(0, count, step):
        normaliser = lanes.fill(total, 0.0)
        for k in range(n_classes):
            e = link.exp_nonpositive(lanes.load(tile[k], t))
            lanes.store(tile[k], t, e)
            normaliser += e
        lanes.store(total, t, normaliser)
        for k in range(n_classes):
            lanes.store(tile[k], t, lanes.load(tile[k], t) / normaliser)
    for t in range(count):
        tile[label_of(labels, row_at(order, start + t)), t] -= total.dtype.type(1)
    if with_loss:
        for t in range(count):
            own[t] = link.log(total[t]) - own[t]
        weigh(labels, order, start, count, loss_sum, own)
        for t in range(count):
            loss_sum += own[t]
    for k in range(n_classes):
        weigh(labels, order, start, count, loss_sum, tile[k])
        lanes.store(tile[k], count, zeros)  # lanes beyond the last row have no residual
    return loss_sum


@helper
def sum_chunk(examples, positions, tile_rows, with_loss, space, out_sums):
    """Sums over a chunk's rows, class by class, into out_sums (K, n + 2): x (A - Y), A - Y, and the losses.

    The last block's gradients stay in the space, for `gradient_sum` or `add_last_block` to add.
    """
    rows, labels, order = examples
    start, stop, following = positions
    weights, bias, out_gradient, tile = space
    n_classes, n_features = weights.shape[0], rows.shape[1]
    out_sums[0, n_features + 1] = 0.0
    for k in range(n_classes):
        out_sums[k, n_features] = 0.0
        for j in range(n_features):
            out_gradient[k, j] = 0
    block_rows = max(FOLD_ROWS, tile_rows)
    for block in range(start, stop, block_rows):
        if block > start:
            add_last_block(out_gradient, out_sums, block - start, tile_rows)
        end = min(block + block_rows, stop)
        for first in range(block, end, tile_rows):
            count = min(tile_rows, end - first)
            ahead = first + count if first + count < stop else following
            storage.class_scores(rows, order, first, count, ahead, weights, bias, tile)
            out_sums[0, n_features + 1] += softmax_residuals(labels, order, first, count, with_loss, tile)
            for k in range(n_classes):
                residual = lanes.fill(weights, 0.0)
                for t in range(0, count, lanes.width(weights)):
                    residual += lanes.load(tile[k], t)
                out_sums[k, n_features] += lanes.total(residual)
            storage.class_accumulate(rows, order, first, count, ahead, tile, out_gradient)


@strict
def gradient_sum(gradient, sums, k, j, n_rows, tile_rows):
    """An element of the gradient of a chunk with `n_rows` rows, after `sum_chunk`."""
    last = np.float64(gradient[k, j])
    return sums[k, j] + last if n_rows > max(FOLD_ROWS, tile_rows) else last


@helper
def add_last_block(gradient, sums, n_rows, tile_rows):
    """Complete `sums` by the gradient of the last block, and set that to zero."""
    for k in range(gradient.shape[0]):
        for j in range(sums.shape[1] - 2):
            sums[k, j] = gradient_sum(gradient, sums, k, j, n_rows, tile_rows)
            gradient[k, j] = 0
