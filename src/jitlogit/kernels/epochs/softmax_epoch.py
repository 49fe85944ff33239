"""Several classes by softmax: a score, a residual and a gradient for each, from one read of the rows.

Members share out the rows of a batch, meet, share out the classes to update the weights, which are everyone's, and meet
again. As in `epoch`, chunks follow from the data's shape alone.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...compiler.jit import helper, inline, kernel, outline
from ..simd import lanes
from ..steps import link, update
from ..steps.labels import count_of, label_of, weigh
from ..steps.row_order import row_at
from ..storage import operations as storage
from ..storage.plan import FOLD_ROWS, PADDING, on_lines
from .barrier import TASK_BATCHES, do_tasks, meet, members_of, number_of
from .chunks import chunk_of, fill_chunks, next_start


class ClassWorkSpace(NamedTuple):
    """Arrays that `softmax_epoch` works in, K classes."""

    tiles: NDArray[Any]  # (members, K + 2, tile_rows + PADDING): scores and then residuals, normalisers, true scores
    gradients: NDArray[Any]  # (n_chunks, K, n + PADDING), see `sum_chunk`; in `whole`, of members
    totals: NDArray[Any]  # (members, n + 2) of float64
    sums: NDArray[Any]  # (n_chunks, K, n + 2) of float64: gradients, residuals; losses, with the first class
    weights: NDArray[Any]  # (K, n + PADDING), zero beyond n
    bias: NDArray[Any]  # (K, 8) of float64


def class_work_space(
    n_classes: int, tile_rows: int, n_chunks: int, n_features: int, dtype: np.dtype[Any], members: int
) -> ClassWorkSpace:
    """Make the arrays; gradients, weights and bias hold zeros."""
    room = -(-(n_features + PADDING) // PADDING) * PADDING
    wide = np.dtype(np.float64)
    return ClassWorkSpace(
        on_lines((members, n_classes + 2, tile_rows + PADDING), dtype),
        on_lines((n_chunks, n_classes, room), dtype),
        on_lines((members, -(-(n_features + 2) // 8) * 8), wide),
        on_lines((n_chunks, n_classes, n_features + 2), wide),
        on_lines((n_classes, room), dtype),
        on_lines((n_classes, 8), wide),
    )


@outline
def softmax_residuals(labels, order, start, count, with_loss, room):
    """Scores (K, count) in `room` become residuals: probabilities, less 1 for the row's own class, by the row's weight.

    Returns the sum of the losses, log(sum_k exp(z_k)) - z_y, computed from the differences to the largest score.
    """
    n_classes = room.shape[0] - 2
    total, own = room[n_classes], room[n_classes + 1]
    step = lanes.width(total)
    nothing = lanes.fill(total, 0.0)
    loss_sum = total.dtype.type(0)
    for t in range(count):
        total[t] = room[0, t]
    for k in range(1, n_classes):
        for t in range(count):
            total[t] = room[k, t] if room[k, t] > total[t] else total[t]
    for k in range(n_classes):
        for t in range(0, count, step):
            lanes.store(room[k], t, lanes.load(room[k], t) - lanes.load(total, t))
    if with_loss:
        for t in range(count):
            own[t] = room[label_of(labels, row_at(order, start + t)), t]
    for t in range(0, count, step):
        normaliser = lanes.fill(total, 0.0)
        for k in range(n_classes):
            e = link.exp_nonpositive(lanes.load(room[k], t))
            lanes.store(room[k], t, e)
            normaliser += e
        lanes.store(total, t, normaliser)
        for k in range(n_classes):
            lanes.store(room[k], t, lanes.load(room[k], t) / normaliser)
    for t in range(count):
        room[label_of(labels, row_at(order, start + t)), t] -= total.dtype.type(1)
    if with_loss:
        for t in range(count):
            own[t] = link.log(total[t]) - own[t]
        weigh(labels, order, start, count, loss_sum, own)
        for t in range(count):
            loss_sum += own[t]
    for k in range(n_classes):
        weigh(labels, order, start, count, loss_sum, room[k])
        lanes.store(room[k], count, nothing)  # lanes beyond the last row have no residual
    return loss_sum


@helper
def sum_chunk(
    rows, labels, order, start, stop, following, tile_rows, with_loss, weights, bias, room, out_gradient, out_sums
):
    """Sums over the rows at positions start ... stop - 1, class by class: gradients into out_sums (K, n + 2) but for
    those of the last block of rows, which are in out_gradient (K, n); residuals and losses into out_sums.

    The chunk that starts at position `following` is next. See `gradient_sum` and `add_last_block`.
    """
    n_classes, n_features = weights.shape[0], rows.shape[1]
    out_sums[0, n_features + 1] = 0.0
    for k in range(n_classes):
        out_sums[k, n_features] = 0.0
        for j in range(n_features):
            out_gradient[k, j] = 0
    block_rows = max(FOLD_ROWS, tile_rows)
    for block in range(start, stop, block_rows):
        if block > start:
            add_last_block(out_gradient, out_sums, block - start, tile_rows)
        end = min(block + block_rows, stop)
        for first in range(block, end, tile_rows):
            count = min(tile_rows, end - first)
            ahead = first + count if first + count < stop else following
            storage.class_scores(rows, order, first, count, ahead, weights, bias, room)
            out_sums[0, n_features + 1] += softmax_residuals(labels, order, first, count, with_loss, room)
            for k in range(n_classes):
                residual = lanes.fill(weights, 0.0)
                for t in range(0, count, lanes.width(weights)):
                    residual += lanes.load(room[k], t)
                out_sums[k, n_features] += lanes.total(residual)
            storage.class_accumulate(rows, order, first, count, ahead, room, out_gradient)


@inline
def gradient_sum(gradient, sums, k, j, n_rows, tile_rows):
    """An element of the gradient of a chunk of so many rows, from what `sum_chunk` left."""
    last = np.float64(gradient[k, j])
    return sums[k, j] + last if n_rows > max(FOLD_ROWS, tile_rows) else last


@helper
def add_last_block(gradient, sums, n_rows, tile_rows):
    """Put it all into `sums`; the gradient is then zero."""
    for k in range(gradient.shape[0]):
        for j in range(sums.shape[1] - 2):
            sums[k, j] = gradient_sum(gradient, sums, k, j, n_rows, tile_rows)
            gradient[k, j] = 0


@helper
def _update(batches, batch, first_class, stop_class, work, total):
    """Add the chunks' sums of some classes in order, and update their parameters."""
    rows, labels, _, _, blocks, batch_size, tile_rows, settings, rule = batches
    n_features, n_chunks = rows.shape[1], work.sums.shape[0]
    start, stop = chunk_of(rows, labels, blocks, batch_size, 1, batch, 0)
    rate, size = settings[0] + batch * settings[1], stop - start
    for k in range(first_class, stop_class):
        for j in range(n_features + 1):
            total[j] = 0.0
        for c in range(n_chunks):
            start, stop = chunk_of(rows, labels, blocks, batch_size, n_chunks, batch, c)
            gradient, sums = work.gradients[c], work.sums[c]
            for j in range(n_features):
                total[j] += gradient_sum(gradient, sums, k, j, stop - start, tile_rows)
            total[n_features] += sums[k, n_features]
        update.apply(rule, k, rate, size, total, work.weights[k], work.bias[k])


