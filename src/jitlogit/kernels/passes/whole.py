"""One pass over all rows: the losses and the gradient, or the Hessian times a vector, in one read."""

from __future__ import annotations

from ...compiler.jit import helper, outline, parallel_kernel, prange
from ..simd import lanes
from ..steps.labels import count_of
from ..steps.shares import share_of
from ..storage import operations as storage
from ..storage.plan import FOLD_ROWS
from . import softmax_tile, tile


@helper
def _start(rows, n_samples, n_chunks, c):
    """Where chunk c starts: after whole lanes."""
    step = lanes.width(rows)
    return n_samples if c == n_chunks else n_samples * c // n_chunks // step * step


@parallel_kernel
def losses(rows, labels, tile_rows, weights, bias, work, out_sums, members):
    """Sums over the rows of x (A - Y), of A - Y and of the losses, chunk by chunk, into out_sums (n_chunks, 1, n + 2).

    `weights` (1, n + PADDING) are zero beyond n, the bias is bias[0, 0]; `work` is a WorkSpace.
    """
    for member in prange(members):
        share = share_of(member, members, out_sums.shape[0])
        _losses(rows, labels, tile_rows, weights, bias, work, share, out_sums)


@outline
def _losses(rows, labels, tile_rows, weights, bias, work, share, out_sums):
    m = count_of(labels)
    room, gradient = work.tiles[share.member], work.gradients[share.member]
    for c in range(share.first, share.stop):
        start, stop = _start(rows, m, share.n_chunks, c), _start(rows, m, share.n_chunks, c + 1)
        sums = out_sums[c, 0]
        tile.sum_chunk(
            rows, labels, None, start, stop, stop, tile_rows, True, weights[0], bias[0, 0], room, gradient, sums
        )


@parallel_kernel
def class_losses(rows, labels, tile_rows, weights, bias, work, out_sums, members):
    """As `losses`, of classes: weights (K, n + PADDING), bias (K, 8), a ClassWorkSpace, out_sums (n_chunks, K, n + 2);
    the losses are with the first class."""
    for member in prange(members):
        share = share_of(member, members, out_sums.shape[0])
        _class_losses(rows, labels, tile_rows, weights, bias, work, share, out_sums)


@outline
def _class_losses(rows, labels, tile_rows, weights, bias, work, share, out_sums):
    m = count_of(labels)
    room, gradient = work.tiles[share.member], work.gradients[share.member]
    for c in range(share.first, share.stop):
        start, stop = _start(rows, m, share.n_chunks, c), _start(rows, m, share.n_chunks, c + 1)
        softmax_tile.sum_chunk(
            rows, labels, None, start, stop, stop, tile_rows, True, weights, bias, room, gradient, out_sums[c]
        )
        softmax_tile.add_last_block(gradient, out_sums[c], stop - start, tile_rows)


@parallel_kernel
def curvature_times(rows, probabilities, counts, tile_rows, weights, bias, work, out_sums, members):
    """Sums over the rows of x r and of r, chunk by chunk, into out_sums (n_chunks, 1, n + 2): the Hessian of the losses
    times weights and bias, r = s_i p_i (1 - p_i) z_i, from probabilities (m, 1) and weights of the rows (m,)."""
    for member in prange(members):
        share = share_of(member, members, out_sums.shape[0])
        _curvature_times(rows, probabilities, counts, tile_rows, weights, bias, work, share, out_sums)


@outline
def _curvature_times(rows, probabilities, counts, tile_rows, weights, bias, work, share, out_sums):
    m, n_features = rows.shape
    z, gradient = work.tiles[share.member, 0], work.gradients[share.member]
    typed_weights, typed_bias = weights[0], weights.dtype.type(bias[0, 0])
    one, nothing = weights.dtype.type(1), lanes.fill(weights, 0.0)
    for c in range(share.first, share.stop):
        stop = _start(rows, m, share.n_chunks, c + 1)
        sums = out_sums[c, 0]
        for j in range(n_features + 2):
            sums[j] = 0.0
        for block in range(_start(rows, m, share.n_chunks, c), stop, max(FOLD_ROWS, tile_rows)):
            end = min(block + max(FOLD_ROWS, tile_rows), stop)
            for first in range(block, end, tile_rows):
                count = min(tile_rows, end - first)
                storage.scores(rows, None, first, count, first + count, typed_weights, typed_bias, z)
                for t in range(count):
                    p = probabilities[first + t, 0]
                    z[t] *= counts[first + t] * (p * (one - p))
                    sums[n_features] += z[t]
                lanes.store(z, count, nothing)
                storage.accumulate(rows, None, first, count, z, gradient)
            for j in range(n_features):
                sums[j] += gradient[j]
                gradient[j] = 0


@parallel_kernel
def class_curvature_times(rows, probabilities, counts, tile_rows, weights, bias, work, out_sums, members):
    """As `curvature_times`, of classes: r_k = s_i p_ik (z_k - sum_l p_il z_l), from probabilities (m, K) and weights of
    the rows (m,)."""
    for member in prange(members):
        share = share_of(member, members, out_sums.shape[0])
        _class_curvature_times(rows, probabilities, counts, tile_rows, weights, bias, work, share, out_sums)


@outline
def _class_curvature_times(rows, probabilities, counts, tile_rows, weights, bias, work, share, out_sums):
    m, n_features = rows.shape
    room, gradient, n_classes = work.tiles[share.member], work.gradients[share.member], weights.shape[0]
    nothing = lanes.fill(weights, 0.0)
    for c in range(share.first, share.stop):
        stop = _start(rows, m, share.n_chunks, c + 1)
        sums = out_sums[c]
        for k in range(n_classes):
            for j in range(n_features + 2):
                sums[k, j] = 0.0
        for block in range(_start(rows, m, share.n_chunks, c), stop, max(FOLD_ROWS, tile_rows)):
            end = min(block + max(FOLD_ROWS, tile_rows), stop)
            for first in range(block, end, tile_rows):
                count = min(tile_rows, end - first)
                storage.class_scores(rows, None, first, count, first + count, weights, bias, room)
                for t in range(count):
                    mean = 0.0
                    for k in range(n_classes):
                        mean += probabilities[first + t, k] * room[k, t]
                    for k in range(n_classes):
                        room[k, t] = counts[first + t] * probabilities[first + t, k] * (room[k, t] - mean)
                        sums[k, n_features] += room[k, t]
                for k in range(n_classes):
                    lanes.store(room[k], count, nothing)
                storage.class_accumulate(rows, None, first, count, first + count, room, gradient)
            for k in range(n_classes):
                for j in range(n_features):
                    sums[k, j] += gradient[k, j]
                    gradient[k, j] = 0
