"""Which positions of the order a chunk of a batch has, and which come after it."""

from __future__ import annotations

from ...compiler.jit import helper, inline
from ..simd import lanes
from ..steps.labels import count_of
from ..steps.row_order import fill_order
from ..storage.operations import spacing


@inline
def rate_of(rates, batch):
    """Learning rate of a batch."""
    return rates.first + batch * rates.growth


@inline
def place_of(order, batch):
    """Number of the batch that an epoch visits after so many others."""
    return order.blocks[batch] if order.blocks.size else batch


@inline
def chunk_of(batches, n_chunks, batch, c):
    """First position of a chunk, and the one after its last."""
    batch_size = batches.cut.batch_size
    first = place_of(batches.order, batch) * spacing(batches.rows, batch_size)
    size = min(batch_size, count_of(batches.labels) - first)
    step = lanes.width(batches.rows)
    start, stop = size * c // n_chunks // step * step, size * (c + 1) // n_chunks // step * step
    return first + start, first + (stop if c + 1 < n_chunks else size)


@inline
def next_start(batches, n_chunks, batch, c, first_chunk, stop_chunk, stop_batch):
    """First position of what a member takes after a chunk: of the same batch, or of the next one."""
    same = c + 1 < stop_chunk
    its_batch = batch if same else min(batch + 1, stop_batch - 1)
    start, _ = chunk_of(batches, n_chunks, its_batch, c + 1 if same else first_chunk)
    return start


@helper
def fill_chunks(batches, n_chunks, first_chunk, stop_chunk, first_batch, stop_batch):
    """Fill in a member's part of the order, where there are shifts."""
    order = batches.order
    if stop_chunk - first_chunk == n_chunks and not order.blocks.size:
        start, _ = chunk_of(batches, 1, first_batch, 0)
        _, stop = chunk_of(batches, 1, stop_batch - 1, 0)
        fill_order(order.column_shifts, order.row_shifts, start, stop, order.rows)
        return
    for batch in range(first_batch, stop_batch):
        for c in range(first_chunk, stop_chunk):
            start, stop = chunk_of(batches, n_chunks, batch, c)
            fill_order(order.column_shifts, order.row_shifts, start, stop, order.rows)
