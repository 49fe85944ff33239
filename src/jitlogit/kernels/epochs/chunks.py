"""Which positions of the order a chunk of a batch has, and which come after it."""

from __future__ import annotations

from ...compiler.jit import helper, inline
from ..simd import lanes
from ..steps.labels import count_of
from ..steps.row_order import fill_order
from ..storage.operations import spacing


@inline
def chunk_of(rows, labels, blocks, batch_size, n_chunks, batch, c):
    """First position of a chunk, and the one after its last."""
    first = (blocks[batch] if blocks.size else batch) * spacing(rows, batch_size)
    size = min(batch_size, count_of(labels) - first)
    step = lanes.width(rows)
    start, stop = size * c // n_chunks // step * step, size * (c + 1) // n_chunks // step * step
    return first + start, first + (stop if c + 1 < n_chunks else size)


@inline
def next_start(rows, labels, blocks, batch_size, n_chunks, batch, c, first_chunk, stop_chunk, stop_batch):
    """First position of what a member takes after a chunk: of the same batch, or of the next one."""
    same = c + 1 < stop_chunk
    its_batch = batch if same else min(batch + 1, stop_batch - 1)
    start, _ = chunk_of(rows, labels, blocks, batch_size, n_chunks, its_batch, c + 1 if same else first_chunk)
    return start


@helper
def fill_chunks(
    rows, labels, tables, order, blocks, batch_size, n_chunks, first_chunk, stop_chunk, first_batch, stop_batch
):
    """Fill in a member's part of the order, where there are tables."""
    if stop_chunk - first_chunk == n_chunks and not blocks.size:
        start, _ = chunk_of(rows, labels, blocks, batch_size, 1, first_batch, 0)
        _, stop = chunk_of(rows, labels, blocks, batch_size, 1, stop_batch - 1, 0)
        fill_order(tables[0], tables[1], start, stop, order)
        return
    for batch in range(first_batch, stop_batch):
        for c in range(first_chunk, stop_chunk):
            start, stop = chunk_of(rows, labels, blocks, batch_size, n_chunks, batch, c)
            fill_order(tables[0], tables[1], start, stop, order)
