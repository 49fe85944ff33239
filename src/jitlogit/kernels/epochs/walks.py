"""The four functions of a walk, which is how an epoch goes through a kind of rows.

A walk is a module with these functions. The work space's type chooses the module while a kernel is compiled.
"""

from __future__ import annotations

from ...compiler.jit import inline_by_type
from ...compiler.types import class_of
from ..storage.sparse_work import SparseWorkSpace
from ..storage.work_spaces import ClassWorkSpace, FeatureWorkSpace, SmallWorkSpace, TurnedWorkSpace, WorkSpace
from . import dense_walk, features_walk, small_walk, softmax_walk, sparse_walk, turned_walk

_WALKS = {
    WorkSpace: dense_walk,
    FeatureWorkSpace: features_walk,
    SmallWorkSpace: small_walk,
    TurnedWorkSpace: turned_walk,
    ClassWorkSpace: softmax_walk,
    SparseWorkSpace: sparse_walk,
}


@inline_by_type
def begin(batches, work, share, first_batch, stop_batch):
    """Prepare a member for a span of batches."""
    return _WALKS[class_of(work)].begin


@inline_by_type
def sum_share(batches, work, share, batch, stop_batch):
    """Do what comes before the batch's barrier: mostly rows to scores, residuals and gradients of a member's chunks.

    Walks of one thread leave that to `update`.
    """
    return _WALKS[class_of(work)].sum_share


@inline_by_type
def update(batches, work, share, batch, is_last, loss_sum):
    """Update a member's parameters by the batch, after the barrier.

    Returns `loss_sum`, to which the first member adds the batch's losses.
    """
    return _WALKS[class_of(work)].update


@inline_by_type
def needs_second_barrier(work, is_last):
    """Whether a barrier follows the update, because other members read what it wrote."""
    return _WALKS[class_of(work)].needs_second_barrier
