"""The order in which an epoch visits the rows, drawn anew for each."""

from __future__ import annotations

import math

import numpy as np

from ..data.validation import Array
from ..kernels.steps.batches import RowOrder

# Rows up to which a shuffle is NumPy's own permutation, and rows of a block that is moved as a whole.
SMALL_SHUFFLE, BLOCK_ROWS = 10_000, 4096


class Order:
    """The order in which an epoch visits the rows, as kernels take it."""

    def __init__(self, m: int, batch_size: int, shuffle: bool | str, rng: np.random.Generator) -> None:
        by_row = shuffle is True
        self._m, self._batch_size, self._rng = m, batch_size, rng
        self.rows = np.empty(m, np.uint32 if m <= 2**32 else np.uint64) if by_row else None
        self.tables = empty_tables(m if by_row and m > SMALL_SHUFFLE else 0)
        self.blocks = np.arange(-(-m // batch_size) if shuffle == "blocks" else 0)

    @property
    def arrays(self) -> RowOrder:
        """What `draw` writes to."""
        return RowOrder(*self.tables, self.rows, self.blocks)

    def draw(self) -> None:
        """Make a new one."""
        if self.tables[0].size:
            fill_tables(self.tables, self._rng)
        elif self.rows is not None:
            self.rows[:] = self._rng.permutation(self._m)
        elif self.blocks.size:
            self.blocks[:] = shuffled_blocks(self._m, self._batch_size, self._rng)


def empty_tables(m: int) -> tuple[Array, Array]:
    """Tables of shifts for a random order of m rows; `jitlogit.reference.shuffled_order` says what they mean."""
    n_columns = math.isqrt(m - 1) + 1 if m else 0
    n_rows = -(-m // n_columns) if m else 0
    return np.empty((2, n_columns), np.uint32), np.empty((2, n_rows), np.uint32)


def fill_tables(tables: tuple[Array, Array], rng: np.random.Generator) -> None:
    """Draw new shifts."""
    column_shifts, row_shifts = tables
    column_shifts[:] = rng.integers(row_shifts.shape[1], size=column_shifts.shape)
    row_shifts[:] = rng.integers(column_shifts.shape[1], size=row_shifts.shape)


def shuffled_blocks(m: int, batch_size: int, rng: np.random.Generator) -> Array:
    """Numbers of the batches, neighbours together, in an order that `jitlogit.reference.shuffled_blocks` describes."""
    n_batches = -(-m // batch_size)
    length = max(1, min(BLOCK_ROWS, m // 64) // batch_size)
    order = rng.permutation(-(-n_batches // length))
    starts = order * length
    return np.concatenate([np.arange(start, min(start + length, n_batches)) for start in starts])
