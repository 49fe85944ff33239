"""The fused training loop: walk the mini-batches of one epoch; scores, residuals, gradient and update in one go.

A mini-batch is split into `n_chunks` chunks of rows, a chunk into tiles that stay in the cache between the two times
that their rows are read. Each chunk sums its own gradient; every member of the team then adds the chunks in the same
order and updates parameters of its own, so that members meet once per batch. Chunks and tiles follow from how data and
batches look (see `plan`), never from the threads, so the sums have the same bits whichever thread computes which chunk.
"""

from __future__ import annotations

from typing import Any

from ...compiler.jit import by_type, helper, inline, inline_by_type, kernel, outline, parallel_kernel, prange
from ..passes.tile import add_rows, sum_chunk
from ..steps import update
from ..steps.batches import Batches
from ..steps.labels import count_of
from ..steps.row_order import fill_order
from ..storage import operations as storage
from ..storage.plan import FOLD_ROWS, Plan
from ..storage.turned import turn_batches
from . import single_rows
from .chunks import chunk_of, fill_chunks, next_start, place_of, rate_of
from .shared_features import feature_epoch
from .team import SPAN_BATCHES, barrier, do_epoch, members_of, open_region, span_number


@inline_by_type
def _small_batch(rows, labels, order, start, stop, tile_rows, with_loss, learning_rate, room, gradient, weights, bias):
    """Update the parameters by a batch whose gradient is summed in the data's own precision; return its losses."""
    return _packed_rows if rows.ndim == 3 else _one_or_several_rows


def _packed_rows(rows, labels, order, start, stop, tile_rows, with_loss, learning_rate, room, gradient, weights, bias):
    return _several_rows(
        rows, labels, order, start, stop, tile_rows, with_loss, learning_rate, room, gradient, weights, bias
    )


def _one_or_several_rows(
    rows, labels, order, start, stop, tile_rows, with_loss, learning_rate, room, gradient, weights, bias
):
    if stop - start == 1:
        return single_rows.step(rows, labels, order, start, with_loss, learning_rate, weights, bias)
    return _several_rows(
        rows, labels, order, start, stop, tile_rows, with_loss, learning_rate, room, gradient, weights, bias
    )


@inline
def _several_rows(rows, labels, order, start, stop, tile_rows, with_loss, learning_rate, room, gradient, weights, bias):
    typed_bias = weights.dtype.type(bias[0])
    size = stop - start
    residual_sum, loss_sum = add_rows(
        rows, labels, order, start, size, stop, tile_rows, with_loss, weights, typed_bias, room, gradient
    )
    step = learning_rate / size
    update.descend(step, gradient, rows.shape[1], weights)
    bias[0] -= step * residual_sum
    return loss_sum


@helper
def _large_batch(rule, member, learning_rate, size, sums, total, weights, bias):
    """Add the chunks' sums in order, update the parameters, return the sum of the losses."""
    n_features = sums.shape[1] - 2
    for j in range(n_features + 2):
        total[j] = sums[0, j]
    for c in range(1, sums.shape[0]):
        for j in range(n_features + 2):
            total[j] += sums[c, j]
    _update(rule, member, learning_rate, size, n_features, total, weights, bias)
    return total[n_features + 1]


@by_type
def _update(rule, member, learning_rate, size, n_features, total, weights, bias):
    return _plain_update if str(rule) == "none" else _update_by_rule


def _plain_update(rule, member, learning_rate, size, n_features, total, weights, bias):
    step = learning_rate / size
    for j in range(n_features):
        weights[j] -= step * total[j]
    bias[0] -= step * total[n_features]


def _update_by_rule(rule, member, learning_rate, size, n_features, total, weights, bias):
    update.apply(rule, member, learning_rate, size, total, weights, bias)


@by_type
def _fetch(rule, member):
    return _fetch_nothing if str(rule) == "none" else _fetch_parameters


def _fetch_nothing(rule, member):
    pass


def _fetch_parameters(rule, member):
    update.fetch_parameters(rule, member)


