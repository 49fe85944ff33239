"""Sparse rows, and what is kept of their features."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..simd.arrays import LINE_BYTES, PADDING, on_lines
from ..steps.update import NESTEROV, Rule
from .plan import FOLD_ROWS

#: The last of the optimizers that are linear; time for a stored value, in that for a value of a dense row.
LAST_LINEAR = NESTEROV
COST = 8
#: Of a table's entry: M's product comes before what is added to u and v, of each class.
MATRIX = 8
#: Of a feature: number of the update, a / scale, 1 / scale^2; after u and v of each class.
LAST, DRIVE, INVERSE_SQUARE = 0, 1, 2
#: Of a member's scalars: the bias b that belongs to x', its v; sums over the features of mean u and of mean v; sum over
#: the features of mean^2 / scale^2, with the first class.
B, B_SUM, MEAN_U, MEAN_V, MEAN_DRIVE = range(5)
# Updates after which all features are done: so that this costs about as much as to keep the table.
_LEAST_ENTRIES, _MOST_ENTRIES = 16, 512
# Values times classes of a chunk at least, and how much memory the chunks' gradients take at most.
_CHUNK_WORK = 65536
_MAX_GRADIENT_BYTES = 64 * 1024 * 1024
_MAX_CHUNKS = 16
_TILE_ROWS = 64
_TILE_VALUES = 65536
# Batches that have so many values for each feature are taken to have all features.
_ALL_FEATURES = 2


class CSR(NamedTuple):
    """Sparse rows: `data` and `indices` (nnz,), those of row i from indptr[i] on (m + 1,)."""

    data: NDArray[Any]
    indices: NDArray[Any]
    indptr: NDArray[Any]


class SparseWorkSpace(NamedTuple):
    """Arrays for epochs on sparse rows. K: classes, 1 for labels 0 and 1, up to whole lanes where there are several.

    Features that a chunk has are numbered in the order in which its rows have them, unless it is taken to have all.
    """

    state: NDArray[Any]  # (n, 2 K + 3): u = w / scale, v / scale, and the above; (n, K), u alone, for `update.apply`
    bias: NDArray[np.float64]  # (K, 8) as it is added to scores
    scalars: NDArray[np.float64]  # (members, 5, K), see above
    updates: NDArray[np.int64]  # (members, 8) updates since all features were done
    tables: NDArray[np.float64]  # (members, entries + 1, 8 + 2 K)
    entries: NDArray[Any]  # the same in the precision that features are updated in
    tiles: NDArray[Any]  # (members, K + 2, tile_rows + PADDING)
    rows: NDArray[Any]  # (members, K) scores or residuals of a row
    numbers: NDArray[np.int32]  # (members, values of a tile) of the features of the values
    weights: NDArray[Any]  # (members, features of a chunk, K); (members, 0, K) where `state` holds those of all
    drives: NDArray[Any]  # (members, features of a chunk) a / scale; (members, 0) for `update.apply`
    places: NDArray[np.int32]  # (n_chunks, n) numbers of the features, if the chunk has them; (n_chunks, 0) for all
    touched: NDArray[np.int64]  # (n_chunks, features of a chunk) features, by their numbers
    counts: NDArray[np.int64]  # (n_chunks, 8) how many these are
    gradients: NDArray[Any]  # (n_chunks, features of a chunk, K)
    sums: NDArray[np.float64]  # (n_chunks, 2 K + 1): residuals; gradients times drives; losses
    totals: NDArray[np.float64]  # (members, n + 2), for `update.apply`; (members, 0) if lazy
    has_all: bool  # whether chunks are taken to have all features
    is_lazy: bool  # whether updates leave features alone that the batch doesn't have, see `epochs.sparse`


def room_for_classes(n_scores: int) -> int:
    """One score is computed by itself, several in whole lanes."""
    return n_scores if n_scores == 1 else -(-n_scores // 8) * 8


def sparse_work_space(
    n_scores: int,
    n_features: int,
    batch_size: int,
    row_values: tuple[float, int],
    dtype: np.dtype[Any],
    members: int,
    lazy: bool,
) -> SparseWorkSpace:
    """Make the arrays, for rows that have so many values on average, and at most; parameters are zeros.

    `dtype` is what rows are computed in; sums of many rows are of float64.
    """
    room = room_for_classes(n_scores)
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
    of_feature = _whole(2 * room + 3, 8 if room == 1 else LINE_BYTES // dtype.itemsize) if lazy else room
    work = SparseWorkSpace(
        on_lines((n_features, of_feature), dtype),
        on_lines((n_scores, 8), wide),
        on_lines((members, 5, _whole(room)), wide),
        np.zeros((members, 8), np.int64),
        on_lines((members, entries + 1, MATRIX + 2 * room), wide),
        on_lines((members, entries + 1, MATRIX + 2 * room), dtype),
        on_lines((members, n_scores + 2, tile_rows + PADDING), dtype),
        on_lines((members, _whole(room)), dtype),
        np.zeros((members, 0 if has_all else tile_rows * most_values), np.int32),
        on_lines((members, features if lazy or not has_all else 0, room), dtype),
        on_lines((members, features if lazy else 0), dtype),
        np.zeros((n_chunks, 0 if has_all else n_features), np.int32),
        np.zeros((n_chunks, features), np.int64),
        np.zeros((n_chunks, 8), np.int64),
        on_lines((n_chunks, features, room), dtype),
        on_lines((n_chunks, _whole(2 * room + 1)), wide),
        on_lines((members, 0 if lazy else _whole(n_features + 2)), wide),
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
    """Number of chunks of a batch with so many stored values."""
    limit = min(
        _MAX_CHUNKS,
        int(batch_values * n_scores) // _CHUNK_WORK,
        int(_MAX_GRADIENT_BYTES // (min(n_features, batch_values) * room_for_classes(n_scores) * 8 + 1)),
    )
    return 1 << max(0, limit.bit_length() - 1)


def takes_all(row_values: float, n_features: int, batch_size: int, n_scores: int) -> bool:
    """Whether a chunk of a batch is taken to have all features, from the stored values of a row."""
    chunk_rows = -(-batch_size // sparse_chunks(row_values * batch_size, n_features, n_scores))
    return row_values * chunk_rows >= _ALL_FEATURES * n_features


def _whole(size: int, step: int = 8) -> int:
    return -(-size // step) * step


def set_features(work: SparseWorkSpace, rule: Rule) -> None:
    """Say what the features' means and scales are."""
    n_room = room_for_classes(work.bias.shape[0])
    squares = rule.inverse_scale**2
    work.state[:, 2 * n_room + DRIVE] = rule.offset * squares
    work.state[:, 2 * n_room + INVERSE_SQUARE] = squares
    work.scalars[:, MEAN_DRIVE, 0] = np.sum(rule.offset**2 * squares)


def set_biases(work: SparseWorkSpace, rule: Rule) -> None:
    """What follows from weights u and biases b that were set."""
    n_scores = work.bias.shape[0]
    work.scalars[0, MEAN_U, :n_scores] = rule.offset @ work.state[:, :n_scores]
    work.bias[:, 0] = work.scalars[0, B, :n_scores] - work.scalars[0, MEAN_U, :n_scores]


def begin_table(work: SparseWorkSpace) -> None:
    """All features are done."""
    work.state[:, 2 * room_for_classes(work.bias.shape[0]) + LAST] = 0
    work.updates[0, 0] = 0
    for table in (work.tables, work.entries):
        table[:, 0] = 0
        table[:, 0, 0] = table[:, 0, 3] = 1
