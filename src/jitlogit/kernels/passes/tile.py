"""Rows to gradient: scores, residuals and accumulation, a tile of rows at a time."""

from __future__ import annotations

from ...compiler.jit import by_type, helper, inline, inline_by_type, outline
from ..simd import eights, lanes
from ..steps import link
from ..steps.labels import is_weighted, signs, weigh
from ..steps.row_order import is_own, row_at
from ..storage import operations as storage
from ..storage.c_rows import add_eight, add_pair, eight_rows, eight_scores, fetch, pair_features, score_and_add
from ..storage.plan import FOLD_ROWS

# How many rows ahead memory is asked for, where they are in another order than their own.
_EIGHTS_AHEAD = 32
_PAIRS_AHEAD = 8


@inline_by_type
def add_rows(rows, labels, order, first, count, ahead, tile_rows, with_loss, weights, bias, room, out_gradient):
    """Add the rows at positions first ... first + count - 1 to the gradient; return sums of residuals and losses.

    A tile of rows is scored before it is added, or a pair while the pair before is added. Rows from position `ahead`
    on are next: where the order isn't their own, their memory is asked for meanwhile. The gradient is summed in its own
    precision. `room` (3, tile_rows + PADDING) is room to work in.
    """
    if is_weighted(labels) or rows.ndim == 3 or rows.layout != "C":
        return _tiles
    return _by_row_length


def _by_row_length(rows, labels, order, first, count, ahead, tile_rows, with_loss, weights, bias, room, out_gradient):
    residuals = losses = weights.dtype.type(0)
    whole = count - count % tile_rows if tile_rows == 2 or tile_rows == 8 else 0
    upcoming = first + whole if whole < count else ahead
    if whole:
        residuals, losses = _groups(
            rows, labels, order, first, whole, upcoming, tile_rows, with_loss, weights, bias, room, out_gradient
        )
    if whole < count:
        first += whole
        count -= whole
        more_residuals, more_losses = _add_tiles(
            rows, labels, order, first, count, ahead, tile_rows, with_loss, weights, bias, room, out_gradient
        )
        residuals += more_residuals
        losses += more_losses
    return residuals, losses


@inline_by_type
def _groups(rows, labels, order, first, count, ahead, tile_rows, with_loss, weights, bias, room, out_gradient):
    """Groups of eight rows, or of two where `plan` takes such tiles: never of a compact dtype."""
    return _eights_or_pairs if rows.dtype == weights.dtype else _eights


def _eights(rows, labels, order, first, count, ahead, tile_rows, with_loss, weights, bias, room, out_gradient):
    return _add_eights(rows, labels, order, first, count, ahead, with_loss, weights, bias, room, out_gradient)


def _eights_or_pairs(rows, labels, order, first, count, ahead, tile_rows, with_loss, weights, bias, room, out_gradient):
    if tile_rows == 2:
        return _add_pairs(rows, labels, order, first, count, ahead, with_loss, weights, bias, out_gradient)
    return _add_eights(rows, labels, order, first, count, ahead, with_loss, weights, bias, room, out_gradient)


def _tiles(rows, labels, order, first, count, ahead, tile_rows, with_loss, weights, bias, room, out_gradient):
    return _add_tiles(rows, labels, order, first, count, ahead, tile_rows, with_loss, weights, bias, room, out_gradient)


@inline
def _add_eights(rows, labels, order, first, count, ahead, with_loss, weights, bias, room, out_gradient):
    """C-ordered rows, eight at a time, whose scores and residuals stay in registers."""
    residual = room[0]
    residual_sum = loss_sum = eights.zeros(weights)
    stop = first + count
    start = first - first  # a variable: literals are compiled for, each by itself
    for p in range(first, stop, 8):
        z = eight_scores(rows, order, p, _upcoming(p + _EIGHTS_AHEAD, stop, ahead), weights) + bias
        sign = _signs_of_eight(labels, order, p, weights)
        q = sign * z
        if with_loss:
            loss_sum += link.loss(q)
        r = sign * link.sigmoid(q)
        residual_sum += r
        lanes.store(residual, start, r)
        add_eight(rows, eight_rows(order, p), residual, start, out_gradient)
    return lanes.total(residual_sum), lanes.total(loss_sum)


@inline
def _upcoming(position, stop, ahead):
    """A position counted on from `stop` to what comes next."""
    return position if position < stop else ahead + position - stop


