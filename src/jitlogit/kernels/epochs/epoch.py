"""The fused training loop: walk the mini-batches of one epoch; scores, residuals, gradient and update in one go.

A mini-batch is split into `n_chunks` chunks of rows, a chunk into tiles that stay in the cache between the two times
that their rows are read. Each chunk sums its own gradient; every member of the team then adds the chunks in the same
order and updates parameters of its own, so that members meet once per batch. Chunks and tiles follow from how data and
batches look (see `plan`), never from the threads, so the sums have the same bits whichever thread computes which chunk.
"""

from __future__ import annotations

from collections.abc import Callable

from ...compiler.jit import by_type, helper, inline, inline_by_type, kernel
from ..passes.tile import add_rows
from ..steps import update
from ..steps.labels import count_of
from ..steps.row_order import fill_order
from ..storage import operations as storage
from ..storage.plan import FOLD_ROWS, Plan
from ..storage.turned import turn_batches
from . import single_rows as stochastic
from .barrier import TASK_BATCHES, do_tasks, meet, members_of, number_of
from .chunks import chunk_of, fill_chunks, next_start
from .shared_features import feature_epoch


@helper
def sum_chunk(
    rows, labels, order, start, stop, following, tile_rows, with_loss, weights, bias, room, gradient, out_sums
):
    """Sums over the rows at positions start ... stop - 1: gradient (n), residuals and losses, into out_sums (n + 2).

    `gradient` holds zeros before and after. The chunk that starts at position `following` is next.
    """
    n_features = rows.shape[1]
    for j in range(n_features + 2):
        out_sums[j] = 0.0
    block_rows = max(FOLD_ROWS, tile_rows)
    typed_bias = weights.dtype.type(bias)
    for first in range(start, stop, block_rows):
        count = min(block_rows, stop - first)
        ahead = first + count if first + count < stop else following
        residual_sum, loss_sum = add_rows(
            rows, labels, order, first, count, ahead, tile_rows, with_loss, weights, typed_bias, room, gradient
        )
        out_sums[n_features] += residual_sum
        out_sums[n_features + 1] += loss_sum
        for j in range(n_features):
            out_sums[j] += gradient[j]
            gradient[j] = 0


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
        return stochastic.step(rows, labels, order, start, with_loss, learning_rate, weights, bias)
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


@helper
def _walk(batches, work, control, member, task, first_batch, stop_batch, loss_sum):
    """Batches first_batch ... stop_batch - 1, as one of the members of a task.

    Returns the sum of the losses, those before included, and before how many meetings this member slept. Sums are made
    in two places in turn, since members may be a batch apart; a helper leaves after its last meeting, when others may
    begin the next task.
    """
    rows, labels, tables, order, blocks, batch_size, tile_rows, settings, rule = batches
    n_chunks = work.sums.shape[1]
    members = members_of(task)
    first_chunk, stop_chunk = n_chunks * member // members, n_chunks * (member + 1) // members
    with_loss = settings[2] != 0
    weights = work.weights[member]
    bias = work.bias[member]
    room = work.tiles[member]
    gradient = work.gradients[member]
    if member:
        for j in range(weights.size):
            weights[j] = work.weights[0, j]
        bias[0] = work.bias[0, 0]
        _fetch(rule, member)
    sleeps = 0
    fill_chunks(
        rows, labels, tables, order, blocks, batch_size, n_chunks, first_chunk, stop_chunk, first_batch, stop_batch
    )
    for batch in range(first_batch, stop_batch):
        meeting = number_of(task) * TASK_BATCHES + batch - first_batch
        sums = work.sums[meeting % 2]
        for c in range(first_chunk, stop_chunk):
            start, stop = chunk_of(rows, labels, blocks, batch_size, n_chunks, batch, c)
            following = next_start(
                rows, labels, blocks, batch_size, n_chunks, batch, c, first_chunk, stop_chunk, stop_batch
            )
            sum_chunk(
                rows,
                labels,
                order,
                start,
                stop,
                following,
                tile_rows,
                with_loss,
                weights,
                bias[0],
                room,
                gradient,
                sums[c],
            )
        if members > 1:
            sleeps += meet(control, member, members, meeting)
        if member and batch + 1 == stop_batch:
            break
        first, stop = chunk_of(rows, labels, blocks, batch_size, 1, batch, 0)
        rate = settings[0] + batch * settings[1]
        loss_sum += _large_batch(rule, member, rate, stop - first, sums, work.totals[member], weights, bias)
    return loss_sum, sleeps