@outline
def _walk(batches, work, control, member, span, first_batch, stop_batch, loss_sum):
    """Batches first_batch ... stop_batch - 1, as one of the members of a span.

    Returns the sum of the losses, those before included, and at how many barriers this member slept. Sums are made in
    two places in turn, since members may be a batch apart; a helper leaves after its last barrier, when others may
    begin the next span.
    """
    n_chunks = work.sums.shape[1]
    members = members_of(span)
    first_chunk, stop_chunk = n_chunks * member // members, n_chunks * (member + 1) // members
    weights, bias, room, gradient = work.weights[member], work.bias[member], work.tiles[member], work.gradients[member]
    if member:
        for j in range(weights.size):
            weights[j] = work.weights[0, j]
        bias[0] = work.bias[0, 0]
        _fetch(batches.rule, member)
    sleeps = 0
    fill_chunks(batches, n_chunks, first_chunk, stop_chunk, first_batch, stop_batch)
    for batch in range(first_batch, stop_batch):
        number = span_number(span) * SPAN_BATCHES + batch - first_batch
        sums = work.sums[number % 2]
        for c in range(first_chunk, stop_chunk):
            start, stop = chunk_of(batches, n_chunks, batch, c)
            following = next_start(batches, n_chunks, batch, c, first_chunk, stop_chunk, stop_batch)
            sum_chunk(
                batches.rows,
                batches.labels,
                batches.order.rows,
                start,
                stop,
                following,
                batches.cut.tile_rows,
                batches.rates.with_loss,
                weights,
                bias[0],
                room,
                gradient,
                sums[c],
            )
        if members > 1:
            sleeps += barrier(control, member, members, number)
        if member and batch + 1 == stop_batch:
            break
        first, stop = chunk_of(batches, 1, batch, 0)
        rate = rate_of(batches.rates, batch)
        loss_sum += _large_batch(batches.rule, member, rate, stop - first, sums, work.totals[member], weights, bias)
    return loss_sum, sleeps


@parallel_kernel
def epoch(rows, labels, order, cut, rates, rule, work, control, out_loss_sum, members):
    """One epoch of mini-batch gradient descent.

    Parameters
    ----------
    rows, labels, order, cut, rates, rule
        See `Batches`.
    work : WorkSpace
        Its weights and bias are updated.
    control : (size,) of int64
        See `team.control_of`.
    out_loss_sum : (1,) of float64
        Sum of the losses, each before its own update; 0 if they aren't computed.
    members : int
        Threads.
    """
    spacing = storage.spacing(rows, cut.batch_size)
    n_batches = (count_of(labels) + spacing - 1) // spacing
    batch_bytes = cut.batch_size * rows.shape[1] * rows.itemsize
    open_region(control)
    for _ in prange(members):
        batches = Batches(rows, labels, order, cut, rates, rule)
        do_epoch(_walk, batches, work, n_batches, batch_bytes, control, members, out_loss_sum)


@kernel
def small_epoch(rows, labels, order, cut, rates, rule, work, control, out_loss_sum, members):
    """As `epoch`, of batches that one member sums in the data's own precision, without a rule or weights of rows."""
    n_positions = labels.size
    spacing = storage.spacing(rows, cut.batch_size)
    weights, bias, gradient, room = work.weights[0], work.bias[0], work.gradients[0], work.tiles[0]
    loss_sum = 0.0
    fill_order(order.column_shifts, order.row_shifts, 0, n_positions, order.rows)
    for batch in range((n_positions + spacing - 1) // spacing):
        first = place_of(order, batch) * spacing
        stop = min(first + cut.batch_size, n_positions)
        rate = rate_of(rates, batch)
        loss_sum += _small_batch(
            rows, labels, order.rows, first, stop, cut.tile_rows, rates.with_loss, rate, room, gradient, weights, bias
        )
    out_loss_sum[0] = loss_sum


@kernel
def turned_epoch(rows, labels, order, cut, rates, rule, work, control, out_loss_sum, members):
    """As `small_epoch`, on turned copies of F-ordered rows in their own order or in blocks."""
    batch_size = cut.batch_size
    n_batches = (rows.shape[0] + batch_size - 1) // batch_size
    group = work.turned.shape[0] // batch_size
    weights, bias, gradient, room = work.weights[0], work.bias[0], work.gradients[0], work.tiles[0]
    loss_sum = 0.0
    for batch in range(n_batches):
        if batch % group == 0:
            turn_batches(rows, order.blocks, batch_size, batch, min(batch + group, n_batches), work.turned)
        first, stop = chunk_of(Batches(rows, labels, order, cut, rates, rule), 1, batch, 0)
        place = batch % group * batch_size
        turned, its_labels = work.turned[place : place + stop - first], labels[first:]
        rate, size = rate_of(rates, batch), stop - first
        loss_sum += _small_batch(
            turned, its_labels, None, 0, size, cut.tile_rows, rates.with_loss, rate, room, gradient, weights, bias
        )
    out_loss_sum[0] = loss_sum


def epoch_kernel(cut: Plan, batch_size: int, plain: bool) -> Any:
    """The kernel for batches cut up as planned, `plain` without a rule or weights of rows; a fit compiles no other."""
    if cut.n_parts > 1:
        return feature_epoch
    if cut.turned_rows:
        return turned_epoch
    if cut.n_chunks == 1 and batch_size <= FOLD_ROWS and plain:
        return small_epoch
    return epoch
