"""The driver of all epochs with updates: members of a team sum their chunks of a batch, meet, and update.

How a storage walks a batch is told by the type of its work space, in `walks`: what a member sums, how sums become an
update, and whether members meet again after it. Chunks and tiles follow from the shape of data and batches (see
`plan`), never from the number of threads, so the sums have the same bits whichever member computes which chunk.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...compiler.jit import inline, outline, parallel_kernel, prange
from ..steps.batches import Batches
from ..steps.labels import count_of
from ..steps.shares import share_of
from ..storage import operations as storage
from ..storage.plan import FOLD_ROWS, Plan
from . import team
from .small import small_epoch, turned_epoch
from .walks import begin, meets_again, sum_share, update


@outline
def _walk(batches, work, control, member, span, first_batch, stop_batch, loss_sum):
    """Batches first_batch ... stop_batch - 1, as one of the members of a span.

    Returns the sum of the losses, to which the first member adds one batch after the other, so that it doesn't depend
    on spans; and in how many batches this member slept before the update.
    """
    members = team.members_of(span)
    share = share_of(member, members, batches.cut.n_chunks)
    number = team.first_barrier(span)
    sleeps = 0
    begin(batches, work, share, first_batch, stop_batch)
    for batch in range(first_batch, stop_batch):
        is_last = batch + 1 == stop_batch
        sum_share(batches, work, share, batch, stop_batch)
        if members > 1:
            sleeps += team.barrier(control, member, members, number)
            number += 1
        loss_sum = update(batches, work, share, batch, is_last, loss_sum)
        if members > 1 and meets_again(work, is_last):
            team.barrier(control, member, members, number)
            number += 1
    return loss_sum, sleeps


@inline
def _lead(batches, work, control, members, out_loss_sum):
    """Begin one span after the other, and end the epoch on every way out."""
    spacing = storage.spacing(batches.rows, batches.cut.batch_size)
    n_batches = (count_of(batches.labels) + spacing - 1) // spacing
    loss_sum = 0.0
    stop_batch = np.int64(0)
    while stop_batch < n_batches:
        first_batch = stop_batch
        span = team.begin_span(control, members, first_batch, n_batches)
        stop_batch = team.stop_of(control)
        loss_sum, sleeps = _walk(batches, work, control, 0, span, first_batch, stop_batch, loss_sum)
        team.judge_span(control, members, span, batches.cut.batch_bytes, sleeps)
        if not math.isfinite(work.bias[0, 0]):
            loss_sum = math.nan
            break
    out_loss_sum[0] = loss_sum
    team.end_epoch(control)


@inline
def _follow(batches, work, control, member):
    """Take part in spans until the epoch ends."""
    span = team.await_span(control, member, np.int64(0))
    while span >= 0:
        _walk(batches, work, control, member, span, team.start_of(control), team.stop_of(control), 0.0)
        span = team.await_span(control, member, span)


@parallel_kernel
def epoch(rows, labels, order, cut, rates, rule, work, control, out_loss_sum, members):
    """One epoch of mini-batch gradient descent.

    Parameters
    ----------
    rows, labels, order, cut, rates, rule
        See `Batches`.
    work : WorkSpace, FeatureWorkSpace, ClassWorkSpace or SparseWorkSpace
        Its weights and bias are updated.
    control : (size,) of int64
        See `team.control_of`.
    out_loss_sum : (1,) of float64
        Sum of the losses, each before its own update; 0 if they aren't computed; NaN as soon as the bias isn't finite,
        which ends the epoch.
    members : int
        Threads.
    """
    team.open_region(control)
    for _ in prange(members):
        batches = Batches(rows, labels, order, cut, rates, rule)
        member = team.arrive(control)
        if member == 0:
            _lead(batches, work, control, members, out_loss_sum)
        else:
            _follow(batches, work, control, member)


def epoch_kernel(cut: Plan, batch_size: int, plain: bool) -> Any:
    """The kernel for batches cut up as planned, `plain` without a rule or weights of rows; a fit compiles no other."""
    if cut.turned_rows:
        return turned_epoch
    if cut.n_chunks == 1 and cut.n_parts == 1 and batch_size <= FOLD_ROWS and plain:
        return small_epoch
    return epoch
