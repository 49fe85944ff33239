"""Small batches by one thread, without a rule or sample weights, with sums in the data's own precision.

A team doesn't pay here, since a barrier takes longer than a batch of a few rows. So `update` also makes the sums.
"""

from __future__ import annotations

from ...compiler.jit import inline, inline_by_type
from ...compiler.types import fields
from ..passes.tile import add_rows
from ..simd import lanes
from ..steps import link
from ..steps.batches import Examples, MemberSpace, Positions
from ..steps.row_order import row_at
from ..steps.update import descend
from ..storage import operations as storage
from ..storage.c_rows import fetch
from .chunks import batch_at, fill_chunks, rate_of, tiles_of

# Rows between the current row and the one that is prefetched. Tuned on Zen 4, two cores.
_ROWS_AHEAD = 4


def begin(batches, work, share, first_batch, stop_batch):
    fill_chunks(batches, share, first_batch, stop_batch)


def sum_share(batches, work, share, batch, stop_batch):
    pass


def update(batches, work, share, batch, is_last, loss_sum):
    first, size = batch_at(batches, batch)
    examples = Examples(batches.rows, batches.labels, batches.order.rows)
    return loss_sum + train(batches, batch, examples, Positions(first, first + size, first + size), work)


def needs_second_barrier(work, is_last):
    return False


@inline
def train(batches, batch, examples, positions, work):
    """Update the parameters by a batch; return the sum of its losses, or 0 without `with_loss`."""
    space = MemberSpace(work.weights[0], work.bias[0], work.gradients[0], work.tiles[0])
    rates = batches.rates
    return _train(examples, positions, tiles_of(batches), rates.with_loss, rate_of(rates, batch), space)


@inline_by_type
def _train(examples, positions, tiles, with_loss, learning_rate, space):
    return _packed_batch if fields(examples)[0].ndim == 3 else _batch


def _packed_batch(examples, positions, tiles, with_loss, learning_rate, space):
    return _several_rows(examples, positions, tiles, with_loss, learning_rate, space)


def _batch(examples, positions, tiles, with_loss, learning_rate, space):
    if positions.stop - positions.first == 1:
        return _single_row(examples, positions.first, with_loss, learning_rate, space)
    return _several_rows(examples, positions, tiles, with_loss, learning_rate, space)


@inline
def _several_rows(examples, positions, tiles, with_loss, learning_rate, space):
    residual_sum, loss_sum = add_rows(examples, positions, tiles, with_loss, space)
    step = learning_rate / (positions.stop - positions.first)
    descend(step, space.gradient, examples.rows.shape[1], space.weights)
    space.bias[0] -= step * residual_sum
    return loss_sum


@inline
def _single_row(examples, position, with_loss, learning_rate, space):
    """Update by a batch of one row.

    Score, residual and step form one chain of dependent operations. The residual stays in lanes throughout, since a
    scalar in between would cost a round trip.
    """
    rows, labels, order = examples
    weights, bias = space.weights, space.bias
    i = row_at(order, position)
    fetch(rows, order, position + _ROWS_AHEAD)
    one = weights.dtype.type(1)
    sign = lanes.fill(weights, -one if labels[i] else one)
    score = lanes.fill(weights, storage.row_score(rows, i, weights) + weights.dtype.type(bias[0]))
    residual = link.residual(score, sign)
    storage.add_row(rows, i, residual * weights.dtype.type(-learning_rate), weights)
    bias[0] -= learning_rate * lanes.first_of(residual)
    return lanes.first_of(link.loss(sign * score)) if with_loss else 0.0
