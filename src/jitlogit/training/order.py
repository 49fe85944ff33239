"""The order in which an epoch visits the samples, drawn anew for each."""

from __future__ import annotations

import math

import numpy as np

from ..data.validation import Array
from ..kernels.steps.batches import RowOrder

# Samples up to which a shuffle is NumPy's own permutation, and samples of a block that is moved as a whole. Both are
# part of the specification, see `jitlogit.reference.shuffled_order`: other numbers would give other results.
SMALL_SHUFFLE, BLOCK_ROWS = 10_000, 4096


class Order:
    """Holds the order in `arrays`, for kernels."""

    def __init__(self, m: int, batch_size: int, shuffle: bool | str, rng: np.random.Generator) -> None:
        self._m, self._batch_size, self._rng = m, batch_size, rng
        by_row, by_blocks = shuffle is True, shuffle == "blocks"
        by_shifts = by_row and m > SMALL_SHUFFLE
        n_columns = math.isqrt(m - 1) + 1 if by_shifts else 0
        self.arrays = RowOrder(
            by_shifts,
            by_blocks,
            np.empty((2, n_columns), np.uint32),
            np.empty((2, -(-m // n_columns) if by_shifts else 0), np.uint32),
            np.empty(m, np.uint32 if m <= 2**32 else np.uint64) if by_row else None,
            np.arange(-(-m // batch_size) if by_blocks else 0),
        )

    def draw(self) -> None:
        """Draw the order of the next epoch; `jitlogit.reference.shuffled_order` says what the shifts mean."""
        columns, rows = self.arrays.column_shifts, self.arrays.row_shifts
        if self.arrays.by_shifts:
            columns[:] = self._rng.integers(rows.shape[1], size=columns.shape)
            rows[:] = self._rng.integers(columns.shape[1], size=rows.shape)
        elif self.arrays.rows is not None:
            self.arrays.rows[:] = self._rng.permutation(self._m)
        elif self.arrays.by_blocks:
            self.arrays.blocks[:] = shuffled_blocks(self._m, self._batch_size, self._rng)


def shuffled_blocks(m: int, batch_size: int, rng: np.random.Generator) -> Array:
    """Numbers of the batches in the random order that `jitlogit.reference.shuffled_blocks` describes."""
    n_batches = -(-m // batch_size)
    length = max(1, min(BLOCK_ROWS, m // 64) // batch_size)
    starts = rng.permutation(-(-n_batches // length)) * length
    return np.concatenate([np.arange(start, min(start + length, n_batches)) for start in starts])
