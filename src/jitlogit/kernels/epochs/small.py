"""Epochs of small batches by one thread, without a rule or sample weights, with sums in the data's own precision.

A team doesn't pay here, since a barrier takes longer than a batch of a few rows.
"""

from __future__ import annotations

from ...compiler.jit import inline, inline_by_type, kernel
from ..passes.tile import add_rows
from ..simd import lanes
from ..steps import link
from ..steps.batches import Batches, Examples, Positions, Room
from ..steps.row_order import fill_order, row_at
from ..steps.update import descend
from ..storage import operations as storage
from ..storage.c_rows import fetch
from ..storage.turned import turn_batches
from .chunks import batch_at, rate_of

# Rows between the current row and the one that is prefetched. Tuned on Zen 4, two cores.
_ROWS_AHEAD = 4


@kernel
def small_epoch(rows, labels, order, cut, rates, rule, work, control, out_loss_sum, members):
    """As `epoch`; `control` and `members` are ignored, and `rule` is None."""
    batches, room = Batches(rows, labels, order, cut, rates, rule), _room(work)
    examples = Examples(rows, labels, order.rows)
    spacing = storage.spacing(rows, cut.batch_size)
    loss_sum = 0.0
    fill_order(order, 0, labels.size, order.rows)
    for batch in range((labels.size + spacing - 1) // spacing):
        first, size = batch_at(batches, batch)
        positions = Positions(first, first + size, first + size)
        loss_sum += _train(examples, positions, cut.tile_rows, rates.with_loss, rate_of(rates, batch), room)
    out_loss_sum[0] = loss_sum


@kernel
def turned_epoch(rows, labels, order, cut, rates, rule, work, control, out_loss_sum, members):
    """As `small_epoch`, on turned copies of F-ordered rows, whose batches may be in any order."""
    batches, room = Batches(rows, labels, order, cut, rates, rule), _room(work)
    batch_size = cut.batch_size
    n_batches = (rows.shape[0] + batch_size - 1) // batch_size
    group = work.turned.shape[0] // batch_size
    loss_sum = 0.0
    for batch in range(n_batches):
        if batch % group == 0:
            turn_batches(rows, order, batch_size, batch, min(batch + group, n_batches), work.turned)
        first, size = batch_at(batches, batch)
        place = batch % group * batch_size
        examples = Examples(work.turned[place : place + size], labels[first:], None)
        positions = Positions(0, size, size)
        loss_sum += _train(examples, positions, cut.tile_rows, rates.with_loss, rate_of(rates, batch), room)
    out_loss_sum[0] = loss_sum


@inline
def _room(work):
    return Room(work.weights[0], work.bias[0], work.gradients[0], work.tiles[0])


@inline_by_type
def _train(examples, positions, tile_rows, with_loss, learning_rate, room):
    """Update the parameters by a batch; return the sum of its losses, or 0 without `with_loss`."""
    return _packed_batch if examples.types[0].ndim == 3 else _batch


def _packed_batch(examples, positions, tile_rows, with_loss, learning_rate, room):
    return _several_rows(examples, positions, tile_rows, with_loss, learning_rate, room)


def _batch(examples, positions, tile_rows, with_loss, learning_rate, room):
    if positions.stop - positions.first == 1:
        return _single_row(examples, positions.first, with_loss, learning_rate, room)
    return _several_rows(examples, positions, tile_rows, with_loss, learning_rate, room)


@inline
def _several_rows(examples, positions, tile_rows, with_loss, learning_rate, room):
    residual_sum, loss_sum = add_rows(examples, positions, tile_rows, with_loss, room)
    step = learning_rate / (positions.stop - positions.first)
    descend(step, room.gradient, examples.rows.shape[1], room.weights)
    room.bias[0] -= step * residual_sum
    return loss_sum


@inline
def _single_row(examples, position, with_loss, learning_rate, room):
    """Update by a batch of one row.

    Score, residual and step form one chain of dependent operations. The residual stays in lanes throughout, since a
    scalar in between would cost a round trip.
    """
    rows, labels, order = examples
    weights, bias = room.weights, room.bias
    i = row_at(order, position)
    fetch(rows, order, position + _ROWS_AHEAD)
    one = weights.dtype.type(1)
    sign = lanes.fill(weights, -one if labels[i] else one)
    score = lanes.fill(weights, storage.row_score(rows, i, weights) + weights.dtype.type(bias[0]))
    residual = link.residual(score, sign)
    storage.add_row(rows, i, residual * weights.dtype.type(-learning_rate), weights)
    bias[0] -= learning_rate * lanes.first_of(residual)
    return lanes.first_of(link.loss(sign * score)) if with_loss else 0.0
