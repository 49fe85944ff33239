"""How rows are held, and the two operations that a storage offers: `scores` and `accumulate`.

Both work on a tile: the rows at positions ``first ... first + count - 1`` of the order. A storage is a pair of
functions, chosen by the type of ``rows``: C-ordered arrays run along each row, several rows at once so that one load of
a weight serves them all; F-ordered arrays run down each column, several columns at once for the same reason.
"""

from __future__ import annotations

from .._jit import by_type
from .order import row_at


@by_type
def scores(rows, order, first, count, weights, bias, out_z):
    """z_t = sum_j rows[i_t, j] weights_j + bias for t < count, i_t the row at position first + t."""
    return _scores_by_column if rows.layout == "F" else _scores_by_row


@by_type
def accumulate(rows, order, first, count, residual, out_gradient):
    """out_gradient_j += sum_t residual_t rows[i_t, j] over t < count, i_t the row at position first + t."""
    return _accumulate_by_column if rows.layout == "F" else _accumulate_by_row


def _scores_by_row(rows, order, first, count, weights, bias, out_z):
    n = weights.size
    zero = weights.dtype.type(0)
    t = 0
    while t + 4 <= count:
        x0 = rows[row_at(order, first + t)]
        x1 = rows[row_at(order, first + t + 1)]
        x2 = rows[row_at(order, first + t + 2)]
        x3 = rows[row_at(order, first + t + 3)]
        z0 = z1 = z2 = z3 = zero
        for j in range(n):
            w = weights[j]
            z0 += w * x0[j]
            z1 += w * x1[j]
            z2 += w * x2[j]
            z3 += w * x3[j]
        out_z[t] = z0 + bias
        out_z[t + 1] = z1 + bias
        out_z[t + 2] = z2 + bias
        out_z[t + 3] = z3 + bias
        t += 4
    while t < count:
        x0 = rows[row_at(order, first + t)]
        z0 = zero
        for j in range(n):
            z0 += weights[j] * x0[j]
        out_z[t] = z0 + bias
        t += 1


def _accumulate_by_row(rows, order, first, count, residual, out_gradient):
    n = out_gradient.size
    t = 0
    while t + 4 <= count:
        x0 = rows[row_at(order, first + t)]
        x1 = rows[row_at(order, first + t + 1)]
        x2 = rows[row_at(order, first + t + 2)]
        x3 = rows[row_at(order, first + t + 3)]
        r0 = residual[t]
        r1 = residual[t + 1]
        r2 = residual[t + 2]
        r3 = residual[t + 3]
        for j in range(n):
            out_gradient[j] += r0 * x0[j] + r1 * x1[j] + r2 * x2[j] + r3 * x3[j]
        t += 4
    while t < count:
        x0 = rows[row_at(order, first + t)]
        r0 = residual[t]
        for j in range(n):
            out_gradient[j] += r0 * x0[j]
        t += 1


def _scores_by_column(rows, order, first, count, weights, bias, out_z):
    columns = rows.T
    n = weights.size
    z = out_z[:count]
    z[:] = bias
    if order.size:
        for j in range(n):
            x0 = columns[j]
            for t in range(count):
                z[t] += weights[j] * x0[order[first + t]]
        return
    j = 0
    while j + 4 <= n:
        x0 = columns[j, first : first + count]
        x1 = columns[j + 1, first : first + count]
        x2 = columns[j + 2, first : first + count]
        x3 = columns[j + 3, first : first + count]
        w0 = weights[j]
        w1 = weights[j + 1]
        w2 = weights[j + 2]
        w3 = weights[j + 3]
        for t in range(count):
            z[t] += w0 * x0[t] + w1 * x1[t] + w2 * x2[t] + w3 * x3[t]
        j += 4
    while j < n:
        x0 = columns[j, first : first + count]
        for t in range(count):
            z[t] += weights[j] * x0[t]
        j += 1


def _accumulate_by_column(rows, order, first, count, residual, out_gradient):
    columns = rows.T
    n = out_gradient.size
    r = residual[:count]
    zero = residual.dtype.type(0)
    if order.size:
        for j in range(n):
            x0 = columns[j]
            g0 = zero
            for t in range(count):
                g0 += r[t] * x0[order[first + t]]
            out_gradient[j] += g0
        return
    j = 0
    while j + 4 <= n:
        x0 = columns[j, first : first + count]
        x1 = columns[j + 1, first : first + count]
        x2 = columns[j + 2, first : first + count]
        x3 = columns[j + 3, first : first + count]
        g0 = g1 = g2 = g3 = zero
        for t in range(count):
            g0 += r[t] * x0[t]
            g1 += r[t] * x1[t]
            g2 += r[t] * x2[t]
            g3 += r[t] * x3[t]
        out_gradient[j] += g0
        out_gradient[j + 1] += g1
        out_gradient[j + 2] += g2
        out_gradient[j + 3] += g3
        j += 4
    while j < n:
        x0 = columns[j, first : first + count]
        g0 = zero
        for t in range(count):
            g0 += r[t] * x0[t]
        out_gradient[j] += g0
        j += 1
