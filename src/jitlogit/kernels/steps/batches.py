"""Named tuples of the arguments that travel together to the kernels of an epoch."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class RowOrder(NamedTuple):
    """The order in which an epoch visits rows and batches."""

    by_shifts: bool  # whether kernels fill in `rows` from the shifts, see `row_order.fill_order`
    by_blocks: bool  # whether batches are visited in the order of `blocks`, else from first to last
    column_shifts: NDArray[np.uint32]  # (2, n_columns)
    row_shifts: NDArray[np.uint32]  # (2, n_rows)
    rows: NDArray[Any] | None  # (m,) the row at each position; None: rows as stored
    blocks: NDArray[np.int64]  # (n_batches,)


class Rates(NamedTuple):
    """Learning rates of an epoch, and whether it computes the losses."""

    first: float  # learning rate of the first batch
    growth: float  # added from one batch to the next
    with_loss: bool


class Cut(NamedTuple):
    """How batches are cut up; `storage.plan` chooses it."""

    batch_size: int
    tile_rows: int  # the fields of `plan.Tiles`
    tile_way: int
    n_chunks: int  # chunks of a batch, or parts of the features, which members share out
    batch_bytes: int  # bytes of X that a batch reads, times the number of scores: a measure of its duration


class Batches(NamedTuple):
    """The mini-batches of an epoch.

    The fields are the first arguments of an epoch's kernel: Numba passes a tuple into a parallel region only if it is
    an argument, and has no tuples in it.
    """

    rows: Any  # (m, n), a storage
    labels: Any  # (m,) of uint8, for several classes uint32; or labels.Weighted
    order: RowOrder
    cut: Cut
    rates: Rates
    rule: Any  # update.Rule, or None for plain gradient descent on features as they are stored


class Examples(NamedTuple):
    """Samples with their labels, in an order."""

    rows: Any  # (m, n), a storage
    labels: Any  # as in `Batches`
    order: Any  # (m,) the row at each position; None: rows as stored


class Positions(NamedTuple):
    """Positions first ... stop - 1 of an order; the rows from position `ahead` on are needed next."""

    first: int
    stop: int
    ahead: int


class MemberSpace(NamedTuple):
    """Arrays of one member of the team. With K classes, weights, bias and gradient have a leading axis (K,)."""

    weights: NDArray[Any]  # (n + PADDING,), zero beyond n
    bias: NDArray[np.float64]  # (1 or more,) the bias is the first number; the rest fills a cache line
    gradient: NDArray[Any]  # (n + PADDING,) zeros before and after each sum
    tile: NDArray[Any]  # (3, tile_rows + PADDING) or (K + 2, tile_rows + PADDING)
