"""Dense or packed rows with one score: members share out chunks, and each has its own copy of the parameters.

Every member adds the sums of all chunks in the same order, and updates its own copy. So one barrier a batch is enough.
"""

from __future__ import annotations

from ...compiler.jit import helper
from ..passes.tile import sum_chunk
from ..steps import update as updates
from ..steps.batches import Examples, MemberSpace
from .chunks import batch_at, fill_chunks, positions_of, rate_of, tiles_of


def begin(batches, work, share, first_batch, stop_batch):
    member = share.member
    if member:
        for j in range(work.weights.shape[1]):
            work.weights[member, j] = work.weights[0, j]
        work.bias[member, 0] = work.bias[0, 0]
        _fetch(batches.rule, member)
    fill_chunks(batches, share, first_batch, stop_batch)


def sum_share(batches, work, share, batch, stop_batch):
    member = share.member
    examples = Examples(batches.rows, batches.labels, batches.order.rows)
    space = MemberSpace(work.weights[member], work.bias[member], work.gradients[member], work.tiles[member])
    sums = work.sums[batch % 2]
    for c in range(share.first, share.stop):
        positions = positions_of(batches, share, batch, c, stop_batch)
        sum_chunk(examples, positions, tiles_of(batches), batches.rates.with_loss, space, sums[c])


def update(batches, work, share, batch, is_last, loss_sum):
    member = share.member
    if member and is_last:  # the next span starts from the first member's copy
        return loss_sum
    _, size = batch_at(batches, batch)
    total, n_features = work.totals[member], work.sums.shape[2] - 2
    _add_chunks(work.sums[batch % 2], total)
    rate = rate_of(batches.rates, batch)
    _update(batches.rule, member, rate, size, n_features, total, work.weights[member], work.bias[member])
    return loss_sum + total[n_features + 1]


def needs_second_barrier(work, is_last):
    return False


@helper
def _add_chunks(sums, total):
    for j in range(sums.shape[1]):
        total[j] = sums[0, j]
    for c in range(1, sums.shape[0]):
        for j in range(sums.shape[1]):
            total[j] += sums[c, j]


@helper
def _update(rule, member, learning_rate, size, n_features, total, weights, bias):
    if rule is None:
        step = learning_rate / size
        for j in range(n_features):
            weights[j] -= step * total[j]
        bias[0] -= step * total[n_features]
    else:
        updates.apply(rule, member, learning_rate, size, total, weights, bias)


@helper
def _fetch(rule, member):
    """Copy the first member's parameters to another one's."""
    if rule is not None:
        for source in (rule.parameters, rule.first, rule.second, rule.mean):
            for j in range(source.shape[1]):
                source[member, j] = source[0, j]
        for k in range(2):
            rule.counts[member, k] = rule.counts[0, k]
