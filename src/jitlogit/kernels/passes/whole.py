"""One pass over all rows: the losses and the gradient, or the Hessian times a vector, in one read.

The work space's type tells one score (WorkSpace) from K classes (ClassWorkSpace, here with one gradient a member).
"""

from __future__ import annotations

from ...compiler.jit import helper, inline_by_type, outline, parallel_kernel, prange
from ...compiler.types import class_of
from ..simd import lanes
from ..steps.batches import Examples, MemberSpace, Positions
from ..steps.labels import count_of, sum_of
from ..steps.shares import share_of
from ..storage import operations as storage
from ..storage.plan import FOLD_ROWS
from ..storage.work_spaces import ClassWorkSpace
from . import softmax_tile, tile


@helper
def _chunk(rows, n_samples, share, c):
    """Positions of chunk c, which is whole vectors of rows."""
    step = lanes.width(rows)
    start = n_samples * c // share.n_chunks // step * step
    stop = n_samples if c + 1 == share.n_chunks else n_samples * (c + 1) // share.n_chunks // step * step
    return Positions(start, stop, stop)


@parallel_kernel
def losses(rows, labels, tiles, work, out_sums, members):
    """Sums over the rows of x (A - Y), of A - Y and of the losses, chunk by chunk, into out_sums (n_chunks, K, n + 2).

    K is 1 for one score. The first class's row has the losses. Parameters are the work space's.
    """
    for member in prange(members):
        _losses(rows, labels, tiles, work, share_of(member, members, out_sums.shape[0]), out_sums)


@outline
def _losses(rows, labels, tiles, work, share, out_sums):
    examples = Examples(rows, labels, None)
    for c in range(share.first, share.stop):
        _sum_chunk(examples, _chunk(rows, count_of(labels), share, c), tiles, work, share.member, out_sums[c])


@inline_by_type
def _sum_chunk(examples, positions, tiles, work, member, out_sums):
    return _sum_class_chunk if class_of(work) is ClassWorkSpace else _sum_score_chunk


def _sum_score_chunk(examples, positions, tiles, work, member, out_sums):
    space = MemberSpace(work.weights[0], work.bias[0], work.gradients[member], work.tiles[member])
    tile.sum_chunk(examples, positions, tiles, True, space, out_sums[0])


def _sum_class_chunk(examples, positions, tiles, work, member, out_sums):
    space = MemberSpace(work.weights, work.bias, work.gradients[member], work.tiles[member])
    softmax_tile.sum_chunk(examples, positions, tiles.rows, True, space, out_sums)
    softmax_tile.add_last_block(space.gradient, out_sums, positions.stop - positions.first, tiles.rows)


@parallel_kernel
def curvature_times(rows, probabilities, counts, tiles, work, out_sums, members):
    """Sums over the rows of x r and of r, chunk by chunk, into out_sums (n_chunks, K, n + 2).

    This is the Hessian of the losses times the work space's parameters. With scores z by these parameters, and with
    `probabilities` p (m, K) and weights `counts` s (m,), r_ik = s_i p_ik (z_ik - sum_l p_il z_il) for several classes,
    and r_i = s_i p_i (1 - p_i) z_i for one score.
    """
    for member in prange(members):
        share = share_of(member, members, out_sums.shape[0])
        _curvature_times(rows, probabilities, counts, tiles.rows, work, share, out_sums)


@outline
def _curvature_times(rows, probabilities, counts, tile_rows, work, share, out_sums):
    block_rows = max(FOLD_ROWS, tile_rows)
    for c in range(share.first, share.stop):
        sums = out_sums[c]
        sums[:] = 0.0
        chunk_start, stop, _ = _chunk(rows, rows.shape[0], share, c)
        for block in range(chunk_start, stop, block_rows):
            end = min(block + block_rows, stop)
            for first in range(block, end, tile_rows):
                count = min(tile_rows, end - first)
                _curve_tile(rows, probabilities, counts, Positions(first, first + count, 0), work, share.member, sums)
            _fold(work, share.member, sums)


@inline_by_type
def _curve_tile(rows, probabilities, counts, positions, work, member, sums):
    """Add a tile's sum of x r to the member's gradient, and its sum of r to the sums."""
    return _curve_class_tile if class_of(work) is ClassWorkSpace else _curve_score_tile


def _curve_score_tile(rows, probabilities, counts, positions, work, member, sums):
    first, stop, _ = positions
    count, n_features = stop - first, rows.shape[1]
    weights, z = work.weights[0], work.tiles[member, 0]
    one = weights.dtype.type(1)
    storage.scores(rows, None, first, count, stop, weights, weights.dtype.type(work.bias[0, 0]), z)
    for t in range(count):
        p = probabilities[first + t, 0]
        z[t] *= counts[first + t] * (p * (one - p))
    sums[0, n_features] = sum_of(z, count, sums[0, n_features])
    lanes.store(z, count, lanes.fill(weights, 0.0))
    storage.accumulate(rows, None, first, count, z, work.gradients[member])


def _curve_class_tile(rows, probabilities, counts, positions, work, member, sums):
    first, stop, _ = positions
    count, n_features = stop - first, rows.shape[1]
    weights, tile, n_classes = work.weights, work.tiles[member], work.weights.shape[0]
    storage.class_scores(rows, None, first, count, stop, weights, work.bias, tile)
    for t in range(count):
        mean = 0.0
        for k in range(n_classes):
            mean += probabilities[first + t, k] * tile[k, t]
        for k in range(n_classes):
            tile[k, t] = counts[first + t] * probabilities[first + t, k] * (tile[k, t] - mean)
    for k in range(n_classes):
        sums[k, n_features] = sum_of(tile[k], count, sums[k, n_features])
        lanes.store(tile[k], count, lanes.fill(weights, 0.0))
    storage.class_accumulate(rows, None, first, count, stop, tile, work.gradients[member])


@inline_by_type
def _fold(work, member, sums):
    """Add the member's gradient to the sums, and set it to zero."""
    return _fold_classes if class_of(work) is ClassWorkSpace else _fold_score


def _fold_score(work, member, sums):
    _fold_one(work.gradients[member], sums[0])


def _fold_classes(work, member, sums):
    for k in range(sums.shape[0]):
        _fold_one(work.gradients[member, k], sums[k])


@helper
def _fold_one(gradient, sums):
    for j in range(sums.size - 2):
        sums[j] += gradient[j]
        gradient[j] = 0
