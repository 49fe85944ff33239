"""Small batches of F-ordered rows, as `small_walk`, on copies in C order of the next few hundred rows."""

from __future__ import annotations

from ...compiler.jit import inline
from ..steps.batches import Examples, Positions
from ..storage.turned import turn_batches
from .chunks import batch_at
from .small_walk import train


def begin(batches, work, share, first_batch, stop_batch):
    pass


def sum_share(batches, work, share, batch, stop_batch):
    """Copy this batch and the next ones, where the last copy ends."""
    batch_size, group = batches.cut.batch_size, _group(batches, work)
    if batch % group == 0:
        n_batches = (batches.rows.shape[0] + batch_size - 1) // batch_size
        turn_batches(batches.rows, batches.order, batch_size, batch, min(batch + group, n_batches), work.turned)


def update(batches, work, share, batch, is_last, loss_sum):
    first, size = batch_at(batches, batch)
    place = batch % _group(batches, work) * batches.cut.batch_size
    examples = Examples(work.turned[place : place + size], batches.labels[first:], None)
    return loss_sum + train(batches, batch, examples, Positions(0, size, size), work)


def needs_second_barrier(work, is_last):
    return False


@inline
def _group(batches, work):
    """Number of batches in a copy."""
    return work.turned.shape[0] // batches.cut.batch_size