@helper
def _walk(batches, work, control, member, task, first_batch, stop_batch, loss_sum):
    """Batches first_batch ... stop_batch - 1, as one of the members of a task.

    Returns the sum of the losses, those before included, and, of two meetings for each batch, half the number before
    which this member slept.
    """
    rows, labels, tables, order, blocks, batch_size, tile_rows, settings, _ = batches
    n_chunks, n_classes, n_sums = work.sums.shape
    members = members_of(task)
    first_chunk, stop_chunk = n_chunks * member // members, n_chunks * (member + 1) // members
    first_class, stop_class = n_classes * member // members, n_classes * (member + 1) // members
    sleeps = 0
    meeting = number_of(task) * 2 * TASK_BATCHES
    fill_chunks(
        rows, labels, tables, order, blocks, batch_size, n_chunks, first_chunk, stop_chunk, first_batch, stop_batch
    )
    for batch in range(first_batch, stop_batch):
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
                settings[2] != 0,
                work.weights,
                work.bias,
                work.tiles[member],
                work.gradients[c],
                work.sums[c],
            )
        if members > 1:
            sleeps += meet(control, member, members, meeting)
        _update(batches, batch, first_class, stop_class, work, work.totals[member])
        if not member:
            for c in range(n_chunks):
                loss_sum += work.sums[c, 0, n_sums - 1]
        if members > 1:
            sleeps += meet(control, member, members, meeting + 1)
        meeting += 2
    return loss_sum, sleeps // 2


@kernel
def softmax_epoch(
    rows, labels, tables, order, blocks, batch_size, tile_rows, settings, rule, work, control, members, helping
):
    """As `epoch.epoch`, for labels 0 ... K - 1; `rule` has a row of parameters for each class, and `work` is a
    ClassWorkSpace."""
    n_batches = (count_of(labels) + batch_size - 1) // batch_size
    batch_bytes = batch_size * rows.shape[1] * rows.itemsize * work.weights.shape[0]  # as long as so much takes
    batches = rows, labels, tables, order, blocks, batch_size, tile_rows, settings, rule
    return do_tasks(_walk, batches, work, n_batches, batch_bytes, control, members, helping)


@kernel
def class_scores(rows, weights, bias, tiles, n_chunks, out, part, first_chunk, stop_chunk):
    """Scores rows_i . weights_k + bias_k into out (m, K); returns how many rows have one that isn't finite.

    `weights` (K, n + PADDING) are zero beyond n, `bias` (K, 1); tiles (members, K, tile_rows + PADDING), chunks as in
    `objective`.
    """
    m = rows.shape[0]
    n_classes = weights.shape[0]
    z = tiles[part]
    tile_rows = z.shape[1] - PADDING
    not_finite = 0
    for c in range(first_chunk, stop_chunk):
        end = m * (c + 1) // n_chunks
        for first in range(m * c // n_chunks, end, tile_rows):
            count = min(tile_rows, end - first)
            storage.class_scores(rows, None, first, count, first + count, weights, bias, z)
            for t in range(count):
                nothing = 0.0  # NaN for inf and NaN
                for k in range(n_classes):
                    out[first + t, k] = z[k, t]
                    nothing += z[k, t] * 0.0
                not_finite += nothing != 0.0
    return not_finite
