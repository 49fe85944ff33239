"""Scores and gradients of C-ordered rows: eight rows at a time, or two.

Rows are scored one after the other, since the processor streams memory at full rate along one row only. Several rows
are added to the gradient together, from the cache: the gradient is then loaded and stored less often.
"""

from __future__ import annotations

from ...compiler.jit import helper, inline
from ..simd import eights, lanes, memory
from ..simd.arrays import LINE_BYTES
from ..steps.row_order import row_at


@helper
def fetch(rows, order, position):
    """Prefetch the row at a position, unless rows are in their own order, which the processor prefetches itself."""
    if order is not None:
        i = row_at(order, min(position, rows.shape[0] - 1))
        for j in range(0, rows.shape[1], LINE_BYTES // rows.itemsize):
            memory.prefetch(rows, i, j)


def score_of_single_row(rows, i, weights):
    return lanes.total(products(rows, i, weights))


def add_single_row(rows, i, residual, out_gradient):
    add_one(rows, i, residual, out_gradient)


@inline
def add_one(rows, i, residual, out_gradient):
    n = rows.shape[1]
    step = lanes.width(rows)
    whole = n - n % step
    for j in range(0, whole, step):
        lanes.store(out_gradient, j, lanes.load(out_gradient, j) + residual * lanes.load2(rows, i, j))
    if whole < n:
        x = lanes.load2_masked(rows, i, whole, lanes.first(rows, n - whole))
        lanes.store(out_gradient, whole, lanes.load(out_gradient, whole) + residual * x)


@inline
def products(rows, i, weights):
    """Half lanes whose total is the score of row i without the bias."""
    n = rows.shape[1]
    step = lanes.half_width(rows)
    by_four = n - n % (4 * step)
    z0 = z1 = z2 = z3 = lanes.fill_half(rows, 0.0)
    for j in range(0, by_four, 4 * step):
        z0 += _product(rows, i, j, weights)
        z1 += _product(rows, i, j + step, weights)
        z2 += _product(rows, i, j + 2 * step, weights)
        z3 += _product(rows, i, j + 3 * step, weights)
    return (z0 + z1) + (z2 + z3) + _rest_of_products(rows, i, by_four, weights)


@inline
def _product(rows, i, j, weights):
    return lanes.load_half(rows, weights, j) * lanes.load2_half(rows, i, j)


@inline
def _rest_of_products(rows, i, first, weights):
    """As `products`, of the features from `first` on."""
    n = rows.shape[1]
    step = lanes.half_width(rows)
    whole = n - n % step
    z = lanes.fill_half(rows, 0.0)
    for j in range(first, whole, step):
        z += _product(rows, i, j, weights)
    if whole < n:
        mask = lanes.first_half(rows, n - whole)
        z += lanes.load_half(rows, weights, whole) * lanes.load2_masked(rows, i, whole, mask)
    return z


def scores_by_row(rows, order, first, count, ahead, weights, bias, out_z):
    n = rows.shape[1]
    step = lanes.width(rows)
    by_eight = count - count % 8
    if n <= step:
        _narrow_scores(rows, order, first, by_eight, ahead, weights, bias, out_z, two=False)
    elif n <= 2 * step:
        _narrow_scores(rows, order, first, by_eight, ahead, weights, bias, out_z, two=True)
    else:
        for t in range(0, by_eight, 8):
            lanes.store(out_z, t, eight_scores(rows, order, first + t, ahead + t, weights) + bias)
    for t in range(by_eight, count):
        fetch(rows, order, ahead + t)
        out_z[t] = lanes.total(products(rows, row_at(order, first + t), weights)) + bias


@inline
def eight_scores(rows, order, first, ahead, weights):
    """Eight lanes: scores, without the bias, of the rows at positions first ... first + 7."""
    for k in range(8):
        fetch(rows, order, ahead + k)
    i = eights.rows_at(order, first)
    eight = (
        products(rows, i[0], weights),
        products(rows, i[1], weights),
        products(rows, i[2], weights),
        products(rows, i[3], weights),
        products(rows, i[4], weights),
        products(rows, i[5], weights),
        products(rows, i[6], weights),
        products(rows, i[7], weights),
    )
    return eights.sums(eight)


def accumulate_by_row(rows, order, first, count, residual, out_gradient):
    n = rows.shape[1]
    step = lanes.width(rows)
    by_eight = count - count % 8
    if n <= step:
        _narrow_accumulate(rows, order, first, by_eight, residual, out_gradient, two=False)
    elif n <= 2 * step:
        _narrow_accumulate(rows, order, first, by_eight, residual, out_gradient, two=True)
    else:
        for t in range(0, by_eight, 8):
            add_eight(rows, eights.rows_at(order, first + t), residual, t, out_gradient)
    for t in range(by_eight, count):
        add_one(rows, row_at(order, first + t), lanes.broadcast(residual, t), out_gradient)


@inline
def add_eight(rows, i, residual, t, out_gradient):
    """out_gradient += residual[t + k] * row i[k], k < 8."""
    n = rows.shape[1]
    step = lanes.width(rows)
    whole = n - n % step
    i = eights.apart(rows, i)
    r = eights.broadcast(residual, t)
    for j in range(0, whole, step):
        lanes.store(out_gradient, j, eights.add_products(lanes.load(out_gradient, j), r, eights.load(rows, i, j)))
    if whole < n:
        x = eights.load_masked(rows, i, whole, lanes.first(rows, n - whole))
        lanes.store(out_gradient, whole, eights.add_products(lanes.load(out_gradient, whole), r, x))


# Narrow rows fit one vector, or two. The weights and the gradient then stay in registers.


@inline
def _narrow_scores(rows, order, first, count, ahead, weights, bias, out_z, two):
    n = rows.shape[1]
    step = lanes.width(rows)
    wa = lanes.load(weights, 0)
    wb = lanes.load(weights, step)
    ma = lanes.first(rows, n)
    mb = lanes.first(rows, n - step)
    for t in range(0, count, 8):
        for k in range(8):
            fetch(rows, order, ahead + t + k)
        i = eights.rows_at(order, first + t)
        eight = (
            _narrow_products(rows, i[0], ma, mb, wa, wb, two),
            _narrow_products(rows, i[1], ma, mb, wa, wb, two),
            _narrow_products(rows, i[2], ma, mb, wa, wb, two),
            _narrow_products(rows, i[3], ma, mb, wa, wb, two),
            _narrow_products(rows, i[4], ma, mb, wa, wb, two),
            _narrow_products(rows, i[5], ma, mb, wa, wb, two),
            _narrow_products(rows, i[6], ma, mb, wa, wb, two),
            _narrow_products(rows, i[7], ma, mb, wa, wb, two),
        )
        lanes.store(out_z, t, eights.sums(eight) + bias)


@inline
def _narrow_accumulate(rows, order, first, count, residual, out_gradient, two):
    n = rows.shape[1]
    step = lanes.width(rows)
    ma = lanes.first(rows, n)
    mb = lanes.first(rows, n - step)
    ga = lanes.load(out_gradient, 0)
    gb = lanes.load(out_gradient, step)
    ha = hb = lanes.fill(rows, 0.0)
    for t in range(0, count, 2):
        i = row_at(order, first + t)
        k = row_at(order, first + t + 1)
        r = lanes.broadcast(residual, t)
        s = lanes.broadcast(residual, t + 1)
        ga += r * lanes.load2_masked(rows, i, 0, ma)
        ha += s * lanes.load2_masked(rows, k, 0, ma)
        if two:
            gb += r * lanes.load2_masked(rows, i, step, mb)
            hb += s * lanes.load2_masked(rows, k, step, mb)
    lanes.store(out_gradient, 0, ga + ha)
    if two:
        lanes.store(out_gradient, step, gb + hb)


@inline
def _narrow_products(rows, i, ma, mb, wa, wb, two):
    a = lanes.load2_masked(rows, i, 0, ma) * wa
    if two:
        a += lanes.load2_masked(rows, i, lanes.width(rows), mb) * wb
    return a


# Pairs: two rows are scored, one after the other, while the two rows before them are added to the gradient. This pays
# where four rows, the weights and the gradient fit into the first-level cache.


@inline
def score_and_add(rows, i, weights, before, c, out_gradient):
    """As `products`; meanwhile add half of the `pair_features` of the pair `before`, from feature c on.

    `before` holds two rows and their residuals, each residual in all half lanes.
    """
    step = lanes.half_width(rows)
    whole = pair_features(rows)
    z0 = z1 = z2 = z3 = lanes.fill_half(rows, 0.0)
    for j in range(0, whole, 8 * step):
        z0 += _product(rows, i, j, weights)
        z1 += _product(rows, i, j + step, weights)
        z2 += _product(rows, i, j + 2 * step, weights)
        z3 += _product(rows, i, j + 3 * step, weights)
        z0 += _product(rows, i, j + 4 * step, weights)
        z1 += _product(rows, i, j + 5 * step, weights)
        z2 += _product(rows, i, j + 6 * step, weights)
        z3 += _product(rows, i, j + 7 * step, weights)
        _add_two(rows, before, c, out_gradient)
        _add_two(rows, before, c + step, out_gradient)
        _add_two(rows, before, c + 2 * step, out_gradient)
        _add_two(rows, before, c + 3 * step, out_gradient)
        c += 4 * step
    return (z0 + z1) + (z2 + z3) + _rest_of_products(rows, i, whole, weights)


@inline
def pair_features(rows):
    """Number of features that two calls of `score_and_add` add; `add_pair` adds the rest."""
    return rows.shape[1] - rows.shape[1] % (8 * lanes.half_width(rows))


@inline
def add_pair(rows, before, first, out_gradient):
    """Add features `first` ... of the pair `before` to the gradient."""
    n = rows.shape[1]
    step = lanes.half_width(rows)
    end = n - n % step
    for j in range(first, end, step):
        _add_two(rows, before, j, out_gradient)
    if end < n:
        mask = lanes.first_half(rows, n - end)
        g = before[2] * lanes.load2_masked(rows, before[0], end, mask)
        g += before[3] * lanes.load2_masked(rows, before[1], end, mask)
        lanes.store(out_gradient, end, lanes.load_half(rows, out_gradient, end) + g)


@inline
def _add_two(rows, before, j, out_gradient):
    g = lanes.load_half(rows, out_gradient, j) + before[2] * lanes.load2_half(rows, before[0], j)
    lanes.store(out_gradient, j, g + before[3] * lanes.load2_half(rows, before[1], j))
