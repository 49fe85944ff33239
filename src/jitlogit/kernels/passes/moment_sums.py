"""One pass over all rows: sums and sums of squares of the features."""

from __future__ import annotations

from ...compiler.jit import by_type, helper, inline, outline, parallel_kernel, prange
from ...compiler.types import is_none
from ..simd import lanes
from ..steps.shares import share_of
from ..storage.plan import FOLD_ROWS


@by_type
def _weight(sample_weight, i):
    return _no_weight if is_none(sample_weight) else _weight_of_row


def _no_weight(sample_weight, i):
    return 1.0


def _weight_of_row(sample_weight, i):
    return sample_weight[i]


@helper
def _weights(like, sample_weight, i):
    """Lanes with the weights of rows i, i + 1, ..."""
    if sample_weight is None:
        return lanes.fill(like, 1.0)
    return lanes.load(sample_weight, i)


@by_type
def _add_block(rows, sample_weight, shift, start, stop, sums, squares):
    """Add s (x - shift) and s (x - shift)^2 over rows start ... stop - 1 to the sums, in their precision."""
    return _add_by_row if rows.layout == "C" else _add_by_column


def _add_by_row(rows, sample_weight, shift, start, stop, sums, squares):
    n = rows.shape[1]
    step = lanes.width(rows)
    whole = n - n % step
    mask = lanes.first(rows, n - whole)
    for i in range(start, stop):
        s = lanes.fill(sums, _weight(sample_weight, i))
        for j in range(0, whole, step):
            _add(s, lanes.load2(rows, i, j) - lanes.load(shift, j), j, sums, squares)
        if whole < n:
            _add(s, lanes.load2_masked(rows, i, whole, mask) - lanes.load(shift, whole), whole, sums, squares)


@inline
def _add(s, x, j, sums, squares):
    lanes.store(sums, j, lanes.load(sums, j) + s * x)
    lanes.store(squares, j, lanes.load(squares, j) + s * x * x)


def _add_by_column(rows, sample_weight, shift, start, stop, sums, squares):
    step = lanes.width(rows)
    whole = stop - (stop - start) % step
    for j in range(rows.shape[1]):
        origin = lanes.fill(sums, shift[j])
        total = total_of_squares = lanes.fill(sums, 0.0)
        for i in range(start, whole, step):
            x = lanes.load2(rows, i, j) - origin
            s = _weights(sums, sample_weight, i)
            total += s * x
            total_of_squares += s * x * x
        sums[j] += lanes.total(total)
        squares[j] += lanes.total(total_of_squares)
        for i in range(whole, stop):
            s = _weight(sample_weight, i)
            x = lanes.item(rows, i, j) - shift[j]
            sums[j] += s * x
            squares[j] += s * x * x


@parallel_kernel
def moments(rows, sample_weight, shift, blocks, out_sums, members):
    """Sums over the rows of s (x - shift) and of s (x - shift)^2, chunk by chunk, into out_sums (n_chunks, 2, n).

    Weights s are sample_weight (m,), or 1 where that is None. `shift` (n + PADDING,) is zero beyond n, and `blocks`
    (members, 2, n + PADDING) are zeros before and after.
    """
    for member in prange(members):
        share = share_of(member, members, out_sums.shape[0])
        _moments(rows, sample_weight, shift, blocks, share, out_sums)


@outline
def _moments(rows, sample_weight, shift, blocks, share, out_sums):
    m, n = rows.shape
    sums, squares = blocks[share.member, 0], blocks[share.member, 1]
    for c in range(share.first, share.stop):
        totals = out_sums[c]
        totals[:] = 0.0
        end = m * (c + 1) // share.n_chunks
        for start in range(m * c // share.n_chunks, end, FOLD_ROWS):
            _add_block(rows, sample_weight, shift, start, min(start + FOLD_ROWS, end), sums, squares)
            for j in range(n):
                totals[0, j] += sums[j]
                totals[1, j] += squares[j]
                sums[j] = 0
                squares[j] = 0
