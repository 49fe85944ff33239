"""The driver of all epochs: members of a team sum their chunks of a batch, wait at a barrier, and update.

The type of a work space chooses, in `walks`, what a member sums, how sums become an update, and whether another barrier
follows. Chunks and tiles depend on the shape of data and batches (see `plan`), never on the number of threads. So the
sums have the same bits whichever member computes which chunk. One thread goes through the same batches without a team.
"""

from __future__ import annotations

import math

import numpy as np

from ...compiler.jit import inline, kernel, outline, parallel_beside, prange
from ..steps.batches import Batches
from ..steps.labels import count_of
from ..steps.shares import share_of
from ..storage import operations as storage
from . import team
from .walks import begin, needs_second_barrier, sum_share, update


@inline
def _count(batches):
    """Number of batches."""
    spacing = storage.spacing(batches.rows, batches.cut.batch_size)
    return (count_of(batches.labels) + spacing - 1) // spacing


@kernel
def serial_epoch(rows, labels, order, cut, rates, rule, work, control, out_loss_sum, members):
    """As `epoch`, by one thread; `control` and `members` are ignored."""
    batches = Batches(rows, labels, order, cut, rates, rule)
    share = share_of(0, 1, batches.cut.n_chunks)
    n_batches = _count(batches)
    loss_sum, stop_batch = 0.0, np.int64(0)
    while stop_batch < n_batches:
        first_batch, stop_batch = stop_batch, min(stop_batch + team.SPAN_BATCHES, n_batches)
        begin(batches, work, share, first_batch, stop_batch)
        for batch in range(first_batch, stop_batch):
            sum_share(batches, work, share, batch, stop_batch)
            loss_sum = update(batches, work, share, batch, batch + 1 == stop_batch, loss_sum)
        if not math.isfinite(work.bias[0, 0]):
            loss_sum = math.nan
            break
    out_loss_sum[0] = loss_sum


@parallel_beside(serial_epoch)
def epoch(rows, labels, order, cut, rates, rule, work, control, out_loss_sum, members):
    """One epoch of mini-batch gradient descent.

    Parameters
    ----------
    rows, labels, order, cut, rates, rule
        The fields of `Batches`.
    work : WorkSpace, FeatureWorkSpace, SmallWorkSpace, TurnedWorkSpace, ClassWorkSpace or SparseWorkSpace
        Its weights and bias are updated.
    control : (size,) of int64
        Made by `team.control_of`.
    out_loss_sum : (1,) of float64
        Sum of the losses, each before its sample's update, or 0 without `rates.with_loss`. A bias that isn't finite
        ends the epoch with NaN.
    members : int
        Number of threads.
    """
    team.open_region(control)
    for _ in prange(members):
        batches = Batches(rows, labels, order, cut, rates, rule)
        member = team.arrive(control)
        if member == 0:
            _lead(batches, work, control, members, out_loss_sum)
        else:
            _follow(batches, work, control, member)


@inline
def _lead(batches, work, control, members, out_loss_sum):
    """Begin one span after the other, and end the epoch even if it diverges, for the members that wait."""
    n_batches = _count(batches)
    loss_sum, stop_batch = 0.0, np.int64(0)
    while stop_batch < n_batches:
        span = team.begin_span(control, members, stop_batch, n_batches)
        first_batch, stop_batch = team.batches_of(control)
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
        first_batch, stop_batch = team.batches_of(control)
        _walk(batches, work, control, member, span, first_batch, stop_batch, 0.0)
        span = team.await_span(control, member, span)


@outline
def _walk(batches, work, control, member, span, first_batch, stop_batch, loss_sum):
    """Do one member's part of the batches first_batch ... stop_batch - 1, which are a span.

    Returns the sum of the losses, and how many sleeps this member took before updates. The first member adds the
    losses batch by batch, so that their sum doesn't depend on spans.
    """
    members = team.members_of(span)
    share = share_of(member, members, batches.cut.n_chunks)
    number, sleeps = team.first_barrier(span), 0
    begin(batches, work, share, first_batch, stop_batch)
    for batch in range(first_batch, stop_batch):
        is_last = batch + 1 == stop_batch
        sum_share(batches, work, share, batch, stop_batch)
        if members > 1:
            taken = team.barrier(control, member, members, number)
            sleeps += taken if batch > first_batch else 0  # others may still be asleep at the first barrier
            number += 1
        loss_sum = update(batches, work, share, batch, is_last, loss_sum)
        if members > 1 and needs_second_barrier(work, is_last):
            team.barrier(control, member, members, number)
            number += 1
    return loss_sum, sleeps
