"""Rows to gradient: a few rows at a time go from scores to residuals, and are added to the gradient from the cache.

`plan.row_tiles` chooses one of three ways by a row's length. A tile keeps its scores and residuals in memory. Eight
rows keep them in registers. A pair is scored while the pair before it is added.
"""

from __future__ import annotations

from ...compiler.jit import helper, inline, inline_by_type, outline
from ...compiler.types import fields
from ..simd import eights, lanes
from ..steps import link
from ..steps.batches import Positions
from ..steps.labels import is_weighted, signs, weigh
from ..steps.row_order import row_at
from ..storage import operations as storage
from ..storage.c_rows import add_eight, add_pair, eight_scores, fetch, pair_features, score_and_add
from ..storage.plan import FOLD_ROWS, PAIRS, TILES

# Positions between the rows computed with and the rows prefetched, for shuffled rows. Tuned on Zen 4, two cores.
_EIGHTS_AHEAD = 32
_PAIRS_AHEAD = 8


@inline_by_type
def add_rows(examples, positions, tiles, with_loss, space):
    """Add rows to the space's gradient, in its own precision; return the sums of residuals and of losses.

    Without `with_loss`, the sum of losses is 0.
    """
    rows, labels, _ = fields(examples)
    return _tiles if is_weighted(labels) or rows.ndim == 3 or rows.layout != "C" else _groups_and_tiles


def _tiles(examples, positions, tiles, with_loss, space):
    return _add_tiles(examples, positions, tiles.rows, with_loss, space)


def _groups_and_tiles(examples, positions, tiles, with_loss, space):
    first, stop, ahead = positions
    residuals = losses = space.weights.dtype.type(0)
    count = stop - first
    middle = first + (0 if tiles.way == TILES else count - count % tiles.rows)
    if first < middle:
        groups = Positions(first, middle, middle if middle < stop else ahead)
        residuals, losses = _add_groups(examples, groups, tiles, with_loss, space)
    if middle < stop:
        rest = _add_tiles(examples, Positions(middle, stop, ahead), tiles.rows, with_loss, space)
        residuals += rest[0]
        losses += rest[1]
    return residuals, losses


@inline_by_type
def _add_groups(examples, positions, tiles, with_loss, space):
    """Add whole groups of eight rows, or pairs. `plan` chooses no pairs for rows that need widening."""
    return _eights_or_pairs if fields(examples)[0].dtype == fields(space)[0].dtype else _eights


def _eights(examples, positions, tiles, with_loss, space):
    return _add_eights(examples, positions, with_loss, space)


def _eights_or_pairs(examples, positions, tiles, with_loss, space):
    if tiles.way == PAIRS:
        return _add_pairs(examples, positions, with_loss, space)
    return _add_eights(examples, positions, with_loss, space)


@inline
def _add_eights(examples, positions, with_loss, space):
    rows, labels, order = examples
    weights, residuals = space.weights, space.tile[0]
    bias = weights.dtype.type(space.bias[0])
    residual_sum = loss_sum = eights.zeros(weights)
    first, stop, ahead = positions
    start = first - first  # not the literal 0, for which Numba would compile the callees once more
    for p in range(first, stop, 8):
        z = eight_scores(rows, order, p, _upcoming(p + _EIGHTS_AHEAD, stop, ahead), weights) + bias
        sign = _signs_of_eight(labels, order, p, weights)
        if with_loss:
            loss_sum += link.loss(sign * z)
        residual = link.residual(z, sign)
        residual_sum += residual
        lanes.store(residuals, start, residual)
        add_eight(rows, eights.rows_at(order, p), residuals, start, space.gradient)
    return lanes.total(residual_sum), lanes.total(loss_sum)


@inline
def _upcoming(position, stop, ahead):
    """The position, or if that isn't below `stop`, as many positions behind `ahead`."""
    return position if position < stop else ahead + position - stop


@helper
def _signs_of_eight(labels, order, first, like):
    """Eight lanes: +1 for y = 0 and -1 for y = 1."""
    if order is None:
        return eights.signs(like, labels, first)
    return eights.signs_of(like, labels, eights.rows_at(order, first))


