"""How rows are held, and the two operations that a storage offers: `scores` and `accumulate`.

Both work on a tile: the rows at positions ``first ... first + count - 1`` of the order. A storage is a pair of
functions, chosen by the type of ``rows``. What is stored is widened in registers, see `lanes`.

C-ordered rows are scored one after the other, since the processor streams memory at full rate along one line only, and
added to the gradient eight at a time, from the cache, since the gradient is then loaded and stored an eighth as often.
F-ordered rows are taken a few vectors of rows at a time, column after column.

Weights, gradients and tiles have room for eight vectors beyond their last element; weights are zero there.
"""

from __future__ import annotations

from .._jit import by_type, inline
from . import lanes, memory
from .order import is_own, row_at
from .packed import packed_accumulate, packed_scores

LINE_BYTES = 64
# The processor takes too long to foresee that a column goes on: the ones to come are asked for, if that is long enough.
_COLUMNS_AHEAD = 8
_SHORT_RUN = 4


@by_type
def scores(rows, order, first, count, ahead, weights, bias, out_z):
    """z_t = sum_j rows[i_t, j] weights_j + bias for t < count, i_t the row at position first + t.

    Rows from position `ahead` on come next: where the order isn't their own, their memory is asked for meanwhile.
    """
    if rows.ndim == 3:
        return packed_scores
    if rows.layout == "F":
        return _scores_by_column if is_own(order) else _scores_by_gathered_column
    return _scores_by_row


@by_type
def accumulate(rows, order, first, count, residual, out_gradient):
    """out_gradient_j += sum_t residual_t rows[i_t, j] over t < count, i_t the row at position first + t."""
    if rows.ndim == 3:
        return packed_accumulate
    if rows.layout == "F":
        return _accumulate_by_column if is_own(order) else _accumulate_by_gathered_column
    return _accumulate_by_row


@by_type
def spacing(rows, batch_size):
    """Positions from the start of a batch to that of the next."""
    return _up_to_whole_blocks if rows.ndim == 3 else _close_together


def _close_together(rows, batch_size):
    return batch_size


def _up_to_whole_blocks(rows, batch_size):
    step = lanes.width(rows)
    return (batch_size + step - 1) // step * step


@by_type
def row_score(rows, i, weights):
    """sum_j rows[i, j] weights_j."""
    return _score_of_strided_row if rows.layout == "F" else _score_of_row


@by_type
def add_row(rows, i, residual, out_gradient):
    """out_gradient_j += residual rows[i, j], the residual in all lanes."""
    return _add_strided_row if rows.layout == "F" else _add_row


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


def _score_of_row(rows, i, weights):
    return lanes.total(products(rows, i, weights))


def _add_row(rows, i, residual, out_gradient):
    n = rows.shape[1]
    step = lanes.width(rows)
    whole = n - n % step
    for j in range(0, whole, step):
        lanes.store(out_gradient, j, lanes.load(out_gradient, j) + residual * lanes.load2(rows, i, j))
    if whole < n:
        x = lanes.load2_masked(rows, i, whole, lanes.first(rows, n - whole))
        lanes.store(out_gradient, whole, lanes.load(out_gradient, whole) + residual * x)


def _score_of_strided_row(rows, i, weights):
    z = weights.dtype.type(0)
    for j in range(rows.shape[1]):
        z += weights[j] * lanes.item(rows, i, j)
    return z


def _add_strided_row(rows, i, residual, out_gradient):
    r = lanes.first_of(residual)
    for j in range(rows.shape[1]):
        out_gradient[j] += r * lanes.item(rows, i, j)


@inline
def products(rows, i, weights):
    """Lanes whose sum is the product of row i and the weights."""
    n = rows.shape[1]
    step = lanes.width(rows)
    whole = n - n % step
    by_four = n - n % (4 * step)
    z0 = z1 = z2 = z3 = lanes.fill(rows, 0.0)
    for j in range(0, by_four, 4 * step):
        z0 += lanes.load(weights, j) * lanes.load2(rows, i, j)
        z1 += lanes.load(weights, j + step) * lanes.load2(rows, i, j + step)
        z2 += lanes.load(weights, j + 2 * step) * lanes.load2(rows, i, j + 2 * step)
        z3 += lanes.load(weights, j + 3 * step) * lanes.load2(rows, i, j + 3 * step)
    for j in range(by_four, whole, step):
        z0 += lanes.load(weights, j) * lanes.load2(rows, i, j)
    if whole < n:
        z1 += lanes.load(weights, whole) * lanes.load2_masked(rows, i, whole, lanes.first(rows, n - whole))
    return (z0 + z1) + (z2 + z3)


