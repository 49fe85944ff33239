"""Several classes by softmax: a score, a residual and a gradient for each, from one read of the rows.

Members share out the rows of a batch, meet, share out the classes to update the weights, which are everyone's, and meet
again. As in `epoch`, chunks follow from the data's shape alone.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...compiler.jit import helper, outline, parallel_kernel, prange
from ..passes.softmax_tile import gradient_sum, sum_chunk
from ..simd.arrays import PADDING, on_lines
from ..steps import update
from ..steps.batches import Batches
from ..steps.labels import count_of
from .chunks import chunk_of, fill_chunks, next_start, rate_of
from .team import SPAN_BATCHES, barrier, do_epoch, members_of, open_region, span_number


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


@helper
def _update(batches, batch, first_class, stop_class, work, total):
    """Add the chunks' sums of some classes in order, and update their parameters."""
    n_features, n_chunks, tile_rows = batches.rows.shape[1], work.sums.shape[0], batches.cut.tile_rows
    start, stop = chunk_of(batches, 1, batch, 0)
    rate, size = rate_of(batches.rates, batch), stop - start
    for k in range(first_class, stop_class):
        for j in range(n_features + 1):
            total[j] = 0.0
        for c in range(n_chunks):
            start, stop = chunk_of(batches, n_chunks, batch, c)
            gradient, sums = work.gradients[c], work.sums[c]
            for j in range(n_features):
                total[j] += gradient_sum(gradient, sums, k, j, stop - start, tile_rows)
            total[n_features] += sums[k, n_features]
        update.apply(batches.rule, k, rate, size, total, work.weights[k], work.bias[k])


@outline
def _walk(batches, work, control, member, span, first_batch, stop_batch, loss_sum):
    """Batches first_batch ... stop_batch - 1, as one of the members of a span.

    Returns the sum of the losses, those before included, and, of two barriers for each batch, half the number at
    which this member slept.
    """
    n_chunks, n_classes, n_sums = work.sums.shape
    members = members_of(span)
    first_chunk, stop_chunk = n_chunks * member // members, n_chunks * (member + 1) // members
    first_class, stop_class = n_classes * member // members, n_classes * (member + 1) // members
    sleeps = 0
    number = span_number(span) * 2 * SPAN_BATCHES
    fill_chunks(batches, n_chunks, first_chunk, stop_chunk, first_batch, stop_batch)
    for batch in range(first_batch, stop_batch):
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
                work.weights,
                work.bias,
                work.tiles[member],
                work.gradients[c],
                work.sums[c],
            )
        if members > 1:
            sleeps += barrier(control, member, members, number)
        _update(batches, batch, first_class, stop_class, work, work.totals[member])
        if not member:
            for c in range(n_chunks):
                loss_sum += work.sums[c, 0, n_sums - 1]
        if members > 1:
            sleeps += barrier(control, member, members, number + 1)
        number += 2
    return loss_sum, sleeps // 2


@parallel_kernel
def softmax_epoch(rows, labels, order, cut, rates, rule, work, control, out_loss_sum, members):
    """As `epoch.epoch`, for labels 0 ... K - 1; `rule` has a row of parameters for each class, and `work` is a
    ClassWorkSpace."""
    n_batches = (count_of(labels) + cut.batch_size - 1) // cut.batch_size
    batch_bytes = cut.batch_size * rows.shape[1] * rows.itemsize * work.weights.shape[0]  # as long as so much takes
    open_region(control)
    for _ in prange(members):
        batches = Batches(rows, labels, order, cut, rates, rule)
        do_epoch(_walk, batches, work, n_batches, batch_bytes, control, members, out_loss_sum)
