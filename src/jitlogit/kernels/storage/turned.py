"""Small mini-batches of F-ordered rows: trained on a transposed copy of the next few hundred rows.

A small batch has only a few numbers of each column, and memory is slow in pieces that short. So a group of batches is
copied to C order, in long runs of each column, to a buffer that stays in the cache.
"""

from __future__ import annotations

from ...compiler.jit import helper
from ..simd import lanes, memory


@helper
def turn_batches(rows, order, batch_size, batch, stop_batch, out):
    """`turn` batches batch ... stop_batch - 1, in the epoch's order, one after the other into `out`."""
    place = 0
    while batch < stop_batch:
        first = order.blocks[batch] if order.by_blocks else batch
        run = 1  # batches that are neighbours in memory are turned together
        while batch + run < stop_batch and (not order.by_blocks or order.blocks[batch + run] == first + run):
            run += 1
        turn(rows, first * batch_size, min((first + run) * batch_size, rows.shape[0]), out, place)
        place += run * batch_size
        batch += run


@helper
def turn(rows, start, stop, out, place):
    """out[place + t] = rows[start + t], widened, for start + t < stop. Rows have at least as many features as lanes."""
    n = rows.shape[1]
    step = lanes.width(rows)
    whole = stop - start - (stop - start) % step
    for block in range(0, n, step):
        j = min(block, n - step)  # the last columns may be turned twice
        ahead = min(j + step, n - step)
        for t in range(0, whole, step):
            for k in range(step):
                memory.prefetch(rows, start + t, ahead + k)
            memory.store_turned(out, place + t, j, rows, start + t)
    for t in range(whole, stop - start):
        for j in range(n):
            out[place + t, j] = lanes.item(rows, start + t, j)
