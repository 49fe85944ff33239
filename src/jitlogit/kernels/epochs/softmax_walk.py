"""Several classes by softmax: a score, a residual and a gradient for each class, from one read of the rows.

Members share one set of parameters. They share out the chunks of a batch, wait at a barrier, share out the classes to
update, and wait again.
"""

from __future__ import annotations

from ...compiler.jit import outline
from ..passes.softmax_tile import gradient_sum, sum_chunk
from ..steps import update as updates
from ..steps.batches import Examples, MemberSpace
from ..steps.shares import part_of
from .chunks import batch_at, chunk_of, fill_chunks, positions_of, rate_of


def begin(batches, work, share, first_batch, stop_batch):
    fill_chunks(batches, share, first_batch, stop_batch)


def sum_share(batches, work, share, batch, stop_batch):
    examples = Examples(batches.rows, batches.labels, batches.order.rows)
    for c in range(share.first, share.stop):
        space = MemberSpace(work.weights, work.bias, work.gradients[c], work.tiles[share.member])
        positions = positions_of(batches, share, batch, c, stop_batch)
        sum_chunk(examples, positions, batches.cut.tile_rows, batches.rates.with_loss, space, work.sums[c])


def update(batches, work, share, batch, is_last, loss_sum):
    n_chunks, n_classes, n_sums = work.sums.shape
    first_class, stop_class = part_of(share, n_classes)
    _update(batches, batch, first_class, stop_class, work, work.totals[share.member])
    if not share.member:
        for c in range(n_chunks):
            loss_sum += work.sums[c, 0, n_sums - 1]
    return loss_sum


def needs_second_barrier(work, is_last):
    return True


@outline
def _update(batches, batch, first_class, stop_class, work, total):
    """Add the chunks' sums of some classes in order, and update the parameters of these classes."""
    n_features, n_chunks, tile_rows = batches.rows.shape[1], work.sums.shape[0], batches.cut.tile_rows
    _, size = batch_at(batches, batch)
    rate = rate_of(batches.rates, batch)
    for k in range(first_class, stop_class):
        for j in range(n_features + 1):
            total[j] = 0.0
        for c in range(n_chunks):
            start, stop = chunk_of(batches, n_chunks, batch, c)
            gradient, sums = work.gradients[c], work.sums[c]
            for j in range(n_features):
                total[j] += gradient_sum(gradient, sums, k, j, stop - start, tile_rows)
            total[n_features] += sums[k, n_features]
        updates.apply(batches.rule, k, rate, size, total, work.weights[k], work.bias[k])
