"""Arrays as kernels want them: on cache lines, with room behind."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

LINE_BYTES = 64
#: Arrays end with room for eight vectors of lanes.
PADDING = 128


def on_lines(shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Zeros that begin with a cache line."""
    size = math.prod(shape)
    memory = np.zeros(size + LINE_BYTES // dtype.itemsize, dtype)
    skipped = -memory.ctypes.data % LINE_BYTES // dtype.itemsize
    return memory[skipped : skipped + size].reshape(shape)
