"""Arrays that begin on a cache line and end with padding."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Bytes of a cache line.
LINE_BYTES = 64
#: Elements behind an array's last one, for whole vectors to be read there: eight vectors of 16 float32.
PADDING = 128


def round_up(size: int, step: int = 8) -> int:
    return -(-size // step) * step


def on_lines(shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Zeros that begin on a cache line."""
    size = math.prod(shape)
    memory = np.zeros(size + LINE_BYTES // dtype.itemsize, dtype)
    skipped = -memory.ctypes.data % LINE_BYTES // dtype.itemsize
    return memory[skipped : skipped + size].reshape(shape)
