"""Scores and gradients of F-ordered rows: a tile of rows at a time, column after column."""

from __future__ import annotations

from ..simd import lanes, memory

# Columns between a column and the one prefetched meanwhile. The processor's own prefetcher notices a column too late.
# Tuned on Zen 4, two cores.
_COLUMNS_AHEAD = 8


def score_of_strided_row(rows, i, weights):
    z = weights.dtype.type(0)
    for j in range(rows.shape[1]):
        z += weights[j] * lanes.item(rows, i, j)
    return z


def add_strided_row(rows, i, residual, out_gradient):
    r = lanes.first_of(residual)
    for j in range(rows.shape[1]):
        out_gradient[j] += r * lanes.item(rows, i, j)


# Weights are read one by one, never as a vector: another member may be writing the weights behind the last one.


def scores_by_column(rows, order, first, count, ahead, weights, bias, out_z):
    n = rows.shape[1]
    step = lanes.width(rows)
    whole = count - count % step
    by_four = n - n % 4
    mask = lanes.first(rows, count - whole)
    for t in range(0, count, step):
        lanes.store(out_z, t, lanes.fill(rows, bias))
    for j in range(0, by_four, 4):
        w0 = lanes.fill(rows, weights[j])
        w1 = lanes.fill(rows, weights[j + 1])
        w2 = lanes.fill(rows, weights[j + 2])
        w3 = lanes.fill(rows, weights[j + 3])
        i_ahead, j_ahead = first, j + _COLUMNS_AHEAD
        if j_ahead >= by_four:
            i_ahead, j_ahead = ahead, j_ahead - by_four
        for t in range(0, whole, step):
            i = first + t
            for k in range(4):
                memory.prefetch(rows, i_ahead + t, j_ahead + k)
            z = w0 * lanes.load2(rows, i, j) + w1 * lanes.load2(rows, i, j + 1)
            z += w2 * lanes.load2(rows, i, j + 2) + w3 * lanes.load2(rows, i, j + 3)
            lanes.store(out_z, t, lanes.load(out_z, t) + z)
        if whole < count:
            i = first + whole
            z = w0 * lanes.load2_masked(rows, i, j, mask) + w1 * lanes.load2_masked(rows, i, j + 1, mask)
            z += w2 * lanes.load2_masked(rows, i, j + 2, mask) + w3 * lanes.load2_masked(rows, i, j + 3, mask)
            lanes.store(out_z, whole, lanes.load(out_z, whole) + z)
    for j in range(by_four, n):
        w0 = lanes.fill(rows, weights[j])
        for t in range(0, whole, step):
            lanes.store(out_z, t, lanes.load(out_z, t) + w0 * lanes.load2(rows, first + t, j))
        if whole < count:
            x = lanes.load2_masked(rows, first + whole, j, mask)
            lanes.store(out_z, whole, lanes.load(out_z, whole) + w0 * x)


def accumulate_by_column(rows, order, first, count, residual, out_gradient):
    step = lanes.width(rows)
    whole = count - count % step
    by_four = count - count % (4 * step)
    mask = lanes.first(rows, count - whole)
    for j in range(rows.shape[1]):
        g0 = g1 = g2 = g3 = lanes.fill(rows, 0.0)
        for t in range(0, by_four, 4 * step):
            i = first + t
            g0 += lanes.load(residual, t) * lanes.load2(rows, i, j)
            g1 += lanes.load(residual, t + step) * lanes.load2(rows, i + step, j)
            g2 += lanes.load(residual, t + 2 * step) * lanes.load2(rows, i + 2 * step, j)
            g3 += lanes.load(residual, t + 3 * step) * lanes.load2(rows, i + 3 * step, j)
        for t in range(by_four, whole, step):
            g0 += lanes.load(residual, t) * lanes.load2(rows, first + t, j)
        if whole < count:
            r = lanes.where(mask, lanes.load(residual, whole), 0.0)
            g1 += r * lanes.load2_masked(rows, first + whole, j, mask)
        out_gradient[j] += lanes.total((g0 + g1) + (g2 + g3))


def scores_by_gathered_column(rows, order, first, count, ahead, weights, bias, out_z):
    step = lanes.width(rows)
    for t in range(0, count, step):
        used = min(count - t, step)
        z = lanes.fill(rows, bias)
        for j in range(rows.shape[1]):
            z += lanes.fill(rows, weights[j]) * memory.gather(rows, order, first + t, used, j)
        lanes.store(out_z, t, z)


def accumulate_by_gathered_column(rows, order, first, count, residual, out_gradient):
    step = lanes.width(rows)
    for j in range(rows.shape[1]):
        g = lanes.fill(rows, 0.0)
        for t in range(0, count, step):
            used = min(count - t, step)
            r = lanes.where(lanes.first(rows, used), lanes.load(residual, t), 0.0)
            g += r * memory.gather(rows, order, first + t, used, j)
        out_gradient[j] += lanes.total(g)
