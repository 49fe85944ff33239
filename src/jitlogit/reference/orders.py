"""Random orders of the examples."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

#: Up to this many examples, a shuffle is `numpy.random.Generator.permutation`.
SMALL_SHUFFLE = 10_000
#: Examples in a block of ``shuffle="blocks"``.
BLOCK_ROWS = 4096


def shuffled_order(m: int, rng: np.random.Generator) -> Array:
    """A random order of the examples 0 ... m - 1, which can be computed for each position by itself.

    Think of the numbers 0 ... R C - 1 in a grid of R rows and C columns, R C just above m. A round shifts each column
    cyclically by a random number of places, then each row; there are two rounds. That is a Feistel network with random
    round functions (Luby and Rackoff, "How to construct pseudorandom permutations from pseudorandom functions", 1988)
    over a domain of any size (Black and Rogaway, "Ciphers with arbitrary finite domains", 2002): a number that lands at
    m or beyond goes through the rounds again until it lands below.

    Unlike `Generator.permutation`, which shuffles up to `SMALL_SHUFFLE` examples (small grids are not random enough),
    it needs memory of sqrt(m) only and no order of computation, so the compiled kernels can walk it as they go.

    Parameters
    ----------
    m : int
        Number of examples.
    rng : numpy.random.Generator
        Draws four tables of about sqrt(m) integers.

    Returns
    -------
    (m,) of int64
    """
    if m <= SMALL_SHUFFLE:
        return rng.permutation(m)
    n_columns = math.isqrt(m - 1) + 1
    n_rows = -(-m // n_columns)
    column_shifts = rng.integers(n_rows, size=(2, n_columns))
    row_shifts = rng.integers(n_columns, size=(2, n_rows))
    order = np.arange(m)
    unplaced = np.arange(m)
    while unplaced.size:
        row, column = np.divmod(order[unplaced], n_columns)
        for round_ in range(2):
            row = (row + column_shifts[round_][column]) % n_rows
            column = (column + row_shifts[round_][row]) % n_columns
        order[unplaced] = row * n_columns + column
        unplaced = unplaced[order[unplaced] >= m]
    return order


def shuffled_blocks(m: int, batch_size: int, rng: np.random.Generator) -> Array:
    """The numbers of the batches, in blocks of neighbours that come in random order.

    A block is as many whole batches as hold `BLOCK_ROWS` examples, or a 64th of all if that is less, and one at least:
    long enough for the memory to be read at full rate.

    Returns
    -------
    (ceil(m / batch_size),) of int64
    """
    n_batches = -(-m // batch_size)
    length = max(1, min(BLOCK_ROWS, m // 64) // batch_size)
    blocks = rng.permutation(-(-n_batches // length))
    numbers = (blocks[:, None] * length + np.arange(length)).ravel()
    return np.asarray(numbers[numbers < n_batches])
