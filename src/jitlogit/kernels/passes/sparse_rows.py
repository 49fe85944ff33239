"""Sums over sparse rows, computed in a small copy of a chunk's features, unless the chunk is treated as having all.

First the values of a tile get numbers. A feature that is new to the chunk gets the next number, and its weights are
copied. Two arrays that point at each other tell whether a feature is new, and never need clearing (Briggs and Torczon,
"An efficient representation for sparse sets", 1993). Scores and gradients then stay in the cache.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ...compiler.jit import by_type, helper, inline
from ..simd import lanes
from ..simd.arrays import LINE_BYTES, PADDING
from ..simd.memory import prefetch, prefetch_item
from ..steps.batches import Positions
from ..steps.labels import is_binary
from ..steps.row_order import row_at
from ..storage.csr import add_sparse_row, score_row
from ..storage.sparse_work import DRIVE, LAST, MATRIX
from .softmax_tile import softmax_residuals
from .tile import tile_residuals

# How many rows, and features, ahead of their use are prefetched; most cache lines of a row. Tuned on Zen 4, two cores.
_ROWS_AHEAD = 4
FEATURES_AHEAD = 8
_LINES_AHEAD = 4


class Numbering(NamedTuple):
    """Numbers of the features to which values belong."""

    numbers: Any
    by_tile: bool  # whether there is one for each of a tile's values, else for each of all rows' values


@inline
def padded_scores(work):
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
    state, n_padded = work.state, padded_scores(work)
    step = lanes.half_width(state)
    for number in range(first, stop):
        fetch_feature(state, touched[min(number + FEATURES_AHEAD, stop - 1)])
        feature = state[touched[number]]
        entry = table[np.int64(feature[2 * n_padded + LAST])]
        drive = feature[2 * n_padded + DRIVE]
        drives[number] = drive
        weight, gradient = weights[number], gradients[number]
        if n_padded == 1:
            weight[0] = entry[0] * feature[0] + entry[1] * feature[1] + drive * entry[MATRIX]
            gradient[0] = 0.0
        else:
            p0, p1 = lanes.fill_half(state, entry[0]), lanes.fill_half(state, entry[1])
            zeros, a = lanes.fill_half(state, 0.0), lanes.fill_half(state, drive)
            for k in range(0, n_padded, step):
                u, v = lanes.load_half(state, feature, k), lanes.load_half(state, feature, n_padded + k)
                lanes.store(weight, k, p0 * u + p1 * v + a * lanes.load_half(state, entry, MATRIX + k))
                lanes.store(gradient, k, zeros)


@helper
def _fetch_weights(state, touched, first, stop, weights, gradients):
    """As `_fetch_features`, for weights that are up to date."""
    n_padded = weights.shape[1]
    for number in range(first, stop):
        fetch_feature(state, touched[min(number + FEATURES_AHEAD, stop - 1)])
        for k in range(n_padded):
            weights[number, k] = state[touched[number], k]
            gradients[number, k] = 0.0


@by_type
def residuals(labels, order, start, count, with_loss, tile):
    """Turn scores in `tile` into residuals times the rows' weights; return the sum of the losses."""
    return _logistic_residuals if is_binary(labels) else _class_residuals


def _class_residuals(labels, order, start, count, with_loss, tile):
    return softmax_residuals(labels, order, start, count, with_loss, tile)


def _logistic_residuals(labels, order, start, count, with_loss, tile):
    _, loss_sum = tile_residuals(labels, order, start, count, with_loss, tile, tile[0], tile.dtype.type(0))
    return loss_sum


@inline
def _sum_tile(examples, positions, with_loss, numbering, weights, work, member, c):
    """Add a tile's rows to the chunk's gradients and sums, by `weights` of the features.

    The next tile's rows are prefetched unless `numbering` is by tile, since `_number` then prefetches rows.
    """
    rows, labels, order = examples
    first, stop, known = positions
    numbers, by_tile = numbering
    gradients, row, tile = work.gradients[c], work.rows[member], work.tiles[member]
    sums, bias, n_scores, n_padded = work.sums[c], work.bias, work.bias.shape[0], padded_scores(work)
    at = np.int64(0)
    for t in range(stop - first):
        if not by_tile:
            _fetch_row(rows, order, stop + t, known)
        i = row_at(order, first + t)
        p = np.int64(rows.indptr[i])
        count = np.int64(rows.indptr[i + 1]) - p
        score_row(labels, rows.data, p, count, numbers, at if by_tile else p, weights, row)
        at += count
        for k in range(n_scores):
            tile[k, t] = row[k] + bias[k, 0]
    sums[2 * n_padded] += residuals(labels, order, first, stop - first, with_loss, tile)
    at = np.int64(0)
    for t in range(stop - first):
        i = row_at(order, first + t)
        p = np.int64(rows.indptr[i])
        count = np.int64(rows.indptr[i + 1]) - p
        for k in range(n_scores):
            row[k] = tile[k, t]
            sums[k] += row[k]
        add_sparse_row(labels, rows.data, p, count, numbers, at if by_tile else p, row, gradients)
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
    for k in range(2 * padded_scores(work) + 1):
        work.sums[c, k] = 0.0
    if work.has_all:
        count = np.int64(touched.size)
        if lazy:
            _fetch_features(work, table, touched, 0, count, weights, drives, gradients)
        else:
            weights = work.state
            gradients[:] = 0.0
        for first in range(start, stop, tile_rows):
            part = Positions(first, min(first + tile_rows, stop), known)
            _sum_tile(examples, part, with_loss, Numbering(examples.rows.indices, False), weights, work, member, c)
    else:
        numbers = work.numbers[member]
        count = np.int64(0)
        for first in range(start, stop, tile_rows):
            part = Positions(first, min(first + tile_rows, stop), known)
            before = count
            count = _number(examples, part, count, places, touched, numbers)
            if lazy:
                _fetch_features(work, table, touched, before, count, weights, drives, gradients)
            else:
                _fetch_weights(work.state, touched, before, count, weights, gradients)
            _sum_tile(examples, part, with_loss, Numbering(numbers, True), weights, work, member, c)
        work.counts[c, 0] = count
    if lazy:
        _sum_drives(drives, gradients, count, work.sums[c])


@inline
def _sum_drives(drives, gradients, count, sums):
    """Add the sums over the features of gradient a / scale."""
    n_padded = gradients.shape[1]
    for number in range(count):
        for k in range(n_padded):
            sums[n_padded + k] += drives[number] * gradients[number, k]