@outline
def _add_pairs(rows, labels, order, first, count, ahead, with_loss, weights, bias, out_gradient):
    """C-ordered rows, two of which are scored while the two before are added."""
    residual_sum = loss_sum = nothing = lanes.fill_half(rows, 0.0)
    stop = first + count
    i = row_at(order, first)
    before = (i, i, nothing, nothing)
    whole = pair_features(rows)
    zero = whole - whole  # a variable: literals are compiled for, each by itself
    for p in range(first, stop, 2):
        upcoming = _upcoming(p + _PAIRS_AHEAD, stop, ahead)
        fetch(rows, order, upcoming)
        fetch(rows, order, upcoming + 1)
        i = row_at(order, p)
        j = row_at(order, p + 1)
        y = lanes.total(score_and_add(rows, i, weights, before, zero, out_gradient)) + bias
        z = lanes.total(score_and_add(rows, j, weights, before, whole // 2, out_gradient)) + bias
        add_pair(rows, before, whole, out_gradient)
        r, loss = _residual_and_loss(rows, labels[i], y, with_loss)
        s, other_loss = _residual_and_loss(rows, labels[j], z, with_loss)
        residual_sum += r + s
        loss_sum += loss + other_loss
        before = (i, j, r, s)
    add_pair(rows, before, zero, out_gradient)
    return lanes.first_of(residual_sum), lanes.first_of(loss_sum)


@inline
def _residual_and_loss(rows, label, z, with_loss):
    """Of one row, in all of half a vector's lanes."""
    sign = lanes.fill_half(rows, -1.0 if label else 1.0)
    q = sign * z
    loss = lanes.fill_half(rows, 0.0)
    if with_loss:
        loss = link.loss(q)
    return link.sigmoid(q) * sign, loss


@by_type
def _signs_of_eight(labels, order, first, like):
    """+1 for y = 0 and -1 for y = 1 of eight rows."""
    return _own_eight if is_own(order) else _ordered_eight


def _own_eight(labels, order, first, like):
    return eights.signs(like, labels, first)


def _ordered_eight(labels, order, first, like):
    return eights.signs_of(like, labels, *eight_rows(order, first))


@outline
def _add_tiles(rows, labels, order, first, count, ahead, tile_rows, with_loss, weights, bias, room, out_gradient):
    sign = room[0]
    z = room[1]
    value = room[2]
    residual_sum = loss_sum = weights.dtype.type(0)
    nothing = lanes.fill(weights, 0.0)  # lanes beyond the last row have no residual
    stop = first + count
    for start in range(first, stop, tile_rows):
        used = min(tile_rows, stop - start)
        following = start + used if start + used < stop else ahead
        signs(labels, order, start, used, sign)
        storage.scores(rows, order, start, used, following, weights, bias, z)
        if used % lanes.width(z):
            lanes.store(sign, used, nothing)
            lanes.store(z, used, nothing)
        if with_loss:
            link.losses(z, sign, used, value)
            weigh(labels, order, start, used, residual_sum, value)
            for t in range(used):
                loss_sum += value[t]
        residual_sum += weigh(labels, order, start, used, link.residuals(z, sign, used, value), value)
        storage.accumulate(rows, order, start, used, value, out_gradient)
    return residual_sum, loss_sum


@helper
def sum_chunk(
    rows, labels, order, start, stop, following, tile_rows, with_loss, weights, bias, room, gradient, out_sums
):
    """Sums over the rows at positions start ... stop - 1: gradient (n), residuals and losses, into out_sums (n + 2).

    `gradient` holds zeros before and after. The chunk that starts at position `following` is next.
    """
    n_features = rows.shape[1]
    for j in range(n_features + 2):
        out_sums[j] = 0.0
    block_rows = max(FOLD_ROWS, tile_rows)
    typed_bias = weights.dtype.type(bias)
    for first in range(start, stop, block_rows):
        count = min(block_rows, stop - first)
        ahead = first + count if first + count < stop else following
        residual_sum, loss_sum = add_rows(
            rows, labels, order, first, count, ahead, tile_rows, with_loss, weights, typed_bias, room, gradient
        )
        out_sums[n_features] += residual_sum
        out_sums[n_features + 1] += loss_sum
        for j in range(n_features):
            out_sums[j] += gradient[j]
            gradient[j] = 0
