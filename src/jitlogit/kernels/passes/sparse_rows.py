"""Sums over sparse rows, computed in a small copy of a chunk's features, unless the chunk is treated as having all.

First the values of a tile get numbers. A feature that is new to the chunk gets the next number, and its weights are
copied. Two arrays that point at each other tell whether a feature is new, and never need clearing (Briggs and Torczon,
"An efficient representation for sparse sets", 1993). Scores and gradients then stay in the cache.
"""

from __future__ import annotations

import numpy as np

from ...compiler.jit import by_type, helper, inline
from ...compiler.types import fields, holds
from ..simd import lanes
from ..simd.arrays import LINE_BYTES, PADDING
from ..simd.memory import prefetch, prefetch_item
from ..steps.batches import Positions
from ..steps.labels import is_weighted
from ..steps.row_order import row_at
from ..storage.sparse_work import DRIVE, LAST, MATRIX
from .softmax_tile import softmax_residuals
from .tile import tile_residuals

# How many rows, and features, ahead of their use are prefetched; most cache lines of a row. Tuned on Zen 4, two cores.
_ROWS_AHEAD = 4
FEATURES_AHEAD = 8
_LINES_AHEAD = 4


def is_binary(labels):
    """Whether the Numba type of labels is that of labels 0 and 1, for choices while a kernel is compiled."""
    return holds(fields(labels)[0] if is_weighted(labels) else labels, "uint8")


@inline
def room_of(work):
    """Number of scores of a row; several are rounded up to whole lanes."""
    return work.gradients.shape[2]


