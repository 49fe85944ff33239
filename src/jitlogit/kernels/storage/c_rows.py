"""C-ordered rows, in groups of eight, in pairs, or of one or two vectors.

Rows are scored one after the other, since the processor streams memory at full rate along one line only, and added to
the gradient several at a time, from the cache, since the gradient is then loaded and stored less often.
"""

from __future__ import annotations

from ...compiler.jit import by_type, inline
from ..simd import eights, lanes, memory
from ..simd.arrays import LINE_BYTES
from ..steps.row_order import is_own, row_at


@by_type
def fetch(rows, order, position):
    """Ask for the memory of the row at a position, where the processor can't foresee it."""
    return _fetch_nothing if is_own(order) else _fetch_row


def _fetch_nothing(rows, order, position):
    pass


def _fetch_row(rows, order, position):
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
    """Half lanes whose sum is the product of row i and the weights."""
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
    """Of the features from one on."""
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


@inline
def eight_rows(order, first):
    """The rows at positions first ... first + 7."""
    return (
        row_at(order, first),
        row_at(order, first + 1),
        row_at(order, first + 2),
        row_at(order, first + 3),
        row_at(order, first + 4),
        row_at(order, first + 5),
        row_at(order, first + 6),
        row_at(order, first + 7),
    )


def scores_by_row(rows, order, first, count, ahead, weights, bias, out_z):
    n = rows.shape[1]
    step = lanes.width(rows)
    by_eight = count - count % 8
    if n <= step:
        _narrow_scores(rows, order, first, by_eight, ahead, weights, bias, out_z, False)
    elif n <= 2 * step:
        _narrow_scores(rows, order, first, by_eight, ahead, weights, bias, out_z, True)
    else:
        for t in range(0, by_eight, 8):
            lanes.store(out_z, t, eight_scores(rows, order, first + t, ahead + t, weights) + bias)
    for t in range(by_eight, count):
        fetch(rows, order, ahead + t)
        out_z[t] = lanes.total(products(rows, row_at(order, first + t), weights)) + bias


@inline
def eight_scores(rows, order, first, ahead, weights):
    """Eight lanes: products of the rows from a position on and the weights."""
    for k in range(8):
        fetch(rows, order, ahead + k)
    i = eight_rows(order, first)
    return eights.sums(
        products(rows, i[0], weights),
        products(rows, i[1], weights),
        products(rows, i[2], weights),
        products(rows, i[3], weights),
        products(rows, i[4], weights),
        products(rows, i[5], weights),
        products(rows, i[6], weights),
        products(rows, i[7], weights),
    )


def accumulate_by_row(rows, order, first, count, residual, out_gradient):
    n = rows.shape[1]
    step = lanes.width(rows)
    by_eight = count - count % 8
    if n <= step:
        _narrow_accumulate(rows, order, first, by_eight, residual, out_gradient, False)
    elif n <= 2 * step:
        _narrow_accumulate(rows, order, first, by_eight, residual, out_gradient, True)
    else:
        for t in range(0, by_eight, 8):
            add_eight(rows, eight_rows(order, first + t), residual, t, out_gradient)
    for t in range(by_eight, count):
        add_one(rows, row_at(order, first + t), lanes.broadcast(residual, t), out_gradient)


