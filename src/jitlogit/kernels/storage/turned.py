"""Transposed copies of F-ordered rows, in C order.

A small batch has only a few numbers of each column, and memory is slow in pieces that short. So either all rows are
copied once, before training, or the next few hundred rows, in long runs of each column, to a buffer that stays in the
cache.
"""

from __future__ import annotations

from ...compiler.jit import by_type, helper, outline, parallel_kernel, prange
from ..simd import lanes, memory
from ..steps.shares import share_of

# Rows that are copied column by column before the next ones. Tuned on Zen 4, two cores: 64 to 256 took the same time.
TURNED_ROWS = 256


@parallel_kernel
def turn_all(rows, out_rows, members):
    """Copy F-ordered rows (m, n) to C-ordered out_rows (m, n) of the same dtype."""
    for member in prange(members):
        _turn_share(rows, share_of(member, members, -(-rows.shape[0] // TURNED_ROWS)), out_rows)


@outline
def _turn_share(rows, share, out_rows):
    for block in range(share.first, share.stop):
        start = block * TURNED_ROWS
        turn(rows, start, min(start + TURNED_ROWS, rows.shape[0]), out_rows, start)


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
    """out[place + t] = rows[start + t] for start + t < stop, widened if `out` has another dtype."""
    n = rows.shape[1]
    step = lanes.width(rows)
    if n < step:
        _turn_one_by_one(rows, start, stop, out, place)
        return
    whole = stop - start - (stop - start) % step
    for block in range(0, n, step):
        j = min(block, n - step)  # the last columns may be turned twice
        ahead = min(j + step, n - step)
        for t in range(0, whole, step):
            for k in range(step):
                memory.prefetch(rows, start + t, ahead + k)
            memory.store_turned(out, place + t, j, rows, start + t)
    _turn_one_by_one(rows, start + whole, stop, out, place + whole)


@by_type
def _turn_one_by_one(rows, start, stop, out, place):
    return _copied if rows.dtype == out.dtype else _widened


def _copied(rows, start, stop, out, place):
    for t in range(stop - start):
        for j in range(rows.shape[1]):
            out[place + t, j] = rows[start + t, j]


def _widened(rows, start, stop, out, place):
    for t in range(stop - start):
        for j in range(rows.shape[1]):
            out[place + t, j] = lanes.item(rows, start + t, j)