@inline
def narrow_products(rows, i, weights0, weights1, mask0, mask1):
    """As `products`, of rows of up to two vectors."""
    step = lanes.width(rows)
    x0 = lanes.load2_masked(rows, i, 0, mask0)
    return x0 * weights0 + lanes.load2_masked(rows, i, step, mask1) * weights1


def _scores_by_row(rows, order, first, count, ahead, weights, bias, out_z):
    by_eight = count - count % 8
    step = lanes.width(rows)
    if rows.shape[1] <= 2 * step:
        w0 = lanes.load(weights, 0)
        w1 = lanes.load(weights, step)
        m0 = lanes.first(rows, rows.shape[1])
        m1 = lanes.first(rows, rows.shape[1] - step)
        for t in range(0, by_eight, 8):
            for k in range(8):
                fetch(rows, order, ahead + t + k)
            i = first + t
            z0 = narrow_products(rows, row_at(order, i), w0, w1, m0, m1)
            z1 = narrow_products(rows, row_at(order, i + 1), w0, w1, m0, m1)
            z2 = narrow_products(rows, row_at(order, i + 2), w0, w1, m0, m1)
            z3 = narrow_products(rows, row_at(order, i + 3), w0, w1, m0, m1)
            z4 = narrow_products(rows, row_at(order, i + 4), w0, w1, m0, m1)
            z5 = narrow_products(rows, row_at(order, i + 5), w0, w1, m0, m1)
            z6 = narrow_products(rows, row_at(order, i + 6), w0, w1, m0, m1)
            z7 = narrow_products(rows, row_at(order, i + 7), w0, w1, m0, m1)
            lanes.store(out_z, t, lanes.sums8(z0, z1, z2, z3, z4, z5, z6, z7) + bias)
    else:
        for t in range(0, by_eight, 8):
            for k in range(8):  # beyond t, out_z is room to work in
                fetch(rows, order, ahead + t + k)
                lanes.store(out_z, t + k * step, products(rows, row_at(order, first + t + k), weights))
            z0 = lanes.load(out_z, t)
            z1 = lanes.load(out_z, t + step)
            z2 = lanes.load(out_z, t + 2 * step)
            z3 = lanes.load(out_z, t + 3 * step)
            z4 = lanes.load(out_z, t + 4 * step)
            z5 = lanes.load(out_z, t + 5 * step)
            z6 = lanes.load(out_z, t + 6 * step)
            z7 = lanes.load(out_z, t + 7 * step)
            lanes.store(out_z, t, lanes.sums8(z0, z1, z2, z3, z4, z5, z6, z7) + bias)
    for t in range(by_eight, count):
        out_z[t] = lanes.total(products(rows, row_at(order, first + t), weights)) + bias


def _accumulate_by_row(rows, order, first, count, residual, out_gradient):
    n = rows.shape[1]
    step = lanes.width(rows)
    by_eight = count - count % 8
    if n <= 2 * step:
        m0 = lanes.first(rows, n)
        m1 = lanes.first(rows, n - step)
        g0 = lanes.load(out_gradient, 0)
        g1 = lanes.load(out_gradient, step)
        h0 = h1 = lanes.fill(rows, 0.0)
        for t in range(0, count - count % 2, 2):
            i0 = row_at(order, first + t)
            i1 = row_at(order, first + t + 1)
            r0 = lanes.fill(rows, residual[t])
            r1 = lanes.fill(rows, residual[t + 1])
            g0 += r0 * lanes.load2_masked(rows, i0, 0, m0)
            g1 += r0 * lanes.load2_masked(rows, i0, step, m1)
            h0 += r1 * lanes.load2_masked(rows, i1, 0, m0)
            h1 += r1 * lanes.load2_masked(rows, i1, step, m1)
        if count % 2:
            i0 = row_at(order, first + count - 1)
            r0 = lanes.fill(rows, residual[count - 1])
            g0 += r0 * lanes.load2_masked(rows, i0, 0, m0)
            g1 += r0 * lanes.load2_masked(rows, i0, step, m1)
        lanes.store(out_gradient, 0, g0 + h0)
        lanes.store(out_gradient, step, g1 + h1)
        return
    for t in range(0, by_eight, 8):
        add_eight(rows, order, first + t, residual[t : t + 8], out_gradient)
    for t in range(by_eight, count):
        add_row(rows, row_at(order, first + t), lanes.fill(rows, residual[t]), out_gradient)


