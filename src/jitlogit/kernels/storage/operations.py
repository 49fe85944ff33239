"""The operations on dense rows, chosen by the type of ``rows``; loads widen stored values in registers.

`scores` and `accumulate` work on a tile: the rows at positions ``first ... first + count - 1`` of the order. `add_row`
and `row_score` work on single rows, which are never packed.

Weights, gradients and tiles have PADDING elements behind their last one. Weights are zero there, except with F-ordered
rows, where other features' weights may follow; see `features_walk`.
"""

from __future__ import annotations

from ...compiler.jit import by_type
from ..simd import lanes
from ..steps.row_order import is_own
from . import c_rows, class_rows, f_columns, packed


@by_type
def scores(rows, order, first, count, ahead, weights, bias, out_z):
    """out_z_t = sum_j rows[i_t, j] weights_j + bias for t < count, i_t the row at position first + t.

    Rows from position `ahead` on are prefetched meanwhile, since the next call needs them.
    """
    if rows.ndim == 3:
        return packed.scores
    if rows.layout == "F":
        return f_columns.scores_by_column if is_own(order) else f_columns.scores_by_gathered_column
    return c_rows.scores_by_row


@by_type
def accumulate(rows, order, first, count, residual, out_gradient):
    """out_gradient_j += sum_t residual_t rows[i_t, j] over t < count, i_t the row at position first + t."""
    if rows.ndim == 3:
        return packed.accumulate
    if rows.layout == "F":
        return f_columns.accumulate_by_column if is_own(order) else f_columns.accumulate_by_gathered_column
    return c_rows.accumulate_by_row


@by_type
def class_scores(rows, order, first, count, ahead, weights, bias, out_z):
    """As `scores`, for K classes: weights (K, n), bias (K, 1), out_z (K, count)."""
    return class_rows.class_scores_by_row if rows.layout == "C" else _class_scores_one_by_one


def _class_scores_one_by_one(rows, order, first, count, ahead, weights, bias, out_z):
    for k in range(weights.shape[0]):
        scores(rows, order, first, count, ahead, weights[k], weights.dtype.type(bias[k, 0]), out_z[k])


@by_type
def class_accumulate(rows, order, first, count, ahead, residual, out_gradient):
    """As `accumulate`, for K classes: residual (K, count), out_gradient (K, n); prefetches as `scores` does."""
    return class_rows.class_accumulate_by_row if rows.layout == "C" else _class_accumulate_one_by_one


def _class_accumulate_one_by_one(rows, order, first, count, ahead, residual, out_gradient):
    for k in range(out_gradient.shape[0]):
        accumulate(rows, order, first, count, residual[k], out_gradient[k])


@by_type
def spacing(rows, batch_size):
    """Number of positions from the start of a batch to that of the next; packed batches end with empty places."""
    return _up_to_whole_blocks if getattr(rows, "ndim", 2) == 3 else _close_together


def _close_together(rows, batch_size):
    return batch_size


def _up_to_whole_blocks(rows, batch_size):
    step = lanes.width(rows)
    return (batch_size + step - 1) // step * step


@by_type
def row_score(rows, i, weights):
    """sum_j rows[i, j] weights_j."""
    return f_columns.score_of_strided_row if rows.layout == "F" else c_rows.score_of_single_row


@by_type
def add_row(rows, i, residual, out_gradient):
    """out_gradient_j += residual rows[i, j]; all lanes of `residual` hold the same number."""
    return f_columns.add_strided_row if rows.layout == "F" else c_rows.add_single_row
