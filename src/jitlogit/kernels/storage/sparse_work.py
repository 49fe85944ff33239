"""Sparse rows, and the work space for epochs on them."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..simd.arrays import LINE_BYTES, PADDING, on_lines, round_up
from ..steps.update import NESTEROV, Rule
from .plan import FOLD_ROWS

# All thresholds below were tuned on Zen 4, two cores.

#: The last linear optimizer, in the order of `update`'s numbers.
LAST_LINEAR = NESTEROV
#: Time for a stored value, in units of the time for a value of a dense row.
COST = 8
#: The first columns of a table's entry, which hold the product of the matrices M. The terms added to u and v follow.
MATRIX = 8
#: Columns of a feature's state, after u and v of each class: number of the update, a / scale, 1 / scale^2.
LAST, DRIVE, INVERSE_SQUARE = 0, 1, 2
#: Rows of a member's scalars: the bias b for scaled features, and its v; sums over the features of mean u and mean v;
#: sum over the features of mean^2 / scale^2, in the first class's column.
B, B_SUM, MEAN_U, MEAN_V, MEAN_DRIVE = range(5)
# Limits of a table's entries, of which there are sqrt(n_features) in between. All features are updated when the table
# is full; this then costs about as much as the table itself.
_LEAST_ENTRIES, _MOST_ENTRIES = 16, 512
# A chunk's least values times classes; bytes of all chunks' gradients; chunks of a batch.
_CHUNK_WORK = 65536
_MAX_GRADIENT_BYTES = 64 * 1024 * 1024
_MAX_CHUNKS = 16
# Limits of a tile, in rows and in stored values.
_TILE_ROWS = 64
_TILE_VALUES = 65536
# Stored values per feature from which on a chunk is treated as having all features.
_ALL_FEATURES = 2


class SparseWorkSpace(NamedTuple):
    """Arrays for epochs on sparse rows. K is 1 for labels 0 and 1, else the number of classes, rounded up to 8.

    A chunk numbers its features in the order in which its rows have them, unless it is treated as having all features.
    """

    state: NDArray[Any]  # (n, 2 K + 3) u = w / scale, v / scale, LAST, DRIVE ...; (n, K) of u for `update.apply`
    bias: NDArray[np.float64]  # (K, 8) in column 0, for features as stored
    scalars: NDArray[np.float64]  # (members, 5, K) in rows B ... MEAN_DRIVE
    updates: NDArray[np.int64]  # (members, 8) in column 0, number of updates since the table began
    tables: NDArray[np.float64]  # (members, entries + 1, 8 + 2 K)
    entries: NDArray[Any]  # the tables in the precision that features are updated in
    tiles: NDArray[Any]  # (members, K + 2, tile_rows + PADDING), as in `ClassWorkSpace`
    rows: NDArray[Any]  # (members, K) scores or residuals of a row
    numbers: NDArray[np.int32]  # (members, values of a tile) numbers of the values' features
    weights: NDArray[Any]  # (members, features of a chunk, K); (members, 0, K) where `state` is used instead
    drives: NDArray[Any]  # (members, features of a chunk) a / scale; (members, 0) for `update.apply`
    places: NDArray[np.int32]  # (n_chunks, n) numbers of the chunk's features; (n_chunks, 0) for all features
    touched: NDArray[np.int64]  # (n_chunks, features of a chunk) feature of each number
    counts: NDArray[np.int64]  # (n_chunks, 8) in column 0, number of the chunk's features
    gradients: NDArray[Any]  # (n_chunks, features of a chunk, K)
    sums: NDArray[np.float64]  # (n_chunks, 2 K + 1) of residuals, of gradients times drives, of losses
    totals: NDArray[np.float64]  # (members, n + 2), for `update.apply`; (members, 0) if lazy
    has_all: bool  # whether chunks are treated as having all features
    is_lazy: bool  # whether updates leave features alone that the batch doesn't have, see `sparse_walk`


def padded_classes(n_scores: int) -> int:
    """Number of scores, rounded up to whole lanes; a single score needs none."""
    return n_scores if n_scores == 1 else round_up(n_scores)


def sparse_work_space(
    n_scores: int,
    n_features: int,
    batch_size: int,
    row_values: tuple[float, int],
    dtype: np.dtype[Any],
    members: int,
    lazy: bool,
) -> SparseWorkSpace:
    """Make the arrays, with zeros for parameters.

    `row_values` are the mean and the largest number of a row's stored values. `dtype` is the one that rows are computed
    in; large batches use float64 for their sums' sake.
    """
    padded = padded_classes(n_scores)
    wide = np.dtype(np.float64)
    if batch_size > 4 * FOLD_ROWS:
        dtype = wide
    mean_values, most_values = row_values
    n_chunks = sparse_chunks(mean_values * batch_size, n_features, n_scores)
    chunk_rows = -(-batch_size // n_chunks)
    has_all = takes_all(mean_values, n_features, batch_size, n_scores)
    features = n_features if has_all else min(n_features, chunk_rows * most_values)
    tile_rows = max(1, min(_TILE_ROWS, _TILE_VALUES // max(1, most_values)))
    entries = 0 if has_all else min(_MOST_ENTRIES, max(_LEAST_ENTRIES, math.isqrt(n_features)))
    of_feature = round_up(2 * padded + 3, 8 if padded == 1 else LINE_BYTES // dtype.itemsize) if lazy else padded
    work = SparseWorkSpace(
        on_lines((n_features, of_feature), dtype),
        on_lines((n_scores, 8), wide),
        on_lines((members, 5, round_up(padded)), wide),
        np.zeros((members, 8), np.int64),
        on_lines((members, entries + 1, MATRIX + 2 * padded), wide),
        on_lines((members, entries + 1, MATRIX + 2 * padded), dtype),
        on_lines((members, n_scores + 2, tile_rows + PADDING), dtype),
        on_lines((members, round_up(padded)), dtype),
        np.zeros((members, 0 if has_all else tile_rows * most_values), np.int32),
        on_lines((members, features if lazy or not has_all else 0, padded), dtype),
        on_lines((members, features if lazy else 0), dtype),
        np.zeros((n_chunks, 0 if has_all else n_features), np.int32),
        np.zeros((n_chunks, features), np.int64),
        np.zeros((n_chunks, 8), np.int64),
        on_lines((n_chunks, features, padded), dtype),
        on_lines((n_chunks, round_up(2 * padded + 1)), wide),
        on_lines((members, 0 if lazy else round_up(n_features + 2)), wide),
        has_all,
        lazy,
    )
    if lazy:
        begin_table(work)
    if has_all:
        work.touched[:] = np.arange(n_features)
        work.counts[:] = n_features
    return work


def sparse_chunks(batch_values: float, n_features: int, n_scores: int) -> int:
    """Number of chunks of a batch with `batch_values` stored values."""
    limit = min(
        _MAX_CHUNKS,
        int(batch_values * n_scores) // _CHUNK_WORK,
        int(_MAX_GRADIENT_BYTES // (min(n_features, batch_values) * padded_classes(n_scores) * 8 + 1)),
    )
    return 1 << max(0, limit.bit_length() - 1)


def takes_all(row_values: float, n_features: int, batch_size: int, n_scores: int) -> bool:
    """Whether a chunk is treated as having all features; `row_values` is the mean number of a row's stored values."""
    chunk_rows = -(-batch_size // sparse_chunks(row_values * batch_size, n_features, n_scores))
    return row_values * chunk_rows >= _ALL_FEATURES * n_features


def set_features(work: SparseWorkSpace, rule: Rule) -> None:
    """Set the columns of the state and the scalars that follow from the features' means and scales."""
    n_padded = padded_classes(work.bias.shape[0])
    squares = rule.inverse_scale**2
    work.state[:, 2 * n_padded + DRIVE] = rule.offset * squares
    work.state[:, 2 * n_padded + INVERSE_SQUARE] = squares
    work.scalars[:, MEAN_DRIVE, 0] = np.sum(rule.offset**2 * squares)


def set_biases(work: SparseWorkSpace, rule: Rule) -> None:
    """Set what follows from the weights u and the biases b."""
    n_scores = work.bias.shape[0]
    work.scalars[0, MEAN_U, :n_scores] = rule.offset @ work.state[:, :n_scores]
    work.bias[:, 0] = work.scalars[0, B, :n_scores] - work.scalars[0, MEAN_U, :n_scores]


def begin_table(work: SparseWorkSpace) -> None:
    """Begin the table anew, where all features are up to date."""
    work.state[:, 2 * padded_classes(work.bias.shape[0]) + LAST] = 0
    work.updates[0, 0] = 0
    for table in (work.tables, work.entries):
        table[:, 0] = 0
        table[:, 0, 0] = table[:, 0, 3] = 1