@inline
def add_eight(rows, i, residual, t, out_gradient):
    """out_gradient += residual[t + k] * row i[k], k < 8."""
    n = rows.shape[1]
    step = lanes.width(rows)
    whole = n - n % step
    i0, i1, i2, i3, i4, i5, i6, i7 = _apart(rows, i)
    r0 = lanes.broadcast(residual, t)
    r1 = lanes.broadcast(residual, t + 1)
    r2 = lanes.broadcast(residual, t + 2)
    r3 = lanes.broadcast(residual, t + 3)
    r4 = lanes.broadcast(residual, t + 4)
    r5 = lanes.broadcast(residual, t + 5)
    r6 = lanes.broadcast(residual, t + 6)
    r7 = lanes.broadcast(residual, t + 7)
    for j in range(0, whole, step):
        g = lanes.load(out_gradient, j) + r0 * lanes.load2(rows, i0, j)
        g += r1 * lanes.load2(rows, i1, j)
        g += r2 * lanes.load2(rows, i2, j)
        g += r3 * lanes.load2(rows, i3, j)
        g += r4 * lanes.load2(rows, i4, j)
        g += r5 * lanes.load2(rows, i5, j)
        g += r6 * lanes.load2(rows, i6, j)
        lanes.store(out_gradient, j, g + r7 * lanes.load2(rows, i7, j))
    if whole < n:
        j = whole
        mask = lanes.first(rows, n - whole)
        g = lanes.load(out_gradient, j) + r0 * lanes.load2_masked(rows, i0, j, mask)
        g += r1 * lanes.load2_masked(rows, i1, j, mask)
        g += r2 * lanes.load2_masked(rows, i2, j, mask)
        g += r3 * lanes.load2_masked(rows, i3, j, mask)
        g += r4 * lanes.load2_masked(rows, i4, j, mask)
        g += r5 * lanes.load2_masked(rows, i5, j, mask)
        g += r6 * lanes.load2_masked(rows, i6, j, mask)
        lanes.store(out_gradient, j, g + r7 * lanes.load2_masked(rows, i7, j, mask))


@inline
def _apart(rows, i):
    """The same eight rows, of which the compiler can't tell that they follow each other: it would work out their
    addresses anew, one from the other, in each step."""
    last = rows.shape[0] - 1
    return (
        min(i[0], last),
        min(i[1], last),
        min(i[2], last),
        min(i[3], last),
        min(i[4], last),
        min(i[5], last),
        min(i[6], last),
        min(i[7], last),
    )


# Rows of one or two vectors.


@inline
def _narrow_scores(rows, order, first, count, ahead, weights, bias, out_z, two):
    n = rows.shape[1]
    step = lanes.width(rows)
    wa = lanes.load(weights, 0)
    wb = lanes.load(weights, step)
    ma = lanes.first(rows, n)
    mb = lanes.first(rows, n - step)
    for t in range(0, count, 8):
        lanes.store(out_z, t, _narrow_eight(rows, order, first + t, ahead + t, ma, mb, wa, wb, two) + bias)


@inline
def _narrow_eight(rows, order, first, ahead, ma, mb, wa, wb, two):
    for k in range(8):
        fetch(rows, order, ahead + k)
    i = eight_rows(order, first)
    return eights.sums(
        _narrow_products(rows, i[0], ma, mb, wa, wb, two),
        _narrow_products(rows, i[1], ma, mb, wa, wb, two),
        _narrow_products(rows, i[2], ma, mb, wa, wb, two),
        _narrow_products(rows, i[3], ma, mb, wa, wb, two),
        _narrow_products(rows, i[4], ma, mb, wa, wb, two),
        _narrow_products(rows, i[5], ma, mb, wa, wb, two),
        _narrow_products(rows, i[6], ma, mb, wa, wb, two),
        _narrow_products(rows, i[7], ma, mb, wa, wb, two),
    )


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


# Two rows are scored, one after the other, while the two before them are added: for rows of which four, the weights and
# the gradient fit into the first-level cache.


@inline
def score_and_add(rows, i, weights, before, c, out_gradient):
    """Half lanes whose sum is the product of row i and the weights; meanwhile, of the two rows before, half of the
    `pair_features` are added, from feature c on.

    `before`: two rows and their residuals, in half lanes.
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
    """Features that `score_and_add` adds."""
    return rows.shape[1] - rows.shape[1] % (8 * lanes.half_width(rows))


@inline
def add_pair(rows, before, first, out_gradient):
    """Add the two rows before to the gradient, from a feature on."""
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
