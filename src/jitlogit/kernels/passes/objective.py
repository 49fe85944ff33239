"""One pass over all rows without an update: probabilities, or the gradient for given probabilities.

Rows are cut up as in `epoch`: the chunks are those of one batch that holds all rows, and every result has the same bits
for any number of threads.
"""

from __future__ import annotations

from ...compiler.jit import by_type, helper, kernel
from ..simd import lanes
from ..steps import link
from ..storage import operations as storage
from ..storage.plan import PADDING

_GROUP_ROWS = 64

# Each kernel computes chunks first_chunk ... stop_chunk - 1 of n_chunks, one part of what threads share out, and works
# in tiles[part], of block_rows + PADDING elements, see `Plan`.


@by_type
def put(out, i, value, threshold):
    """out_i = value, or whether it is at least the threshold."""
    return _put_class if str(out.dtype) == "int64" else _put_value


def _put_value(out, i, value, threshold):
    out[i] = value


def _put_class(out, i, value, threshold):
    out[i] = value >= threshold


@by_type
def _probabilities(z, count, threshold):
    """z = sigmoid(z) of the first `count`, unless there is no threshold."""
    return _leave_scores if str(threshold) == "none" else _to_probabilities


def _leave_scores(z, count, threshold):
    pass


def _to_probabilities(z, count, threshold):
    link.probabilities(z, count, z)


@helper
def _whole_groups(n_samples, n_chunks, c):
    """Where chunk c starts: after whole groups of rows that are scored together, which so stay the same."""
    return n_samples if c == n_chunks else n_samples * c // n_chunks // _GROUP_ROWS * _GROUP_ROWS


@kernel
def forward(rows, weights, bias, tiles, n_chunks, out, threshold, part, first_chunk, stop_chunk):
    """Probabilities sigmoid(rows_i . weights + bias) into out (m,), or whether they are at least `threshold`, where out
    holds integers, or scores, where the threshold is None; returns in how many tiles a score isn't finite.

    `weights` (n + PADDING,) are zero beyond n.
    """
    n_samples = rows.shape[0]
    z = tiles[part]
    block_rows = z.size - PADDING
    typed_bias = weights.dtype.type(bias)
    not_finite = 0
    step = lanes.width(z)
    start, end = _whole_groups(n_samples, n_chunks, first_chunk), _whole_groups(n_samples, n_chunks, stop_chunk)
    for first in range(start, end, block_rows):
        count = min(block_rows, end - first)
        storage.scores(rows, None, first, count, first, weights, typed_bias, z)
        lanes.store(z, count, lanes.fill(z, 0.0))
        nothing = lanes.fill(z, 0.0)
        for t in range(0, count, step):
            nothing += lanes.load(z, t) * 0.0  # NaN for inf and NaN
        not_finite += lanes.total(nothing) != 0.0
        _probabilities(z, count, threshold)
        for t in range(count):
            put(out, first + t, z[t], threshold)
    return not_finite


@kernel
def gradient(rows, labels, probability, tiles, gradients, n_chunks, out_sums, part, first_chunk, stop_chunk):
    """Sums over the rows of (A - Y) x, and of A - Y, chunk by chunk, into out_sums (n_chunks, n + 1)."""
    n_samples, n_features = rows.shape
    residual = tiles[part]
    work = gradients[part]
    block_rows = residual.size - PADDING
    for c in range(first_chunk, stop_chunk):
        start, stop = n_samples * c // n_chunks, n_samples * (c + 1) // n_chunks
        residual_sum = 0.0
        for j in range(n_features):
            out_sums[c, j] = 0.0
        for first in range(start, stop, block_rows):
            count = min(block_rows, stop - first)
            for t in range(count):
                residual[t] = probability[first + t] - labels[first + t]
                residual_sum += residual[t]
            lanes.store(residual, count, lanes.fill(residual, 0.0))
            storage.accumulate(rows, None, first, count, residual, work)
            for j in range(n_features):
                out_sums[c, j] += work[j]
                work[j] = 0
        out_sums[c, n_features] = residual_sum


@kernel
def cost(probability, labels, eps, tiles, n_chunks, out_sums, part, first_chunk, stop_chunk):
    """Sums of the losses, chunk by chunk, into out_sums (n_chunks,); probabilities are clipped to [eps, 1 - eps]."""
    n_samples = probability.size
    loss = tiles[part]
    block_rows = loss.size - PADDING
    for c in range(first_chunk, stop_chunk):
        start, stop = n_samples * c // n_chunks, n_samples * (c + 1) // n_chunks
        loss_sum = 0.0
        for first in range(start, stop, block_rows):
            count = min(block_rows, stop - first)
            link.clipped_losses(probability, labels, first, count, eps, loss)
            for t in range(count):
                loss_sum += loss[t]
        out_sums[c] = loss_sum


@kernel
def sigmoid(z, tiles, n_chunks, out_probability, part, first_chunk, stop_chunk):
    """out_probability_i = sigmoid(z_i), (m,)."""
    tile = tiles[part]
    block_rows = tile.size - PADDING
    start, end = z.size * first_chunk // n_chunks, z.size * stop_chunk // n_chunks
    for first in range(start, end, block_rows):
        count = min(block_rows, end - first)
        for t in range(count):
            tile[t] = z[first + t]
        link.probabilities(tile, count, tile)
        for t in range(count):
            out_probability[first + t] = tile[t]
