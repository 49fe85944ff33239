"""The order in which an epoch visits the rows.

An order is an array that holds the row at each position, or None for rows as they are stored. Tables of shifts define
the permutation that `jitlogit.reference.shuffled_order` describes. It is defined position by position, so each chunk of
a batch fills in its own part.

All numbers here are unsigned, because an index that can't be negative needs no check. A difference below zero wraps
around to a huge number, so ``min(x, x - size)`` reduces x < 2 size modulo size. A branch would be mispredicted half the
time.
"""

from __future__ import annotations

import numpy as np

from ...compiler.jit import by_type, helper, inline
from ...compiler.types import is_none


@by_type
def row_at(order, position):
    """Row at a position of the order."""
    return _own_row if is_own(order) else _ordered_row


def is_own(order):
    """Whether the Numba type of an order is that of None: rows as they are stored."""
    return is_none(order)


def _own_row(order, position):
    return position


def _ordered_row(order, position):
    return np.int64(order[position])


@inline
def _shuffle(column_shifts, row_shifts, row, column):
    """Apply two rounds of shifts to cell (row, column); return the new cell's number, row * n_columns + column."""
    n_columns = np.uint64(column_shifts.shape[1])
    n_rows = np.uint64(row_shifts.shape[1])
    row += column_shifts[0, column]
    row = min(row, row - n_rows)
    column += row_shifts[0, row]
    column = min(column, column - n_columns)
    row += column_shifts[1, column]
    row = min(row, row - n_rows)
    column += row_shifts[1, row]
    column = min(column, column - n_columns)
    return row * n_columns + column


@helper
def fill_order(order, start, stop, out_rows):
    """Write the row at position p to out_rows[p], for start <= p < stop, if that follows from shifts."""
    if out_rows is None or not order.by_shifts:
        return
    column_shifts, row_shifts = order.column_shifts, order.row_shifts
    n_columns = np.uint64(column_shifts.shape[1])
    position = np.uint64(start)
    row = position // n_columns
    column = position - row * n_columns
    while position < np.uint64(stop):
        end = min(np.uint64(stop), position + n_columns - column)
        for p in range(position, end):
            out_rows[p] = _shuffle(column_shifts, row_shifts, row, np.uint64(p) - position + column)
        position = end
        row += np.uint64(1)
        column = np.uint64(0)
    for p in range(start, stop):
        while out_rows[p] >= out_rows.size:
            cell = np.uint64(out_rows[p])
            out_rows[p] = _shuffle(column_shifts, row_shifts, cell // n_columns, cell % n_columns)
