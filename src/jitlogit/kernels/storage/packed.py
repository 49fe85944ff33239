"""Packed rows: a copy of narrow rows in blocks (n_blocks, n, lanes), with the rows of a block side by side in lanes.

A C-ordered row of a few features fills its vectors badly, and the sum over a row's lanes costs more than the products.
Blocks have neither flaw. Each batch starts with a new block. A position is a place in the blocks; the last places of a
batch may be empty.
"""

from __future__ import annotations

from ...compiler.jit import outline, parallel_kernel, prange
from ..simd import lanes
from ..steps.shares import share_of


@parallel_kernel
def pack(rows, labels, batch_size, out_rows, out_labels, members):
    """Copy rows (m, n) and labels (m,) to out_rows (n_blocks, n, lanes) and out_labels; empty places become zeros."""
    for member in prange(members):
        _pack(rows, labels, batch_size, share_of(member, members, out_rows.shape[0]), out_rows, out_labels)


@outline
def _pack(rows, labels, batch_size, share, out_rows, out_labels):
    n_samples, n_features = rows.shape
    step = out_rows.shape[2]
    blocks_per_batch = (batch_size + step - 1) // step
    for block in range(share.first, share.stop):
        batch = block // blocks_per_batch
        start = batch * batch_size + block % blocks_per_batch * step
        used = min(step, min((batch + 1) * batch_size, n_samples) - start)
        for t in range(step):
            out_labels[block * step + t] = labels[start + t] if t < used else 0
        for j in range(n_features):
            for t in range(used):
                out_rows[block, j, t] = rows[start + t, j]
            for t in range(used, step):
                out_rows[block, j, t] = 0


def scores(rows, order, first, count, ahead, weights, bias, out_z):
    n = rows.shape[1]
    step = lanes.width(rows)
    by_four = n - n % 4
    for t in range(0, count, step):
        block = (first + t) // step
        z0 = lanes.fill(rows, bias)
        z1 = z2 = z3 = lanes.fill(rows, 0.0)
        for j in range(0, by_four, 4):
            z0 += lanes.broadcast(weights, j) * lanes.load3(rows, block, j, 0)
            z1 += lanes.broadcast(weights, j + 1) * lanes.load3(rows, block, j + 1, 0)
            z2 += lanes.broadcast(weights, j + 2) * lanes.load3(rows, block, j + 2, 0)
            z3 += lanes.broadcast(weights, j + 3) * lanes.load3(rows, block, j + 3, 0)
        for j in range(by_four, n):
            z1 += lanes.broadcast(weights, j) * lanes.load3(rows, block, j, 0)
        lanes.store(out_z, t, (z0 + z1) + (z2 + z3))


def accumulate(rows, order, first, count, residual, out_gradient):
    """As `operations.accumulate`; residuals of empty places must be zero."""
    n = rows.shape[1]
    step = lanes.width(rows)
    by_four = n - n % 4
    for j in range(0, by_four, 4):
        g0 = g1 = g2 = g3 = lanes.fill(rows, 0.0)
        for t in range(0, count, step):
            block = (first + t) // step
            r = lanes.load(residual, t)
            g0 += r * lanes.load3(rows, block, j, 0)
            g1 += r * lanes.load3(rows, block, j + 1, 0)
            g2 += r * lanes.load3(rows, block, j + 2, 0)
            g3 += r * lanes.load3(rows, block, j + 3, 0)
        out_gradient[j] += lanes.total(g0)
        out_gradient[j + 1] += lanes.total(g1)
        out_gradient[j + 2] += lanes.total(g2)
        out_gradient[j + 3] += lanes.total(g3)
    for j in range(by_four, n):
        g0 = lanes.fill(rows, 0.0)
        for t in range(0, count, step):
            g0 += lanes.load(residual, t) * lanes.load3(rows, (first + t) // step, j, 0)
        out_gradient[j] += lanes.total(g0)
