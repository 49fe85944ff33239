"""The order in which an epoch visits the rows, computed a tile at a time.

Tables of shifts define the permutation that `jitlogit.reference.shuffled_order` describes; no rounds are the rows' own
order. All numbers are unsigned: an index that can't be negative needs no check, and since a difference below zero wraps
around to a huge number, ``min(x, x - size)`` reduces x modulo size without a branch, which would be mispredicted half
the time.
"""

from __future__ import annotations

import numpy as np

from .._jit import helper, inline

_ZERO = np.uint64(0)
_ONE = np.uint64(1)


@helper
def fill_index(column_shifts, row_shifts, first, count, n_samples, out_index):
    """out_index[t] = row at position first + t, for t < count.

    `column_shifts` (n_rounds, n_columns) and `row_shifts` (n_rounds, n_rows) of uint32, `out_index` of int64.
    """
    if column_shifts.shape[0] == 0:
        for t in range(count):
            out_index[t] = first + t
        return
    n_columns = np.uint64(column_shifts.shape[1])
    row = np.uint64(first) // n_columns
    column = np.uint64(first) - row * n_columns
    for t in range(count):
        out_index[t] = _shuffle(column_shifts, row_shifts, row, column)
        column += _ONE
        if column == n_columns:
            column = _ZERO
            row += _ONE
    for t in range(count):
        while out_index[t] >= n_samples:
            cell = np.uint64(out_index[t])
            out_index[t] = _shuffle(column_shifts, row_shifts, cell // n_columns, cell % n_columns)


@inline
def _shuffle(column_shifts, row_shifts, row, column):
    """Number of the cell to which the rounds send a cell; cells are numbered row by row."""
    n_columns = np.uint64(column_shifts.shape[1])
    n_rows = np.uint64(row_shifts.shape[1])
    for k in range(column_shifts.shape[0]):
        row += column_shifts[k, column]
        row = min(row, row - n_rows)
        column += row_shifts[k, row]
        column = min(column, column - n_columns)
    return row * n_columns + column
