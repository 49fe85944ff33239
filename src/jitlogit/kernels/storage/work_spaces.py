"""Work spaces: the arrays that kernels work in. A work space's type decides how a kernel walks a batch.

Each member of the team writes to its own cache lines. PADDING elements follow the last one, so that whole vectors can
be read.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..simd.arrays import PADDING, on_lines, round_up
from .plan import Plan

_WIDE = np.dtype(np.float64)


class WorkSpace(NamedTuple):
    """Arrays for one score per sample. Each member keeps its own parameters; the first member's are the result."""

    weights: NDArray[Any]  # (members, n + PADDING), zero beyond n
    bias: NDArray[np.float64]  # (members, 1 + PADDING)
    gradients: NDArray[Any]  # (members, n + PADDING)
    tiles: NDArray[Any]  # (members, 3, tile_rows + PADDING)
    totals: NDArray[np.float64]  # (members, n + PADDING)
    sums: NDArray[np.float64]  # (2, n_chunks, n + 2) for even and odd batches: members may be a batch apart


class SmallWorkSpace(NamedTuple):
    """Arrays for one score, one thread, and sums that are used at once; as in `WorkSpace`."""

    weights: NDArray[Any]
    bias: NDArray[np.float64]
    gradients: NDArray[Any]
    tiles: NDArray[Any]


class TurnedWorkSpace(NamedTuple):
    """As `SmallWorkSpace`, for F-ordered rows."""

    weights: NDArray[Any]
    bias: NDArray[np.float64]
    gradients: NDArray[Any]
    tiles: NDArray[Any]
    turned: NDArray[Any]  # (turned_rows, n) a copy of some rows in C order, see `turned`


class FeatureWorkSpace(NamedTuple):
    """As `WorkSpace`, for members that share out the features: all use the first member's weights."""

    weights: NDArray[Any]
    bias: NDArray[np.float64]
    gradients: NDArray[Any]
    tiles: NDArray[Any]
    partial_scores: NDArray[Any]  # (2, n_parts, tile_rows + PADDING) for even and odd batches


class ClassWorkSpace(NamedTuple):
    """Arrays for K classes. All members use the same parameters."""

    weights: NDArray[Any]  # (K, n + PADDING), zero beyond n
    bias: NDArray[np.float64]  # (K, 8)
    gradients: NDArray[Any]  # (n_chunks, K, n + PADDING), see `softmax_tile`; in passes one for each member
    tiles: NDArray[Any]  # (members, K + 2, tile_rows + PADDING) scores or residuals; normalisers; own classes' scores
    totals: NDArray[np.float64]  # (members, n + 2)
    sums: NDArray[np.float64]  # (n_chunks, K, n + 2) of gradients, residuals, and losses (in the first class's row)


ScoreWorkSpace = WorkSpace | FeatureWorkSpace | SmallWorkSpace | TurnedWorkSpace


def work_space(cut: Plan, n_features: int, dtype: np.dtype[Any], members: int) -> ScoreWorkSpace:
    """Make the arrays for one score, with zeros for parameters."""
    padded = round_up(n_features + PADDING, PADDING)
    tiles, gradients = on_lines((members, 3, cut.tiles.rows + PADDING), dtype), on_lines((members, padded), dtype)
    weights, bias = on_lines((members, padded), dtype), on_lines((members, 1 + PADDING), _WIDE)
    if cut.n_parts > 1:
        partial_scores = on_lines((2, cut.n_parts, cut.tiles.rows + PADDING), dtype)
        return FeatureWorkSpace(weights, bias, gradients, tiles, partial_scores)
    if cut.turned_rows:
        return TurnedWorkSpace(weights, bias, gradients, tiles, np.empty((cut.turned_rows, n_features), dtype))
    if cut.is_small:
        return SmallWorkSpace(weights, bias, gradients, tiles)
    totals, sums = on_lines((members, padded), _WIDE), on_lines((2, cut.n_chunks, n_features + 2), _WIDE)
    return WorkSpace(weights, bias, gradients, tiles, totals, sums)


def class_work_space(
    n_classes: int, tile_rows: int, n_chunks: int, n_features: int, dtype: np.dtype[Any], members: int
) -> ClassWorkSpace:
    padded = round_up(n_features + PADDING, PADDING)
    return ClassWorkSpace(
        on_lines((n_classes, padded), dtype),
        on_lines((n_classes, 8), _WIDE),
        on_lines((n_chunks, n_classes, padded), dtype),
        on_lines((members, n_classes + 2, tile_rows + PADDING), dtype),
        on_lines((members, round_up(n_features + 2)), _WIDE),
        on_lines((n_chunks, n_classes, n_features + 2), _WIDE),
    )


def tiles_for(members: int, block_rows: int, dtype: Any) -> NDArray[Any]:
    return np.empty((members, block_rows + PADDING), dtype)