@inline
def add_eight(rows, order, first, residual, out_gradient):
    """out_gradient += residual_t * the row at position first + t, t < 8."""
    n = rows.shape[1]
    step = lanes.width(rows)
    whole = n - n % step
    i0 = row_at(order, first)
    i1 = row_at(order, first + 1)
    i2 = row_at(order, first + 2)
    i3 = row_at(order, first + 3)
    i4 = row_at(order, first + 4)
    i5 = row_at(order, first + 5)
    i6 = row_at(order, first + 6)
    i7 = row_at(order, first + 7)
    r0 = lanes.fill(rows, residual[0])
    r1 = lanes.fill(rows, residual[1])
    r2 = lanes.fill(rows, residual[2])
    r3 = lanes.fill(rows, residual[3])
    r4 = lanes.fill(rows, residual[4])
    r5 = lanes.fill(rows, residual[5])
    r6 = lanes.fill(rows, residual[6])
    r7 = lanes.fill(rows, residual[7])
    for j in range(0, whole, step):
        g = r0 * lanes.load2(rows, i0, j) + r1 * lanes.load2(rows, i1, j)
        h = r2 * lanes.load2(rows, i2, j) + r3 * lanes.load2(rows, i3, j)
        g += r4 * lanes.load2(rows, i4, j) + r5 * lanes.load2(rows, i5, j)
        h += r6 * lanes.load2(rows, i6, j) + r7 * lanes.load2(rows, i7, j)
        lanes.store(out_gradient, j, lanes.load(out_gradient, j) + (g + h))
    if whole < n:
        j = whole
        mask = lanes.first(rows, n - whole)
        g = r0 * lanes.load2_masked(rows, i0, j, mask) + r1 * lanes.load2_masked(rows, i1, j, mask)
        h = r2 * lanes.load2_masked(rows, i2, j, mask) + r3 * lanes.load2_masked(rows, i3, j, mask)
        g += r4 * lanes.load2_masked(rows, i4, j, mask) + r5 * lanes.load2_masked(rows, i5, j, mask)
        h += r6 * lanes.load2_masked(rows, i6, j, mask) + r7 * lanes.load2_masked(rows, i7, j, mask)
        lanes.store(out_gradient, j, lanes.load(out_gradient, j) + (g + h))


def _scores_by_column(rows, order, first, count, ahead, weights, bias, out_z):
    n = rows.shape[1]
    step = lanes.width(rows)
    whole = count - count % step
    by_four = n - n % 4
    long = whole > _SHORT_RUN * step
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
            if long:
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


def _accumulate_by_column(rows, order, first, count, residual, out_gradient):
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


def _scores_by_gathered_column(rows, order, first, count, ahead, weights, bias, out_z):
    step = lanes.width(rows)
    for t in range(0, count, step):
        used = min(count - t, step)
        z = lanes.fill(rows, bias)
        for j in range(rows.shape[1]):
            z += lanes.fill(rows, weights[j]) * memory.gather(rows, order, first + t, used, j)
        lanes.store(out_z, t, z)


def _accumulate_by_gathered_column(rows, order, first, count, residual, out_gradient):
    step = lanes.width(rows)
    for j in range(rows.shape[1]):
        g = lanes.fill(rows, 0.0)
        for t in range(0, count, step):
            used = min(count - t, step)
            r = lanes.where(lanes.first(rows, used), lanes.load(residual, t), 0.0)
            g += r * memory.gather(rows, order, first + t, used, j)
        out_gradient[j] += lanes.total(g)
