"""What travels together to the kernels of an epoch."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class RowOrder(NamedTuple):
    """The order in which an epoch visits rows and batches."""

    column_shifts: NDArray[np.uint32]  # (2, n_columns) of the shuffle, see `row_order.fill_order`; (2, 0) for none
    row_shifts: NDArray[np.uint32]  # (2, n_rows); (2, 0) for none
    rows: NDArray[Any] | None  # (m,) the row at each position, to be filled in where there are shifts; None: their own
    blocks: NDArray[np.int64]  # (n_batches,) the order of the batches; (0,) for their own


class Rates(NamedTuple):
    """Learning rates of an epoch, and whether it computes the losses."""

    first: float  # of the first batch
    growth: float  # from batch to batch
    with_loss: bool


class Cut(NamedTuple):
    """How batches are cut up."""

    batch_size: int
    tile_rows: int
    n_chunks: int  # of a batch; members share them out
    batch_bytes: int  # that a batch reads, times the classes: how long it takes


class Batches(NamedTuple):
    """The mini-batches of an epoch: a kernel makes it of its arguments, which are described here."""

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
    order: Any  # (m,) the row at each position; None: their own


class Positions(NamedTuple):
    """Positions first ... stop - 1 of an order; the memory of those from `ahead` on is needed next."""

    first: int
    stop: int
    ahead: int


class Room(NamedTuple):
    """What a member of the team works with; of K classes, each array has one dimension more, and a row for each."""

    weights: NDArray[Any]  # (n + PADDING,), zero beyond n
    bias: NDArray[np.float64]  # (1 or more,) the bias comes first
    gradient: NDArray[Any]  # (n + PADDING,) zeros before and after
    tile: NDArray[Any]  # (3, tile_rows + PADDING) or (K + 2, tile_rows + PADDING)
