"""Small batches of F-ordered rows: members share out the features, not the samples.

Memory is slow in short runs, and a column's run of a small batch would be shorter still if members shared out its rows.
So each member computes partial scores from its features, and waits at a barrier. It then adds the partial scores of all
parts in order, computes the residuals, and updates its own weights. Parts depend on the data's shape, not on the number
of threads.
"""

from __future__ import annotations

from ...compiler.jit import helper
from ..passes.tile import tile_residuals
from ..simd import lanes
from ..steps.update import descend
from ..storage import operations as storage
from .chunks import batch_at, rate_of


@helper
def _part(n_features, step, n_parts, part):
    """First feature of a part, and the one after its last. A part has whole lanes, which one member alone writes."""
    n_vectors = (n_features + step - 1) // step
    return step * (n_vectors * part // n_parts), min(n_features, step * (n_vectors * (part + 1) // n_parts))


def begin(batches, work, share, first_batch, stop_batch):
    work.bias[share.member, 0] = work.bias[0, 0]


def sum_share(batches, work, share, batch, stop_batch):
    """Partial scores from a member's features; sums over samples need the scores of all parts, so `update` has them."""
    rows, weights = batches.rows, work.weights[0]
    last = (batches.labels.size - 1) // batches.cut.batch_size
    first, size = batch_at(batches, batch)
    following, _ = batch_at(batches, min(batch + 1, last))
    partial_scores = work.partial_scores[batch % 2]
    step = lanes.width(partial_scores)
    for part in range(share.first, share.stop):
        j, end = _part(rows.shape[1], step, share.n_chunks, part)
        columns, zero = rows.T[j:end].T, weights.dtype.type(0)
        storage.scores(columns, None, first, size, following, weights[j:end], zero, partial_scores[part])


def update(batches, work, share, batch, is_last, loss_sum):
    member, rows = share.member, batches.rows
    bias, gradient, weights = work.bias[member], work.gradients[member], work.weights[0]
    tile, z = work.tiles[member], work.tiles[member, 0]
    partial_scores = work.partial_scores[batch % 2]
    first, size = batch_at(batches, batch)
    step = lanes.width(z)
    for t in range(0, size, step):
        total = lanes.fill(z, bias[0])
        for part in range(share.n_chunks):
            total += lanes.load(partial_scores[part], t)
        lanes.store(z, t, total)
    with_loss = batches.rates.with_loss and not member
    residual_sum, loss_sum = tile_residuals(batches.labels, None, first, size, with_loss, tile, tile[2], loss_sum)
    rate = rate_of(batches.rates, batch) / size
    for part in range(share.first, share.stop):
        j, end = _part(rows.shape[1], step, share.n_chunks, part)
        storage.accumulate(rows.T[j:end].T, None, first, size, tile[2], gradient)
        descend(rate, gradient, end - j, weights[j:])
    bias[0] -= rate * residual_sum
    return loss_sum


def needs_second_barrier(work, is_last):
    return is_last  # members of the next span read all weights
