"""Sparse rows: epochs whose time is proportional to the stored values, not to the number of features.

Features are x' = (x - mean) / scale. Their weights w and momentum sums v change in every batch, by the penalty, by the
momentum, and by the mean that is subtracted. That is so even if no row of the batch has the feature. But all
features that no row has change in the same linear way:

    (w, v) := M (w, v) + a (c rho, -m rho),    M = [[1 - c l2, -h], [m l2, beta]],    a = mean / scale,

where rho is the mean residual, and c, h, m and beta depend on the optimizer and the learning rate. So updates are lazy:
a feature keeps the number of its last update, and is left alone until a row has it. For each of these numbers, a table
holds the product of the matrices and the sum of the added terms up to now. When the table is full, all features are
brought up to date. This extends the scaling of Shalev-Shwartz, Singer and Srebro, "Pegasos" (2007), and the closed
forms of Carpenter, "Lazy sparse stochastic gradient descent for regularized multinomial logistic regression" (2008), to
momentum and to features whose mean is subtracted.

Updates aren't lazy for optimizers that aren't linear, for the L1 penalty, for averages, and for one score if each batch
has all features. There `update.apply` updates all features in each batch.

A chunk's rows are mostly computed with in a small copy of the features that they have: see `sparse_rows`.
"""

from __future__ import annotations

import numpy as np

from ...compiler.jit import helper, inline, kernel, outline
from ..passes.sparse_rows import FEATURES_AHEAD, fetch_feature, padded_scores, sum_chunk
from ..simd import lanes
from ..steps import update as updates
from ..steps.batches import Examples, Positions
from ..steps.labels import count_of
from ..steps.row_order import fill_order
from ..steps.shares import part_of
from ..storage.sparse_work import B_SUM, DRIVE, INVERSE_SQUARE, LAST, MATRIX, MEAN_DRIVE, MEAN_U, MEAN_V, B
from .chunks import batch_at, rate_of


def begin(batches, work, share, first_batch, stop_batch):
    order, batch_size, member = batches.order, batches.cut.batch_size, share.member
    if member:
        _copy(work.scalars, member)
        _copy(work.tables, member)
        _copy(work.entries, member)
        work.updates[member, 0] = work.updates[0, 0]
    known = _known_positions(batches, share, stop_batch)
    if known and not member:
        fill_order(order, first_batch * batch_size, known, order.rows)


def sum_share(batches, work, share, batch, stop_batch):
    order = batches.order
    examples = Examples(batches.rows, batches.labels, order.rows)
    known = _known_positions(batches, share, stop_batch)
    first, size = batch_at(batches, batch)
    for c in range(share.first, share.stop):
        start, stop = first + size * c // share.n_chunks, first + size * (c + 1) // share.n_chunks
        if not known:
            fill_order(order, start, stop, order.rows)
        sum_chunk(examples, Positions(start, stop, max(stop, known)), batches.rates.with_loss, c, work, share.member)


def update(batches, work, share, batch, is_last, loss_sum):
    _, size = batch_at(batches, batch)
    rate = rate_of(batches.rates, batch)
    if work.is_lazy:
        ends_epoch = (batch + 1) * batches.cut.batch_size >= count_of(batches.labels)
        _linear_update(batches.rule, rate, size, ends_epoch, work, share)
    else:
        _full_update(batches.rule, rate, size, work, share)
    if not share.member:
        for c in range(share.n_chunks):
            loss_sum += work.sums[c, 2 * padded_scores(work)]
    return loss_sum


def needs_second_barrier(work, is_last):
    return True


@inline
def _known_positions(batches, share, stop_batch):
    """Positions that `begin` fills in: up to the end of the span for one chunk a batch, else none."""
    if share.n_chunks > 1 or batches.order.by_blocks:
        return 0
    return min(stop_batch * batches.cut.batch_size, count_of(batches.labels))


@inline
def _constants(optimizer, rate):
    """c, h, m and beta of a linear optimizer, see the module's docstring."""
    if optimizer == updates.SGD:
        return rate, 0.0, 0.0, 0.0
    if optimizer == updates.MOMENTUM:
        return rate, rate * updates.KEPT, 1.0, updates.KEPT
    return rate * (1 + updates.KEPT), rate * updates.KEPT**2, 1.0, updates.KEPT


