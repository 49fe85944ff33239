"""C-ordered rows and several classes: eight rows and two classes at a time, so that what is loaded is used twice."""

from __future__ import annotations

from ...compiler.jit import inline
from ..simd import eights, lanes, memory
from ..steps.row_order import row_at
from .c_rows import add_eight, add_one, eight_rows, fetch, products


def class_scores_by_row(rows, order, first, count, ahead, weights, bias, out_z):
    n_classes = weights.shape[0]
    pairs = n_classes - n_classes % 2
    by_eight = count - count % 8
    for t in range(0, by_eight, 8):
        i = eight_rows(order, first + t)
        for p in range(2 * ((n_classes + 1) // 2), 8):  # of few classes, the others aren't asked for below
            fetch(rows, order, ahead + t + p)
        for k in range(0, pairs, 2):
            upcoming = _upcoming(rows, order, ahead + t, k // 2)
            a, b = _scores_of_two(rows, i, weights[k], weights[k + 1], upcoming)
            lanes.store(out_z[k], t, a + weights.dtype.type(bias[k, 0]))
            lanes.store(out_z[k + 1], t, b + weights.dtype.type(bias[k + 1, 0]))
        if pairs < n_classes:
            upcoming = _upcoming(rows, order, ahead + t, pairs // 2)
            a, _ = _scores_of_two(rows, i, weights[pairs], weights[pairs], upcoming)
            lanes.store(out_z[pairs], t, a + weights.dtype.type(bias[pairs, 0]))
    for t in range(by_eight, count):
        fetch(rows, order, ahead + t)
        row = row_at(order, first + t)
        for k in range(n_classes):
            out_z[k, t] = lanes.total(products(rows, row, weights[k])) + weights.dtype.type(bias[k, 0])


@inline
def _upcoming(rows, order, ahead, k):
    """Which row's memory is asked for, a line at a time, while eight rows are computed with the k-th time: one stream
    at the pace of the computing, beside which the processor still finds time for it."""
    return row_at(order, min(ahead + k % 8, rows.shape[0] - 1))


@inline
def _scores_of_two(rows, i, wa, wb, upcoming):
    """Twice eight lanes: products of eight rows and two classes' weights; meanwhile an upcoming row is asked for."""
    n = rows.shape[1]
    step = lanes.width(rows)
    whole = n - n % step
    nothing = lanes.fill(rows, 0.0)
    a = b = (nothing, nothing, nothing, nothing, nothing, nothing, nothing, nothing)
    for j in range(0, whole, step):
        memory.prefetch(rows, upcoming, j)
        x = _eight(rows, i, j)
        a = _multiplied(a, x, lanes.load(wa, j))
        b = _multiplied(b, x, lanes.load(wb, j))
    if whole < n:
        memory.prefetch(rows, upcoming, whole)
        x = _masked_eight(rows, i, whole, lanes.first(rows, n - whole))
        a = _multiplied(a, x, lanes.load(wa, whole))
        b = _multiplied(b, x, lanes.load(wb, whole))
    return (
        eights.sums(a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7]),
        eights.sums(b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]),
    )


@inline
def _eight(rows, i, j):
    return (
        lanes.load2(rows, i[0], j),
        lanes.load2(rows, i[1], j),
        lanes.load2(rows, i[2], j),
        lanes.load2(rows, i[3], j),
        lanes.load2(rows, i[4], j),
        lanes.load2(rows, i[5], j),
        lanes.load2(rows, i[6], j),
        lanes.load2(rows, i[7], j),
    )


@inline
def _masked_eight(rows, i, j, mask):
    return (
        lanes.load2_masked(rows, i[0], j, mask),
        lanes.load2_masked(rows, i[1], j, mask),
        lanes.load2_masked(rows, i[2], j, mask),
        lanes.load2_masked(rows, i[3], j, mask),
        lanes.load2_masked(rows, i[4], j, mask),
        lanes.load2_masked(rows, i[5], j, mask),
        lanes.load2_masked(rows, i[6], j, mask),
        lanes.load2_masked(rows, i[7], j, mask),
    )


@inline
def _multiplied(total, x, w):
    """total + x w, eight times."""
    return (
        total[0] + x[0] * w,
        total[1] + x[1] * w,
        total[2] + x[2] * w,
        total[3] + x[3] * w,
        total[4] + x[4] * w,
        total[5] + x[5] * w,
        total[6] + x[6] * w,
        total[7] + x[7] * w,
    )


def class_accumulate_by_row(rows, order, first, count, ahead, residual, out_gradient):
    n_classes = out_gradient.shape[0]
    pairs = n_classes - n_classes % 2
    by_eight = count - count % 8
    for t in range(0, by_eight, 8):
        i = eight_rows(order, first + t)
        for k in range(0, pairs, 2):
            upcoming = _upcoming(rows, order, ahead + t, (n_classes + 1) // 2 + k // 2)
            a, b = out_gradient[k], out_gradient[k + 1]
            _add_eight_to_two(rows, i, residual[k], residual[k + 1], t, a, b, upcoming)
        if pairs < n_classes:
            add_eight(rows, i, residual[pairs], t, out_gradient[pairs])
    for t in range(by_eight, count):
        row = row_at(order, first + t)
        for k in range(n_classes):
            add_one(rows, row, lanes.broadcast(residual[k], t), out_gradient[k])


@inline
def _add_eight_to_two(rows, i, residual_a, residual_b, t, gradient_a, gradient_b, upcoming):
    """gradient_a += residual_a[t + k] * row i[k], and b's likewise, k < 8."""
    n = rows.shape[1]
    step = lanes.width(rows)
    whole = n - n % step
    a, b = _broadcasts(residual_a, t), _broadcasts(residual_b, t)
    for j in range(0, whole, step):
        memory.prefetch(rows, upcoming, j)
        x = _eight(rows, i, j)
        lanes.store(gradient_a, j, _added(lanes.load(gradient_a, j), a, x))
        lanes.store(gradient_b, j, _added(lanes.load(gradient_b, j), b, x))
    if whole < n:
        memory.prefetch(rows, upcoming, whole)
        x = _masked_eight(rows, i, whole, lanes.first(rows, n - whole))
        lanes.store(gradient_a, whole, _added(lanes.load(gradient_a, whole), a, x))
        lanes.store(gradient_b, whole, _added(lanes.load(gradient_b, whole), b, x))


@inline
def _broadcasts(residual, t):
    return (
        lanes.broadcast(residual, t),
        lanes.broadcast(residual, t + 1),
        lanes.broadcast(residual, t + 2),
        lanes.broadcast(residual, t + 3),
        lanes.broadcast(residual, t + 4),
        lanes.broadcast(residual, t + 5),
        lanes.broadcast(residual, t + 6),
        lanes.broadcast(residual, t + 7),
    )


@inline
def _added(g, r, x):
    """g + r . x."""
    g += r[0] * x[0]
    g += r[1] * x[1]
    g += r[2] * x[2]
    g += r[3] * x[3]
    g += r[4] * x[4]
    g += r[5] * x[5]
    g += r[6] * x[6]
    return g + r[7] * x[7]
