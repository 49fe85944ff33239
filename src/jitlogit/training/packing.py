"""Copies of the data for a fit, where they pay: packed blocks of narrow rows, and F-ordered rows in C order.

`jitlogit.kernels.storage.packed` and `jitlogit.kernels.storage.turned` say what is gained.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..compiler.threads import members_for, run
from ..data.validation import Array, computed_dtype, read_only
from ..kernels.simd.arrays import PADDING
from ..kernels.simd.lane_types import VECTOR_BYTES
from ..kernels.storage.packed import pack
from ..kernels.storage.turned import TURNED_ROWS, turn_all

# Features and epochs for which packing pays, tuned by `python -m benchmarks regimes packing` on a Zen 4, two cores.
# Packed float32 rows of up to 8 features in C order take 0.4 to 1.0 of an epoch's time; packing takes 2 to 15 epochs.
# In F order they take 0.6 to 1.1, and packing 5 to 50 epochs; both are worst where a batch is all rows. Smaller dtypes
# gain for up to 10 features in C order, by single measurements; in F order, float64 or longer rows nothing is gained.
_MOST_ROW_FEATURES = 8
_MOST_COMPACT_ROW_FEATURES = 10
_ROW_EPOCHS = 16
_COLUMN_FEATURES = range(16, 33)
_COLUMN_EPOCHS = 40
# Epochs from which on F-ordered rows are turned, measured by `python -m benchmarks regimes turning` on a Zen 4, two
# cores. If rows are shuffled, each value lies on a cache line of its own, and epochs take 1.5 to 7 times the epochs of
# C order. If they aren't, a small batch still has short pieces of the columns. Ten epochs then take 1.1 to 2 times as
# long as with turning, for these bytes of a piece at most, and these features at least.
_SHUFFLED_EPOCHS, _ORDERED_EPOCHS = 2, 8
PIECE_BYTES, _LEAST_FEATURES = 256, 16
#: Numbers of epochs from which on every kind of turning, and every kind of copy, pays.
TURNING_EPOCHS = max(_SHUFFLED_EPOCHS, _ORDERED_EPOCHS)
PAYING_EPOCHS = max(_ROW_EPOCHS, _COLUMN_EPOCHS, TURNING_EPOCHS)
# Rows that a packed batch has at least, and rows for each of its empty places at least (same machine).
_LEAST_BATCH, _ROWS_PER_EMPTY_PLACE = 32, 8
# Largest copy where the system doesn't say how much memory is available.
_SMALL_BYTES = 256 * 1024 * 1024


def packed(rows: Array, labels: Array, batch_size: int, n_epochs: int, n_threads: int | None) -> tuple[Array, Array]:
    """Rows (n_blocks, n, lanes) and labels (n_positions,), or the given (m, n) and (m,) where packing doesn't pay."""
    m, n = rows.shape
    lanes = VECTOR_BYTES // computed_dtype(rows).itemsize
    spacing = -(-batch_size // lanes) * lanes
    n_whole = -(-m // batch_size) - 1
    n_positions = n_whole * spacing + m - n_whole * batch_size
    n_blocks = -(-n_positions // lanes)
    n_bytes = n_blocks * lanes * (n * rows.itemsize + 1)
    if not pays(rows, batch_size, spacing, n_epochs) or not fits(n_bytes):
        return rows, labels
    try:
        out_rows = np.empty((n_blocks, n, lanes), rows.dtype)
        out_labels = np.empty(n_blocks * lanes + PADDING, np.uint8)
    except MemoryError:
        return rows, labels
    run(pack, members_for(n_threads, n_blocks, n_bytes), rows, labels, batch_size, out_rows, out_labels)
    return out_rows, out_labels[:n_positions]


def pays(rows: Array, batch_size: int, spacing: int, n_epochs: int) -> bool:
    """Whether a fit is faster on packed rows, whose batches take `spacing` places."""
    if rows.dtype == np.float64 or batch_size < _LEAST_BATCH:
        return False
    if (spacing - batch_size) * _ROWS_PER_EMPTY_PLACE > batch_size:
        return False
    n, single = rows.shape[1], rows.dtype == np.float32
    if rows.flags.c_contiguous:
        return n <= (_MOST_ROW_FEATURES if single else _MOST_COMPACT_ROW_FEATURES) and n_epochs >= _ROW_EPOCHS
    return single and n in _COLUMN_FEATURES and n_epochs >= _COLUMN_EPOCHS


def in_c_order(rows: Array, batch_size: int, shuffled: bool, n_epochs: int, n_threads: int | None) -> Array:
    """Rows (m, n) in C order: a copy of F-ordered ones where that pays, else the given rows."""
    if rows.flags.c_contiguous or not turning_pays(rows, batch_size, shuffled, n_epochs) or not fits(rows.nbytes):
        return rows
    try:
        out_rows = np.empty(rows.shape, rows.dtype)
    except MemoryError:
        return rows
    run(turn_all, members_for(n_threads, -(-rows.shape[0] // TURNED_ROWS), rows.nbytes), rows, out_rows)
    return read_only(out_rows)


def turning_pays(rows: Array, batch_size: int, shuffled: bool, n_epochs: int) -> bool:
    """Whether a fit on F-ordered rows is faster on a copy in C order."""
    if shuffled:
        return n_epochs >= _SHUFFLED_EPOCHS
    short = batch_size * rows.itemsize <= PIECE_BYTES and rows.shape[1] >= _LEAST_FEATURES
    return short and n_epochs >= _ORDERED_EPOCHS


def fits(n_bytes: int) -> bool:
    """Whether a copy of that size takes at most half of the memory that is available."""
    available = available_memory()
    return n_bytes <= (_SMALL_BYTES if available is None else available // 2)


def available_memory() -> int | None:
    """Bytes that this process may still use without swapping; None where the system doesn't say."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        available = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):
        return None
    folder = Path("/sys/fs/cgroup")
    v1, v2 = ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"), ("memory.max", "memory.current")
    for limit, used in (v1, v2):
        try:
            available = min(available, int((folder / limit).read_text()) - int((folder / used).read_text()))
        except (OSError, ValueError):  # no such control group, or no limit
            continue
    return max(0, available)