@kernel
def epoch(rows, labels, tables, order, blocks, batch_size, tile_rows, settings, rule, work, control, members, helping):
    """One epoch of mini-batch gradient descent, or a helper's part of all epochs of a fit.

    Parameters
    ----------
    rows : (m, n), a storage
    labels : (m,) of uint8, or labels.Weighted
    tables : pair of (2, n_columns) and (2, n_rows) of uint32
        Shifts of the shuffle, see `order.fill_order`.
    order : (m,) of unsigned integers, or None
        The order of the rows, to be filled in where there are tables; None for their own order.
    blocks : (n_batches,) or (0,) of int64
        The order of the batches; empty for their own.
    batch_size, tile_rows : int
    settings : (3,) of float64
        Learning rate of the first batch; by how much it grows from batch to batch; whether the losses are computed.
    rule : update.Rule or None
        None for plain gradient descent on features as they are stored.
    work : WorkSpace
        Its weights and bias are updated.
    control, members, helping
        See `Team`.

    Returns
    -------
    float
        Sum of the losses, each before its own update; 0 if they aren't computed.
    """
    spacing = storage.spacing(rows, batch_size)
    n_batches = (count_of(labels) + spacing - 1) // spacing
    batch_bytes = batch_size * rows.shape[1] * rows.itemsize
    batches = rows, labels, tables, order, blocks, batch_size, tile_rows, settings, rule
    return do_tasks(_walk, batches, work, n_batches, batch_bytes, control, members, helping)


@kernel
def small_epoch(
    rows, labels, tables, order, blocks, batch_size, tile_rows, settings, rule, work, control, members, helping
):
    """As `epoch`, of batches that one member sums in the data's own precision, without a rule or weights of rows."""
    n_positions = labels.size
    spacing = storage.spacing(rows, batch_size)
    with_loss = settings[2] != 0
    weights, bias, gradient, room = work.weights[0], work.bias[0], work.gradients[0], work.tiles[0]
    loss_sum = 0.0
    fill_order(tables[0], tables[1], 0, n_positions, order)
    for batch in range((n_positions + spacing - 1) // spacing):
        first = (blocks[batch] if blocks.size else batch) * spacing
        stop = min(first + batch_size, n_positions)
        rate = settings[0] + batch * settings[1]
        loss_sum += _small_batch(
            rows, labels, order, first, stop, tile_rows, with_loss, rate, room, gradient, weights, bias
        )
    return loss_sum


@kernel
def turned_epoch(
    rows, labels, tables, order, blocks, batch_size, tile_rows, settings, rule, work, control, members, helping
):
    """As `small_epoch`, on turned copies of F-ordered rows in their own order or in blocks."""
    n_batches = (rows.shape[0] + batch_size - 1) // batch_size
    group = work.turned.shape[0] // batch_size
    with_loss = settings[2] != 0
    weights, bias, gradient, room = work.weights[0], work.bias[0], work.gradients[0], work.tiles[0]
    loss_sum = 0.0
    for batch in range(n_batches):
        if batch % group == 0:
            turn_batches(rows, blocks, batch_size, batch, min(batch + group, n_batches), work.turned)
        first, stop = chunk_of(rows, labels, blocks, batch_size, 1, batch, 0)
        place = batch % group * batch_size
        rate = settings[0] + batch * settings[1]
        turned, its_labels = work.turned[place : place + stop - first], labels[first:]
        loss_sum += _small_batch(
            turned, its_labels, None, 0, stop - first, tile_rows, with_loss, rate, room, gradient, weights, bias
        )
    return loss_sum


def epoch_kernel(cut: Plan, batch_size: int, plain: bool) -> Callable[..., float]:
    """The kernel for batches cut up as planned, `plain` without a rule or weights of rows; a fit compiles no other."""
    if cut.n_parts > 1:
        return feature_epoch
    if cut.turned_rows:
        return turned_epoch
    if cut.n_chunks == 1 and batch_size <= FOLD_ROWS and plain:
        return small_epoch
    return epoch
