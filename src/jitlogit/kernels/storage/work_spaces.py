"""The arrays that kernels work in; a kernel tells by their type how it walks a batch.

Members write to cache lines of their own. `PADDING` elements follow the last one, so that whole vectors can be read.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..simd.arrays import PADDING, on_lines
from .plan import Plan

_WIDE = np.dtype(np.float64)


class WorkSpace(NamedTuple):
    """Of one score; each member has parameters of its own, and the first one's are the result."""

    weights: NDArray[Any]  # (members, n + PADDING), zero beyond n
    bias: NDArray[np.float64]  # (members, 1 + PADDING)
    gradients: NDArray[Any]  # (members, n + PADDING)
    tiles: NDArray[Any]  # (members, 3, tile_rows + PADDING)
    totals: NDArray[np.float64]  # (members, n + PADDING)
    sums: NDArray[np.float64]  # (2, n_chunks, n + 2), of batches in turn: members may be a batch apart
    turned: NDArray[Any]  # (turned_rows, n)


class FeatureWorkSpace(NamedTuple):
    """As `WorkSpace`, where members share out the features: the first one's weights are everyone's."""

    weights: NDArray[Any]
    bias: NDArray[np.float64]
    gradients: NDArray[Any]
    tiles: NDArray[Any]
    partial_scores: NDArray[Any]  # (2, n_parts, tile_rows + PADDING), of batches in turn


class ClassWorkSpace(NamedTuple):
    """Of K classes, whose parameters are everyone's."""

    weights: NDArray[Any]  # (K, n + PADDING), zero beyond n
    bias: NDArray[np.float64]  # (K, 8)
    gradients: NDArray[Any]  # (n_chunks, K, n + PADDING), see `softmax_tile`; in passes, of members
    tiles: NDArray[Any]  # (members, K + 2, tile_rows + PADDING): scores and then residuals, normalisers, true scores
    totals: NDArray[np.float64]  # (members, n + 2)
    sums: NDArray[np.float64]  # (n_chunks, K, n + 2): gradients, residuals; losses, with the first class


def work_space(cut: Plan, n_features: int, dtype: np.dtype[Any], members: int) -> WorkSpace | FeatureWorkSpace:
    """Make the arrays; gradients, weights and bias hold zeros."""
    room = _whole(n_features + PADDING, PADDING)
    weights, bias = on_lines((members, room), dtype), on_lines((members, 1 + PADDING), _WIDE)
    gradients, tiles = on_lines((members, room), dtype), on_lines((members, 3, cut.tile_rows + PADDING), dtype)
    if cut.n_parts > 1:
        partial_scores = on_lines((2, cut.n_parts, cut.tile_rows + PADDING), dtype)
        return FeatureWorkSpace(weights, bias, gradients, tiles, partial_scores)
    totals, sums = on_lines((members, room), _WIDE), on_lines((2, cut.n_chunks, n_features + 2), _WIDE)
    return WorkSpace(weights, bias, gradients, tiles, totals, sums, np.empty((cut.turned_rows, n_features), dtype))


def class_work_space(
    n_classes: int, tile_rows: int, n_chunks: int, n_features: int, dtype: np.dtype[Any], members: int
) -> ClassWorkSpace:
    """Make the arrays; gradients, weights and bias hold zeros."""
    room = _whole(n_features + PADDING, PADDING)
    return ClassWorkSpace(
        on_lines((n_classes, room), dtype),
        on_lines((n_classes, 8), _WIDE),
        on_lines((n_chunks, n_classes, room), dtype),
        on_lines((members, n_classes + 2, tile_rows + PADDING), dtype),
        on_lines((members, _whole(n_features + 2, 8)), _WIDE),
        on_lines((n_chunks, n_classes, n_features + 2), _WIDE),
    )


def _whole(size: int, step: int) -> int:
    return -(-size // step) * step


def tiles_for(members: int, block_rows: int, dtype: Any) -> NDArray[Any]:
    """Room for a value of each row of a block, by member."""
    return np.empty((members, block_rows + PADDING), dtype)