@inline
def _update_table(m00, m01, m10, m11, t, table):
    """Multiply the products of entries 0 ... t by the matrix of an update."""
    for e in range(t + 1):
        entry = table[e]
        p0, p1, p2, p3 = entry[0], entry[1], entry[2], entry[3]
        entry[0], entry[1] = m00 * p0 + m01 * p2, m00 * p1 + m01 * p3
        entry[2], entry[3] = m10 * p0 + m11 * p2, m10 * p1 + m11 * p3


@outline
def _linear_update(rule, rate, size, ends_epoch, work, share):
    """Update a member's part of the features, and its copies of the scalars and the table."""
    n_chunks, n_features, member = work.gradients.shape[0], work.state.shape[0], share.member
    n_scores, n_padded = work.bias.shape[0], padded_scores(work)
    table, scalars = work.tables[member], work.scalars[member]
    c, h, m, beta = _constants(rule.optimizer, rate)
    l2 = rule.penalties[0]
    m00, m01, m10, m11 = 1 - c * l2, -h, m * l2, beta
    t = work.updates[member, 0]
    _update_table(m00, m01, m10, m11, t, table)
    centred = scalars[MEAN_DRIVE, 0] > 0
    for k in range(n_scores):
        rho = drive = 0.0
        for chunk in range(n_chunks):
            rho += work.sums[chunk, k] / size
            drive += work.sums[chunk, n_padded + k] / size
        if centred:
            for e in range(t + 1):
                entry = table[e]
                u, v = entry[MATRIX + k], entry[MATRIX + n_padded + k]
                entry[MATRIX + k] = m00 * u + m01 * v + c * rho
                entry[MATRIX + n_padded + k] = m10 * u + m11 * v - m * rho
        u, v = scalars[MEAN_U, k], scalars[MEAN_V, k]
        drive -= rho * scalars[MEAN_DRIVE, 0]
        scalars[MEAN_U, k] = m00 * u + m01 * v - c * drive
        scalars[MEAN_V, k] = m10 * u + m11 * v + m * drive
        if rule.fit_intercept:
            v = scalars[B_SUM, k]
            scalars[B, k] -= c * rho + h * v
            scalars[B_SUM, k] = beta * v + m * rho
        if not member:
            work.bias[k, 0] = scalars[B, k] - scalars[MEAN_U, k]
    entries = work.entries[member]
    for e in range(t + 1):
        for k in range(table.shape[1]):
            entries[e, k] = table[e, k]
    first, stop = part_of(share, n_features)
    if work.has_all:
        for j in range(first, stop):
            _step(work, entries, 0, j, j, 0, c / size, m / size)
        t = np.int64(-1)
    else:
        for chunk in range(n_chunks):
            touched = work.touched[chunk]
            count = work.counts[chunk, 0]
            for number in range(count):
                j = touched[min(number + FEATURES_AHEAD, count - 1)]
                if first <= j < stop:
                    fetch_feature(work.state, j)
                j = touched[number]
                if first <= j < stop and work.state[j, 2 * n_padded + LAST] <= t:
                    _step(work, entries, chunk, number, j, t + 1, c / size, m / size)
    t += 1
    _begin_entry(table[t])
    _begin_entry(entries[t])
    if t > 0 and (ends_epoch or t == table.shape[0] - 1):
        for j in range(first, stop):
            _catch_up(work.state, work.state[j], entries, n_padded)
        t = np.int64(0)
        _begin_entry(table[t])
        _begin_entry(entries[t])
    work.updates[member, 0] = t


@inline
def _sum_gradients(work, chunk, number, j, out_gradient):
    """Add the gradients of a feature in later chunks to its gradient (K,) in a chunk."""
    n_padded = padded_scores(work)
    for other in range(chunk + 1, work.gradients.shape[0]):
        its = np.int64(j)
        if not work.has_all:
            its = np.int64(work.places[other, j])
            if its >= work.counts[other, 0] or work.touched[other, its] != j:
                continue
        for k in range(n_padded):
            out_gradient[k] += work.gradients[other, its, k]


