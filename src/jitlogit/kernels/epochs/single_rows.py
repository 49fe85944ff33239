"""Batches of one row: a chain of dot product, sigmoid and step in which nothing can be done side by side.

The residual stays in lanes, from the score to the step, since a scalar in between would cost a round trip.
"""

from __future__ import annotations

from ...compiler.jit import strict
from ..simd import lanes
from ..steps import link
from ..steps.row_order import row_at
from ..storage.c_rows import fetch
from ..storage.operations import add_row, row_score

_ROWS_AHEAD = 4


@strict
def step(rows, labels, order, position, with_loss, learning_rate, weights, bias):
    """Update the parameters by the row at a position; return its loss, 0 without `with_loss`."""
    i = row_at(order, position)
    fetch(rows, order, position + _ROWS_AHEAD)
    one = weights.dtype.type(1)
    sign = -one if labels[i] else one
    q = lanes.fill(weights, sign * (row_score(rows, i, weights) + weights.dtype.type(bias[0])))
    residual = link.sigmoid(q) * sign
    add_row(rows, i, residual * weights.dtype.type(-learning_rate), weights)
    bias[0] -= learning_rate * lanes.first_of(residual)
    return lanes.first_of(link.loss(q)) if with_loss else 0.0