@outline
def _add_pairs(examples, positions, with_loss, space):
    rows, labels, order = examples
    weights, gradient = space.weights, space.gradient
    bias = weights.dtype.type(space.bias[0])
    residual_sum = loss_sum = zeros = lanes.fill_half(rows, 0.0)
    first, stop, ahead = positions
    i = row_at(order, first)
    before = (i, i, zeros, zeros)
    whole = pair_features(rows)
    zero = whole - whole  # not the literal 0, for which Numba would compile the callees once more
    for p in range(first, stop, 2):
        upcoming = _upcoming(p + _PAIRS_AHEAD, stop, ahead)
        fetch(rows, order, upcoming)
        fetch(rows, order, upcoming + 1)
        i = row_at(order, p)
        j = row_at(order, p + 1)
        y = lanes.total(score_and_add(rows, i, weights, before, zero, gradient)) + bias
        z = lanes.total(score_and_add(rows, j, weights, before, whole // 2, gradient)) + bias
        add_pair(rows, before, whole, gradient)
        r, loss = _residual_and_loss(rows, labels[i], y, with_loss)
        s, other_loss = _residual_and_loss(rows, labels[j], z, with_loss)
        residual_sum += r + s
        loss_sum += loss + other_loss
        before = (i, j, r, s)
    add_pair(rows, before, zero, gradient)
    return lanes.first_of(residual_sum), lanes.first_of(loss_sum)


@inline
def _residual_and_loss(rows, label, score, with_loss):
    """Residual and loss of one row, each in all half lanes."""
    sign = lanes.fill_half(rows, -1.0 if label else 1.0)
    z = lanes.fill_half(rows, score)
    loss = lanes.fill_half(rows, 0.0)
    if with_loss:
        loss = link.loss(sign * z)
    return link.residual(z, sign), loss


@inline
def _add_tiles(examples, positions, tile_rows, with_loss, space):
    rows, labels, order = examples
    weights, tile = space.weights, space.tile
    bias = weights.dtype.type(space.bias[0])
    residual_sum = loss_sum = weights.dtype.type(0)
    first, stop, ahead = positions
    for start in range(first, stop, tile_rows):
        used = min(tile_rows, stop - start)
        following = start + used if start + used < stop else ahead
        storage.scores(rows, order, start, used, following, weights, bias, tile[0])
        residual, loss_sum = tile_residuals(labels, order, start, used, with_loss, tile, tile[2], loss_sum)
        residual_sum += residual
        storage.accumulate(rows, order, start, used, tile[2], space.gradient)
    return residual_sum, loss_sum


@inline
def tile_residuals(labels, order, start, count, with_loss, tile, out_residual, loss_sum):
    """Residuals of the scores tile[0] of some rows, times the rows' weights; tile[1] and tile[2] are worked in.

    Returns the sum of the residuals, and `loss_sum` with the losses if `with_loss`. `out_residual` may be tile[0] or
    tile[2].
    """
    z, sign, loss = tile[0], tile[1], tile[2]
    zeros = lanes.fill(z, 0.0)  # lanes beyond the last row have no residual
    signs(labels, order, start, count, sign)
    if count % lanes.width(z):
        lanes.store(sign, count, zeros)
        lanes.store(z, count, zeros)
    if with_loss:
        link.losses(z, sign, count, loss)
        weigh(labels, order, start, count, loss_sum, loss)
        for t in range(count):
            loss_sum += loss[t]
    return weigh(labels, order, start, count, link.residuals(z, sign, count, out_residual), out_residual), loss_sum


@helper
def sum_chunk(examples, positions, tiles, with_loss, space, out_sums):
    """Sums over a chunk's rows into out_sums (n + 2,): x (A - Y), A - Y, and the losses."""
    n_features = examples.rows.shape[1]
    for j in range(n_features + 2):
        out_sums[j] = 0.0
    block_rows = max(FOLD_ROWS, tiles.rows)
    _, stop, following = positions
    for first in range(positions.first, stop, block_rows):
        end = min(first + block_rows, stop)
        block = Positions(first, end, end if end < stop else following)
        residual_sum, loss_sum = add_rows(examples, block, tiles, with_loss, space)
        out_sums[n_features] += residual_sum
        out_sums[n_features + 1] += loss_sum
        for j in range(n_features):
            out_sums[j] += space.gradient[j]
            space.gradient[j] = 0