@inline
def _fetch_row(rows, order, position, known):
    """Prefetch the values of the row half of _ROWS_AHEAD positions on, and `indptr` of the row _ROWS_AHEAD on."""
    i = row_at(order, min(position + _ROWS_AHEAD, known - 1))
    prefetch_item(rows.indptr, np.int64(i))
    i = row_at(order, min(position + _ROWS_AHEAD // 2, known - 1))
    begin, end = np.int64(rows.indptr[i]), np.int64(rows.indptr[i + 1])
    step = LINE_BYTES // rows.data.itemsize
    end = min(end, begin + _LINES_AHEAD * step)
    for p in range(begin, end, step):
        prefetch_item(rows.data, p)
        prefetch_item(rows.indices, p)
    if end > begin:  # the last value is mostly on a line that the loop skipped
        prefetch_item(rows.data, end - 1)
        prefetch_item(rows.indices, end - 1)


@inline
def _number(examples, positions, count, places, touched, out_numbers):
    """Number the features of a tile's values; return the chunk's number of features so far, from `count` before."""
    rows, _, order = examples
    first, stop, known = positions
    at = 0
    for position in range(first, stop):
        _fetch_row(rows, order, position, known)
        i = row_at(order, position)
        for p in range(rows.indptr[i], rows.indptr[i + 1]):
            j = np.uint64(rows.indices[p])
            number = np.int64(places[j])
            if number >= count or touched[np.uint64(number)] != np.int64(j):
                number = count
                places[j] = number
                touched[np.uint64(number)] = np.int64(j)
                count += 1
            out_numbers[np.uint64(at)] = number
            at += 1
    return count


@inline
def fetch_feature(state, j):
    for k in range(0, state.shape[1], LINE_BYTES // state.itemsize):
        prefetch(state, j, k)


@helper
def _fetch_features(work, table, touched, first, stop, weights, drives, gradients):
    """Copy weights of a chunk's features first ... stop - 1, brought up to date: p0 u + p1 v + a q. Clear gradients."""
    state, n_room = work.state, room_of(work)
    step = lanes.half_width(state)
    for number in range(first, stop):
        fetch_feature(state, touched[min(number + FEATURES_AHEAD, stop - 1)])
        feature = state[touched[number]]
        entry = table[np.int64(feature[2 * n_room + LAST])]
        drive = feature[2 * n_room + DRIVE]
        drives[number] = drive
        weight, gradient = weights[number], gradients[number]
        if n_room == 1:
            weight[0] = entry[0] * feature[0] + entry[1] * feature[1] + drive * entry[MATRIX]
            gradient[0] = 0.0
        else:
            p0, p1 = lanes.fill_half(state, entry[0]), lanes.fill_half(state, entry[1])
            nothing, a = lanes.fill_half(state, 0.0), lanes.fill_half(state, drive)
            for k in range(0, n_room, step):
                u, v = lanes.load_half(state, feature, k), lanes.load_half(state, feature, n_room + k)
                lanes.store(weight, k, p0 * u + p1 * v + a * lanes.load_half(state, entry, MATRIX + k))
                lanes.store(gradient, k, nothing)


@helper
def _fetch_weights(state, touched, first, stop, weights, gradients):
    """As `_fetch_features`, for weights that are up to date."""
    n_room = weights.shape[1]
    for number in range(first, stop):
        fetch_feature(state, touched[min(number + FEATURES_AHEAD, stop - 1)])
        for k in range(n_room):
            weights[number, k] = state[touched[number], k]
            gradients[number, k] = 0.0


# Below, `data` from position p on are a row's values, and `numbers` from position `at` on are these values' features.


@by_type
def score_row(labels, data, p, count, numbers, at, weights, out_z):
    """Scores of a row into out_z (K,)."""
    return _one_score if is_binary(labels) else _several_scores


def _one_score(labels, data, p, count, numbers, at, weights, out_z):
    z = out_z.dtype.type(0)
    for t in range(count):
        z += data[np.uint64(p + t)] * weights[np.uint64(numbers[np.uint64(at + t)]), np.uint64(0)]
    out_z[0] = z


def _several_scores(labels, data, p, count, numbers, at, weights, out_z):
    n_room = weights.shape[1]
    step = lanes.half_width(weights)
    nothing = lanes.fill_half(weights, 0.0)
    for k in range(0, n_room, 2 * step):
        z = y = nothing
        for t in range(count):
            weight = weights[np.uint64(numbers[np.uint64(at + t)])]
            x = lanes.fill_half(weights, data[np.uint64(p + t)])
            z += x * lanes.load_half(weights, weight, k)
            if k + step < n_room:
                y += x * lanes.load_half(weights, weight, k + step)
        lanes.store(out_z, k, z)
        if k + step < n_room:
            lanes.store(out_z, k + step, y)


@by_type
def add_sparse_row(labels, data, p, count, numbers, at, residual, gradients):
    """gradient += x residual (K,) for each feature of a row."""
    return _add_one if is_binary(labels) else _add_several


def _add_one(labels, data, p, count, numbers, at, residual, gradients):
    r = residual[0]
    for t in range(count):
        gradients[np.uint64(numbers[np.uint64(at + t)]), np.uint64(0)] += data[np.uint64(p + t)] * r


def _add_several(labels, data, p, count, numbers, at, residual, gradients):
    n_room = gradients.shape[1]
    step = lanes.half_width(gradients)
    for t in range(count):
        gradient = gradients[np.uint64(numbers[np.uint64(at + t)])]
        x = lanes.fill_half(gradients, data[np.uint64(p + t)])
        for k in range(0, n_room, step):
            g = lanes.load_half(gradients, gradient, k) + x * lanes.load_half(gradients, residual, k)
            lanes.store(gradient, k, g)


@by_type
def residuals(labels, order, start, count, with_loss, room):
    """Turn scores in `room` into residuals times the rows' weights; return the sum of the losses."""
    return _logistic_residuals if is_binary(labels) else _class_residuals


def _class_residuals(labels, order, start, count, with_loss, room):
    return softmax_residuals(labels, order, start, count, with_loss, room)


def _logistic_residuals(labels, order, start, count, with_loss, room):
    _, loss_sum = tile_residuals(labels, order, start, count, with_loss, room, room[0], room.dtype.type(0))
    return loss_sum


@inline
def _sum_tile(examples, positions, with_loss, numbering, weights, work, member, c):
    """Add a tile's rows to the chunk's gradients and sums, by `weights` of the features.

    `numbering` holds numbers of features, and True if these belong to the tile's values, False if to all rows' values.
    The next tile's rows are prefetched in the latter case; else `_number` prefetches rows.
    """
    rows, labels, order = examples
    first, stop, known = positions
    numbers, numbered = numbering
    gradients, row, room = work.gradients[c], work.rows[member], work.tiles[member]
    sums, bias, n_scores, n_room = work.sums[c], work.bias, work.bias.shape[0], room_of(work)
    at = np.int64(0)
    for t in range(stop - first):
        if not numbered:
            _fetch_row(rows, order, stop + t, known)
        i = row_at(order, first + t)
        p = np.int64(rows.indptr[i])
        count = np.int64(rows.indptr[i + 1]) - p
        score_row(labels, rows.data, p, count, numbers, at if numbered else p, weights, row)
        at += count
        for k in range(n_scores):
            room[k, t] = row[k] + bias[k, 0]
    sums[2 * n_room] += residuals(labels, order, first, stop - first, with_loss, room)
    at = np.int64(0)
    for t in range(stop - first):
        i = row_at(order, first + t)
        p = np.int64(rows.indptr[i])
        count = np.int64(rows.indptr[i + 1]) - p
        for k in range(n_scores):
            row[k] = room[k, t]
            sums[k] += row[k]
        add_sparse_row(labels, rows.data, p, count, numbers, at if numbered else p, row, gradients)
        at += count


@helper
def sum_chunk(examples, positions, with_loss, c, work, member):
    """Sums over a chunk's rows: gradients of their features, and `work.sums`.

    The order is filled in up to position `positions.ahead`, and rows up to there can be prefetched.
    """
    start, stop, known = positions
    table, touched, places = work.entries[member], work.touched[c], work.places[c]
    weights, drives, gradients = work.weights[member], work.drives[member], work.gradients[c]
    tile_rows = work.tiles.shape[2] - PADDING
    lazy = work.is_lazy
    for k in range(2 * room_of(work) + 1):
        work.sums[c, k] = 0.0
    if work.has_all:
        count = np.int64(touched.size)
        if lazy:
            _fetch_features(work, table, touched, 0, count, weights, drives, gradients)
        else:
            weights = work.state
            gradients[:] = 0.0
        for first in range(start, stop, tile_rows):
            tile = Positions(first, min(first + tile_rows, stop), known)
            _sum_tile(examples, tile, with_loss, (examples.rows.indices, False), weights, work, member, c)
    else:
        numbers = work.numbers[member]
        count = np.int64(0)
        for first in range(start, stop, tile_rows):
            tile = Positions(first, min(first + tile_rows, stop), known)
            before = count
            count = _number(examples, tile, count, places, touched, numbers)
            if lazy:
                _fetch_features(work, table, touched, before, count, weights, drives, gradients)
            else:
                _fetch_weights(work.state, touched, before, count, weights, gradients)
            _sum_tile(examples, tile, with_loss, (numbers, True), weights, work, member, c)
        work.counts[c, 0] = count
    if lazy:
        _sum_drives(drives, gradients, count, work.sums[c])


@inline
def _sum_drives(drives, gradients, count, sums):
    """Add the sums over the features of gradient a / scale."""
    n_room = gradients.shape[1]
    for number in range(count):
        for k in range(n_room):
            sums[n_room + k] += drives[number] * gradients[number, k]
