"""One pass over all rows without an update: predictions, the cost of predictions, or their gradient.

Chunks are cut as for one batch of all rows. So every result has the same bits for any number of threads.
"""

from __future__ import annotations

from ...compiler.jit import by_type, helper, outline, parallel_kernel, prange
from ...compiler.types import holds
from ..simd import lanes
from ..simd.arrays import PADDING
from ..steps import link
from ..steps.labels import sum_of
from ..steps.shares import share_of
from ..storage import operations as storage

# Rows of a group: a multiple of what any storage scores together. So chunks of groups don't change a score's bits.
_GROUP_ROWS = 64

# In each kernel, a member works in tiles[member], of block_rows + PADDING elements, see `Plan.block_rows`.


@by_type
def put(out, i, value, threshold):
    """out[i] = value; in an array of int64, whether the value is at least the threshold."""
    return _put_class if holds(out, "int64") else _put_value


def _put_value(out, i, value, threshold):
    out[i] = value


def _put_class(out, i, value, threshold):
    out[i] = value >= threshold


@helper
def _whole_groups(n_samples, n_chunks, c):
    """First row of chunk c, which is whole groups."""
    return n_samples if c == n_chunks else n_samples * c // n_chunks // _GROUP_ROWS * _GROUP_ROWS


@parallel_kernel
def forward(rows, weights, bias, tiles, n_chunks, threshold, out, out_not_finite, members):
    """Predictions for rows into out (m,), and numbers of tiles with a non-finite score into out_not_finite (members,).

    Predictions are probabilities sigmoid(rows_i . weights + bias); for `out` of int64, whether these are at least
    `threshold`; for a threshold of None, scores. `weights` (n + PADDING,) are zero beyond n.
    """
    for member in prange(members):
        share = share_of(member, members, n_chunks)
        out_not_finite[member] = _forward(rows, weights, bias, tiles, share, threshold, out)


@outline
def _forward(rows, weights, bias, tiles, share, threshold, out):
    n_samples = rows.shape[0]
    z = tiles[share.member]
    block_rows = z.size - PADDING
    typed_bias = weights.dtype.type(bias)
    not_finite = 0
    step = lanes.width(z)
    start = _whole_groups(n_samples, share.n_chunks, share.first)
    end = _whole_groups(n_samples, share.n_chunks, share.stop)
    for first in range(start, end, block_rows):
        count = min(block_rows, end - first)
        storage.scores(rows, None, first, count, first, weights, typed_bias, z)
        lanes.store(z, count, lanes.fill(z, 0.0))
        marker = lanes.fill(z, 0.0)
        for t in range(0, count, step):
            marker += lanes.load(z, t) * 0.0  # NaN for inf and NaN
        not_finite += lanes.total(marker) != 0.0
        if threshold is not None:
            link.probabilities(z, count, z)
        for t in range(count):
            put(out, first + t, z[t], threshold)
    return not_finite


@parallel_kernel
def gradient(rows, labels, probability, tiles, gradients, out_sums, members):
    """Sums over the rows of (A - Y) x and of A - Y, chunk by chunk, into out_sums (n_chunks, n + 1).

    `gradients` (members, n + PADDING) are zeros before and after.
    """
    for member in prange(members):
        share = share_of(member, members, out_sums.shape[0])
        _gradient(rows, labels, probability, tiles, gradients, share, out_sums)


@outline
def _gradient(rows, labels, probability, tiles, gradients, share, out_sums):
    n_samples, n_features = rows.shape
    residual = tiles[share.member]
    work = gradients[share.member]
    block_rows = residual.size - PADDING
    for c in range(share.first, share.stop):
        start, stop = n_samples * c // share.n_chunks, n_samples * (c + 1) // share.n_chunks
        residual_sum = 0.0
        for j in range(n_features):
            out_sums[c, j] = 0.0
        for first in range(start, stop, block_rows):
            count = min(block_rows, stop - first)
            for t in range(count):
                residual[t] = probability[first + t] - labels[first + t]
            residual_sum = sum_of(residual, count, residual_sum)
            lanes.store(residual, count, lanes.fill(residual, 0.0))
            storage.accumulate(rows, None, first, count, residual, work)
            for j in range(n_features):
                out_sums[c, j] += work[j]
                work[j] = 0
        out_sums[c, n_features] = residual_sum


@parallel_kernel
def cost(probability, labels, eps, tiles, out_sums, members):
    """Sums of the losses, chunk by chunk, into out_sums (n_chunks,); probabilities are clipped to [eps, 1 - eps]."""
    for member in prange(members):
        share = share_of(member, members, out_sums.size)
        _cost(probability, labels, eps, tiles, share, out_sums)


@outline
def _cost(probability, labels, eps, tiles, share, out_sums):
    n_samples = probability.size
    loss = tiles[share.member]
    block_rows = loss.size - PADDING
    for c in range(share.first, share.stop):
        start, stop = n_samples * c // share.n_chunks, n_samples * (c + 1) // share.n_chunks
        loss_sum = 0.0
        for first in range(start, stop, block_rows):
            count = min(block_rows, stop - first)
            link.clipped_losses(probability, labels, first, count, eps, loss)
            for t in range(count):
                loss_sum += loss[t]
        out_sums[c] = loss_sum


@parallel_kernel
def sigmoid(z, tiles, n_chunks, out_probability, members):
    """out_probability = sigmoid(z), both (m,)."""
    for member in prange(members):
        share = share_of(member, members, n_chunks)
        _sigmoid(z, tiles, share, out_probability)


@outline
def _sigmoid(z, tiles, share, out_probability):
    tile = tiles[share.member]
    block_rows = tile.size - PADDING
    start, end = z.size * share.first // share.n_chunks, z.size * share.stop // share.n_chunks
    for first in range(start, end, block_rows):
        count = min(block_rows, end - first)
        for t in range(count):
            tile[t] = z[first + t]
        link.probabilities(tile, count, tile)
        for t in range(count):
            out_probability[first + t] = tile[t]


@parallel_kernel
def class_scores(rows, weights, bias, tiles, n_chunks, out, out_not_finite, members):
    """Scores rows_i . weights_k + bias_k into out (m, K); numbers of rows with a non-finite one into out_not_finite.

    `weights` (K, n + PADDING) are zero beyond n; `bias` is (K, 1), `tiles` (members, K, tile_rows + PADDING),
    `out_not_finite` (members,).
    """
    for member in prange(members):
        share = share_of(member, members, n_chunks)
        out_not_finite[member] = _class_scores(rows, weights, bias, tiles[member], share, out)


@outline
def _class_scores(rows, weights, bias, z, share, out):
    m = rows.shape[0]
    n_classes = weights.shape[0]
    tile_rows = z.shape[1] - PADDING
    not_finite = 0
    for c in range(share.first, share.stop):
        end = m * (c + 1) // share.n_chunks
        for first in range(m * c // share.n_chunks, end, tile_rows):
            count = min(tile_rows, end - first)
            storage.class_scores(rows, None, first, count, first + count, weights, bias, z)
            for t in range(count):
                marker = 0.0  # NaN for inf and NaN
                for k in range(n_classes):
                    out[first + t, k] = z[k, t]
                    marker += z[k, t] * 0.0
                not_finite += marker != 0.0
    return not_finite
