"""How rows are held, and the two operations that a storage offers: `scores` and `accumulate`.

Both work on a tile: rows ``index[0] ... index[count - 1]`` of X. A storage is a pair of functions, chosen by the type
of ``rows``: C-ordered arrays run along each row, several rows at once so that one load of a weight serves them all;
F-ordered arrays run down each column.
"""

from __future__ import annotations

from .._jit import by_type


@by_type
def scores(rows, index, count, weights, bias, out_z):
    """z_t = sum_j rows[index_t, j] weights_j + bias for t < count."""
    return _scores_by_column if rows.layout == "F" else _scores_by_row


@by_type
def accumulate(rows, index, count, residual, out_gradient):
    """out_gradient_j += sum_t residual_t rows[index_t, j]."""
    return _accumulate_by_column if rows.layout == "F" else _accumulate_by_row


def _scores_by_row(rows, index, count, weights, bias, out_z):
    n = weights.size
    zero = weights.dtype.type(0)
    t = 0
    while t + 4 <= count:
        x0 = rows[index[t]]
        x1 = rows[index[t + 1]]
        x2 = rows[index[t + 2]]
        x3 = rows[index[t + 3]]
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
        x0 = rows[index[t]]
        z0 = zero
        for j in range(n):
            z0 += weights[j] * x0[j]
        out_z[t] = z0 + bias
        t += 1


def _accumulate_by_row(rows, index, count, residual, out_gradient):
    n = out_gradient.size
    t = 0
    while t + 4 <= count:
        x0 = rows[index[t]]
        x1 = rows[index[t + 1]]
        x2 = rows[index[t + 2]]
        x3 = rows[index[t + 3]]
        r0 = residual[t]
        r1 = residual[t + 1]
        r2 = residual[t + 2]
        r3 = residual[t + 3]
        for j in range(n):
            out_gradient[j] += r0 * x0[j] + r1 * x1[j] + r2 * x2[j] + r3 * x3[j]
        t += 4
    while t < count:
        x0 = rows[index[t]]
        r0 = residual[t]
        for j in range(n):
            out_gradient[j] += r0 * x0[j]
        t += 1


def _scores_by_column(rows, index, count, weights, bias, out_z):
    for t in range(count):
        out_z[t] = bias
    for j in range(weights.size):
        x = rows[:, j]
        w = weights[j]
        for t in range(count):
            out_z[t] += w * x[index[t]]


def _accumulate_by_column(rows, index, count, residual, out_gradient):
    for j in range(out_gradient.size):
        x = rows[:, j]
        g = residual.dtype.type(0)
        for t in range(count):
            g += residual[t] * x[index[t]]
        out_gradient[j] += g
