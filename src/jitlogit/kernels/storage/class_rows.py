"""C-ordered rows and several classes: eight rows and two classes at a time, so that each loaded value is used twice."""

from __future__ import annotations

from ...compiler.jit import inline
from ..simd import eights, lanes, memory
from ..steps.row_order import row_at
from . import c_rows


def class_scores_by_row(rows, order, first, count, ahead, weights, bias, out_z):
    n_classes = weights.shape[0]
    pairs = n_classes - n_classes % 2
    by_eight = count - count % 8
    for t in range(0, by_eight, 8):
        i = eights.rows_at(order, first + t)
        for p in range(2 * ((n_classes + 1) // 2), 8):  # few classes: the loop below prefetches fewer than eight rows
            c_rows.fetch(rows, order, ahead + t + p)
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
        c_rows.fetch(rows, order, ahead + t)
        row = row_at(order, first + t)
        for k in range(n_classes):
            out_z[k, t] = lanes.total(c_rows.products(rows, row, weights[k])) + weights.dtype.type(bias[k, 0])


@inline
def _upcoming(rows, order, ahead, k):
    """The row to prefetch, line by line, during the k-th computation with eight rows.

    One stream of prefetches at the pace of the computation delays it least.
    """
    return row_at(order, min(ahead + k % 8, rows.shape[0] - 1))


@inline
def _scores_of_two(rows, i, wa, wb, upcoming):
    """Eight lanes for each of two classes: scores of eight rows without the bias; prefetches the row `upcoming`."""
    n = rows.shape[1]
    step = lanes.width(rows)
    whole = n - n % step
    a = b = eights.no_sums(rows)
    for j in range(0, whole, step):
        memory.prefetch(rows, upcoming, j)
        x = eights.load(rows, i, j)
        a = eights.add_products_by(a, x, lanes.load(wa, j))
        b = eights.add_products_by(b, x, lanes.load(wb, j))
    if whole < n:
        memory.prefetch(rows, upcoming, whole)
        x = eights.load_masked(rows, i, whole, lanes.first(rows, n - whole))
        a = eights.add_products_by(a, x, lanes.load(wa, whole))
        b = eights.add_products_by(b, x, lanes.load(wb, whole))
    return eights.sums(a), eights.sums(b)


def class_accumulate_by_row(rows, order, first, count, ahead, residual, out_gradient):
    n_classes = out_gradient.shape[0]
    pairs = n_classes - n_classes % 2
    by_eight = count - count % 8
    for t in range(0, by_eight, 8):
        i = eights.rows_at(order, first + t)
        for k in range(0, pairs, 2):
            upcoming = _upcoming(rows, order, ahead + t, (n_classes + 1) // 2 + k // 2)
            a, b = out_gradient[k], out_gradient[k + 1]
            _add_eight_to_two(rows, i, residual[k], residual[k + 1], t, a, b, upcoming)
        if pairs < n_classes:
            c_rows.add_eight(rows, i, residual[pairs], t, out_gradient[pairs])
    for t in range(by_eight, count):
        row = row_at(order, first + t)
        for k in range(n_classes):
            c_rows.add_one(rows, row, lanes.broadcast(residual[k], t), out_gradient[k])


@inline
def _add_eight_to_two(rows, i, residual_a, residual_b, t, gradient_a, gradient_b, upcoming):
    """As `c_rows.add_eight`, for two classes; prefetches the row `upcoming`."""
    n = rows.shape[1]
    step = lanes.width(rows)
    whole = n - n % step
    a, b = eights.broadcast(residual_a, t), eights.broadcast(residual_b, t)
    for j in range(0, whole, step):
        memory.prefetch(rows, upcoming, j)
        x = eights.load(rows, i, j)
        lanes.store(gradient_a, j, eights.add_products(lanes.load(gradient_a, j), a, x))
        lanes.store(gradient_b, j, eights.add_products(lanes.load(gradient_b, j), b, x))
    if whole < n:
        memory.prefetch(rows, upcoming, whole)
        x = eights.load_masked(rows, i, whole, lanes.first(rows, n - whole))
        lanes.store(gradient_a, whole, eights.add_products(lanes.load(gradient_a, whole), a, x))
        lanes.store(gradient_b, whole, eights.add_products(lanes.load(gradient_b, whole), b, x))
