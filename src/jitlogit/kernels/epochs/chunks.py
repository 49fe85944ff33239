"""Positions of batches and chunks in the order, and the learning rate of a batch."""

from __future__ import annotations

from ...compiler.jit import helper, inline
from ..simd import lanes
from ..steps.batches import Positions
from ..steps.labels import count_of
from ..steps.row_order import fill_order
from ..storage.operations import spacing
from ..storage.plan import Tiles


@inline
def rate_of(rates, batch):
    return rates.first + batch * rates.growth


@inline
def tiles_of(batches):
    return Tiles(batches.cut.tile_rows, batches.cut.tile_way)


@inline
def batch_at(batches, batch):
    """First position and size of the batch that an epoch visits after `batch` others."""
    batch_size, order = batches.cut.batch_size, batches.order
    first = (order.blocks[batch] if order.by_blocks else batch) * spacing(batches.rows, batch_size)
    return first, min(batch_size, count_of(batches.labels) - first)


@inline
def chunk_of(batches, n_chunks, batch, c):
    """First position of a chunk, and the one after its last. Chunks start at whole lanes."""
    first, size = batch_at(batches, batch)
    step = lanes.width(batches.rows)
    start, stop = size * c // n_chunks // step * step, size * (c + 1) // n_chunks // step * step
    return first + start, first + (stop if c + 1 < n_chunks else size)


@inline
def positions_of(batches, share, batch, c, stop_batch):
    """Positions of a chunk; `ahead` is the start of the member's next chunk, in this batch or the next one."""
    start, stop = chunk_of(batches, share.n_chunks, batch, c)
    same = c + 1 < share.stop
    next_batch = batch if same else min(batch + 1, stop_batch - 1)
    ahead, _ = chunk_of(batches, share.n_chunks, next_batch, c + 1 if same else share.first)
    return Positions(start, stop, ahead)


@helper
def fill_chunks(batches, share, first_batch, stop_batch):
    """Fill in the order for a member's chunks of several batches, if rows are shuffled."""
    order = batches.order
    if share.stop - share.first == share.n_chunks and not order.by_blocks:
        start, _ = chunk_of(batches, 1, first_batch, 0)
        _, stop = chunk_of(batches, 1, stop_batch - 1, 0)
        fill_order(order, start, stop, order.rows)
        return
    for batch in range(first_batch, stop_batch):
        for c in range(share.first, share.stop):
            start, stop = chunk_of(batches, share.n_chunks, batch, c)
            fill_order(order, start, stop, order.rows)
