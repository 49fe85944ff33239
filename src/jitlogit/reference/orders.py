"""Random orders of the samples."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

#: Most samples that are shuffled by `numpy.random.Generator.permutation`.
SMALL_SHUFFLE = 10_000
#: Samples in a block of ``shuffle="blocks"``.
BLOCK_ROWS = 4096


def shuffled_order(m: int, rng: np.random.Generator) -> Array:
    """A random order of the samples 0 ... m - 1, each place of which can be computed by itself.

    The numbers 0 ... R C - 1 stand in a grid of R rows and C columns, R C being m or slightly more. A round shifts each
    column cyclically by a random number of places, then each row; there are two rounds. A number that lands at m or
    beyond goes through the rounds again until it lands below m. This is a Feistel network with random round functions
    (Luby and Rackoff, "How to construct pseudorandom permutations from pseudorandom functions", 1988) over a domain of
    any size (Black and Rogaway, "Ciphers with arbitrary finite domains", 2002).

    It needs memory of sqrt(m) only, so that compiled kernels compute the order as they read the rows. Up to
    `SMALL_SHUFFLE` samples are shuffled by `Generator.permutation`, because small grids are not random enough.

    Parameters
    ----------
    m : int
        Number of samples.
    rng : numpy.random.Generator
        Draws four tables of about sqrt(m) integers.

    Returns
    -------
    (m,) of int64

    Examples
    --------
    >>> import numpy as np
    >>> from jitlogit import reference
    >>> order = reference.shuffled_order(20_000, np.random.default_rng(0))
    >>> np.array_equal(np.sort(order), np.arange(20_000))  # each sample once
    True
    >>> np.array_equal(order, reference.shuffled_order(20_000, np.random.default_rng(0)))
    True
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
    """Numbers of the batches, in blocks of neighbours that come in random order.

    A block is as many whole batches as fit into `BLOCK_ROWS` samples, or into a 64th of all if that is less, and at
    least one. Blocks of this length are read from memory at full rate.

    Parameters
    ----------
    m : int
        Number of samples.
    batch_size : int
        Samples of a batch.
    rng : numpy.random.Generator
        Draws one permutation of the blocks.

    Returns
    -------
    (ceil(m / batch_size),) of int64

    Examples
    --------
    >>> import numpy as np
    >>> from jitlogit import reference
    >>> numbers = reference.shuffled_blocks(m=640, batch_size=5, rng=np.random.default_rng(0))
    >>> numbers.shape
    (128,)
    >>> bool((numbers[1::2] - numbers[::2] == 1).all())  # a block is of two batches
    True
    """
    n_batches = -(-m // batch_size)
    length = max(1, min(BLOCK_ROWS, m // 64) // batch_size)
    blocks = rng.permutation(-(-n_batches // length))
    numbers = (blocks[:, None] * length + np.arange(length)).ravel()
    return np.asarray(numbers[numbers < n_batches])
