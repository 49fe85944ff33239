"""Whether narrow data are copied into packed blocks for a fit, and the copy; see `kernels.packed`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..compiler.threads import members_for, run
from ..data.validation import Array, computed_dtype
from ..kernels.simd.arrays import PADDING
from ..kernels.simd.lane_types import VECTOR_BYTES
from ..kernels.storage.packed import pack

# By `python benchmarks/regimes.py packing` (float32): in C order, packed rows of up to 8 features take 0.4 to 1.0 of
# the time, packing as long as 2 to 15 passes; in F order 0.6 to 1.1 and 5 to 50, worst where a batch is all rows. By
# hand: smaller dtypes gain up to 10 features in C order, nothing in F order; float64 and longer rows gain nothing.
_MOST_ROW_FEATURES = 8
_MOST_COMPACT_ROW_FEATURES = 10
_ROW_EPOCHS = 16
_COLUMN_FEATURES = range(16, 33)
_COLUMN_EPOCHS = 40
#: Passes after which every packing that ever pays has paid.
PAYING_EPOCHS = max(_ROW_EPOCHS, _COLUMN_EPOCHS)
_LEAST_BATCH = 32
# Empty places: at most one for so many rows of a batch.
_ROWS_PER_EMPTY_PLACE = 8
# Where a system doesn't say how much memory is available.
_SMALL_BYTES = 256 * 1024 * 1024


def packed(rows: Array, labels: Array, batch_size: int, n_epochs: int, n_threads: int | None) -> tuple[Array, Array]:
    """Rows (n_blocks, n, lanes) and labels (n_positions,) for a fit, or the given ones where that doesn't pay.

    Parameters
    ----------
    rows : (m, n), labels : (m,)
        As kernels take them, in their own order.
    """
    m, n = rows.shape
    step = VECTOR_BYTES // computed_dtype(rows).itemsize
    blocks_per_batch = -(-batch_size // step)
    n_batches = -(-m // batch_size)
    last_size = m - (n_batches - 1) * batch_size
    n_blocks = (n_batches - 1) * blocks_per_batch + -(-last_size // step)
    n_positions = (n_batches - 1) * blocks_per_batch * step + last_size
    n_bytes = n_blocks * step * (n * rows.itemsize + 1)
    if not pays(rows, batch_size, blocks_per_batch * step, n_epochs) or not fits(n_bytes):
        return rows, labels
    try:
        out_rows = np.empty((n_blocks, n, step), rows.dtype)
        out_labels = np.empty(n_blocks * step + PADDING, np.uint8)
    except MemoryError:
        return rows, labels
    run(pack, members_for(n_threads, n_blocks, n_bytes), rows, labels, batch_size, out_rows, out_labels)
    return out_rows, out_labels[:n_positions]


def pays(rows: Array, batch_size: int, spacing: int, n_epochs: int) -> bool:
    """Whether a fit is sooner done on packed rows, whose batches take `spacing` places."""
    if rows.dtype == np.float64 or batch_size < _LEAST_BATCH:
        return False
    if (spacing - batch_size) * _ROWS_PER_EMPTY_PLACE > batch_size:
        return False
    n, single = rows.shape[1], rows.dtype == np.float32
    if rows.flags.c_contiguous:
        return n <= (_MOST_ROW_FEATURES if single else _MOST_COMPACT_ROW_FEATURES) and n_epochs >= _ROW_EPOCHS
    return single and n in _COLUMN_FEATURES and n_epochs >= _COLUMN_EPOCHS


def fits(n_bytes: int) -> bool:
    """Whether a copy of that size takes at most half of the memory that is available."""
    available = available_memory()
    return n_bytes <= (_SMALL_BYTES if available is None else available // 2)


def available_memory() -> int | None:
    """Bytes that this process may still use without swapping, None where the system doesn't say."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        available = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):
        return None
    for limit, used in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        folder = Path("/sys/fs/cgroup")
        try:
            available = min(available, int((folder / limit).read_text()) - int((folder / used).read_text()))
        except (OSError, ValueError):  # no such group; or "max"
            continue
    return max(0, available)