@inline
def _step(work, table, chunk, number, j, t, c, m):
    """Bring a feature that the batch has up to update t, with its gradient."""
    n_padded = padded_scores(work)
    state = work.state
    feature, gradient = state[j], work.gradients[chunk, number]
    if work.gradients.shape[0] > 1:
        _sum_gradients(work, chunk, number, j, gradient)
    factor = feature[2 * n_padded + INVERSE_SQUARE]
    _move(state, feature, table[np.int64(feature[2 * n_padded + LAST])], n_padded)
    if n_padded == 1:
        feature[0] -= c * factor * gradient[0]
        feature[1] += m * factor * gradient[0]
    else:
        of_u, of_v = lanes.fill_half(state, c * factor), lanes.fill_half(state, m * factor)
        for k in range(0, n_padded, lanes.half_width(state)):
            g = lanes.load_half(state, gradient, k)
            lanes.store(feature, k, lanes.load_half(state, feature, k) - of_u * g)
            v = lanes.load_half(state, feature, n_padded + k)
            lanes.store(feature, n_padded + k, v + of_v * g)
    feature[2 * n_padded + LAST] = t


@inline
def _begin_entry(entry):
    for k in range(entry.size):
        entry[k] = 0.0
    entry[0] = entry[3] = 1.0


@helper
def _catch_up(state, feature, table, n_padded):
    """Bring a feature up to date without a gradient, before the table is cleared."""
    _move(state, feature, table[np.int64(feature[2 * n_padded + LAST])], n_padded)
    feature[2 * n_padded + LAST] = 0.0


@inline
def _move(state, feature, entry, n_padded):
    drive = feature[2 * n_padded + DRIVE]
    if n_padded == 1:
        u, v = feature[0], feature[1]
        feature[0] = entry[0] * u + entry[1] * v + drive * entry[MATRIX]
        feature[1] = entry[2] * u + entry[3] * v + drive * entry[MATRIX + 1]
        return
    p0, p1 = lanes.fill_half(state, entry[0]), lanes.fill_half(state, entry[1])
    p2, p3 = lanes.fill_half(state, entry[2]), lanes.fill_half(state, entry[3])
    a = lanes.fill_half(state, drive)
    for k in range(0, n_padded, lanes.half_width(state)):
        u, v = lanes.load_half(state, feature, k), lanes.load_half(state, feature, n_padded + k)
        lanes.store(feature, k, p0 * u + p1 * v + a * lanes.load_half(state, entry, MATRIX + k))
        lanes.store(feature, n_padded + k, p2 * u + p3 * v + a * lanes.load_half(state, entry, MATRIX + n_padded + k))


@outline
def _full_update(rule, rate, size, work, share):
    """Update all parameters of a member's classes."""
    n_features = work.state.shape[0]
    total = work.totals[share.member]
    first_class, stop_class = part_of(share, work.bias.shape[0])
    for k in range(first_class, stop_class):
        for j in range(n_features + 1):
            total[j] = 0.0
        for chunk in range(work.gradients.shape[0]):
            if work.has_all:
                for j in range(n_features):
                    total[j] += work.gradients[chunk, j, k]
            else:
                for number in range(work.counts[chunk, 0]):
                    total[work.touched[chunk, number]] += work.gradients[chunk, number, k]
            total[n_features] += work.sums[chunk, k]
        updates.apply(rule, k, rate, size, total, work.state[:, k], work.bias[k])


@inline
def _copy(arrays, member):
    for i in range(arrays.shape[1]):
        for k in range(arrays.shape[2]):
            arrays[member, i, k] = arrays[0, i, k]


@kernel
def squared_gradients(state, before, inverse_scale, of_step, of_growth):
    """Sum over features and classes of the squares of (of_step (u_before - u) + of_growth (v - v_before)) scale.

    `before` (n, 2 K) holds u and v. The sum isn't finite unless they are.
    """
    n_padded = before.shape[1] // 2
    total = 0.0
    for j in range(before.shape[0]):
        squares = 0.0
        for k in range(n_padded):
            moved = of_step * (before[j, k] - state[j, k])
            moved += of_growth * (state[j, n_padded + k] - before[j, n_padded + k])
            squares += moved * moved
        total += squares / inverse_scale[j] ** 2
    return total
