"""Hessians of the losses: sums over the rows of curvature x x^T, from tiles in the first-level cache."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...compiler.jit import helper, inline, outline, parallel_kernel, prange
from ..simd import lanes
from ..simd.lane_types import VECTOR_BYTES
from ..steps import link
from ..steps.shares import share_of

#: Rows of a tile. Its columns lie in panels, and two panels fit the first-level cache. Tuned on Zen 4, two cores.
TILE_ROWS = 128
# Vectors of sums that `_add_products` keeps in registers, of which AVX2 has 16 and AVX-512 32.
_SUMS = 8


class Scaling(NamedTuple):
    """Scaled features are (x - offset) * inverse, in the widened dtype."""

    offset: NDArray[Any]  # (n + PADDING,)
    inverse: NDArray[Any]  # (n + PADDING,)


class HessianSpace(NamedTuple):
    """Arrays that `hessians` works in."""

    panels: NDArray[Any]  # (members, N / width, TILE_ROWS, width) of zeros
    z: NDArray[Any]  # (members, K, TILE_ROWS)


def panel_width(dtype: np.dtype[Any]) -> int:
    """Number of columns of a panel: whole vectors, at least `_SUMS` columns."""
    return max(_SUMS, VECTOR_BYTES // dtype.itemsize)


@inline
def _put(x, scaling, weight, j, out, at, squares):
    """Scale lanes of a row, store them in `out`, and add weight times their squares to `squares`."""
    scaled = (x - lanes.load(scaling.offset, j)) * lanes.load(scaling.inverse, j)
    lanes.store(out, at, scaled)
    lanes.store(squares, j, lanes.load(squares, j) + weight * (scaled * scaled))


@helper
def _fill(rows, first, count, scaling, sample_weight, panels, squares):
    """Scaled features of `count` rows, each followed by a 1 for the bias, into panels (n_panels, TILE_ROWS, width)."""
    n, step, width = rows.shape[1], lanes.width(rows), panels.shape[2]
    whole = n - n % step
    mask = lanes.first(rows, n - whole)
    for t in range(count):
        weight = lanes.fill(rows, sample_weight[first + t])
        for j in range(0, whole, step):
            x = lanes.load2(rows, first + t, j)
            _put(x, scaling, weight, j, panels[j // width, t], j % width, squares)
        if whole < n:
            x = lanes.load2_masked(rows, first + t, whole, mask)
            _put(x, scaling, weight, whole, panels[whole // width, t], whole % width, squares)
        panels[n // width, t, n % width] = 1


@helper
def _scores(panels, count, weights, z):
    width = panels.shape[2]
    for k in range(weights.shape[0]):
        for t in range(count):
            total = lanes.fill(weights, 0.0)
            for p in range(panels.shape[0]):
                for j in range(0, width, lanes.width(weights)):
                    total += lanes.load3(panels, p, t, j) * lanes.load2(weights, k, p * width + j)
            z[k, t] = lanes.total(total)


@helper
def _curvatures(z, count, least, sample_weight, first):
    """z[0] = weights of the rows times their curvature: p (1 - p), for several classes the mean of p_k (1 - p_k)."""
    n_classes = z.shape[0]
    for t in range(0, count, lanes.width(z)):
        largest = lanes.load2(z, 0, t)
        for k in range(1, n_classes):
            score = lanes.load2(z, k, t)
            largest = lanes.where(largest < score, score, largest)
        total = squares = lanes.fill(z, 0.0)
        for k in range(n_classes):
            e = link.exp_nonpositive(lanes.load2(z, k, t) - largest)
            total += e
            squares += e * e
        p = link.sigmoid(largest)
        curvature = p - p * p
        if n_classes > 1:
            curvature = (lanes.fill(z, 1.0) - squares / (total * total)) * (1.0 / n_classes)
        curvature = lanes.where(curvature < least, least, curvature)
        lanes.store(z[0], t, curvature * lanes.load(sample_weight, first + t))


@helper
def _weigh(panels, count, curvature):
    """Multiply each row by the square root of its curvature, so that products of columns are weighted."""
    for t in range(count):
        root = lanes.fill(curvature, math.sqrt(curvature[t]))
        for p in range(panels.shape[0]):
            for j in range(0, panels.shape[2], lanes.width(curvature)):
                lanes.store(panels[p, t], j, lanes.load3(panels, p, t, j) * root)


@inline
def _add(sums, i, j, total):
    lanes.store(sums[i], j, lanes.load2(sums, i, j) + total)


@helper
def _add_products(panels, a, k, b, j, count, sums):
    """Add products of eight columns of panel a, from k on, with a vector of columns of panel b, from j on."""
    s0 = s1 = s2 = s3 = s4 = s5 = s6 = s7 = lanes.fill(sums, 0.0)
    for t in range(count):
        x = lanes.load3(panels, b, t, j)
        s0 += panels[a, t, k] * x
        s1 += panels[a, t, k + 1] * x
        s2 += panels[a, t, k + 2] * x
        s3 += panels[a, t, k + 3] * x
        s4 += panels[a, t, k + 4] * x
        s5 += panels[a, t, k + 5] * x
        s6 += panels[a, t, k + 6] * x
        s7 += panels[a, t, k + 7] * x
    i, column = a * panels.shape[2] + k, b * panels.shape[2] + j
    _add(sums, i, column, s0)
    _add(sums, i + 1, column, s1)
    _add(sums, i + 2, column, s2)
    _add(sums, i + 3, column, s3)
    _add(sums, i + 4, column, s4)
    _add(sums, i + 5, column, s5)
    _add(sums, i + 6, column, s6)
    _add(sums, i + 7, column, s7)


@parallel_kernel
def hessians(rows, sample_weight, scaling, weights, least, space, out_squares, out_sums, members):
    """Add the sums over each chunk's rows of weight x^2 and of weight curvature x x^T.

    The former go to out_squares (n_chunks, n + PADDING), for scaled features x. The latter go to out_sums (n_chunks, N,
    N), lower blocks only, where a 1 and zeros follow x up to N, a multiple of a panel's width. `weights` (K, N) are
    for scaled features. A curvature is at least `least`. `sample_weight` is (m + PADDING,).
    """
    for member in prange(members):
        share = share_of(member, members, out_sums.shape[0])
        _hessians(rows, sample_weight, scaling, weights, least, space, share, out_squares, out_sums)


@outline
def _hessians(rows, sample_weight, scaling, weights, least, space, share, out_squares, out_sums):
    m, tile, scores = rows.shape[0], space.panels[share.member], space.z[share.member]
    step, width = lanes.width(rows), space.panels.shape[3]
    for c in range(share.first, share.stop):
        end = m * (c + 1) // share.n_chunks
        for start in range(m * c // share.n_chunks, end, TILE_ROWS):
            count = min(TILE_ROWS, end - start)
            _fill(rows, start, count, scaling, sample_weight, tile, out_squares[c])
            _scores(tile, count, weights, scores)
            _curvatures(scores, count, least, sample_weight, start)
            _weigh(tile, count, scores[0])
            for a in range(tile.shape[0]):
                for b in range(a + 1):
                    for k in range(0, width, _SUMS):
                        for j in range(0, width, step):
                            _add_products(tile, a, k, b, j, count, out_sums[c])
