"""Questions about Numba's types, for helpers whose implementation is chosen by the types of their arguments.

`jit.by_type` hands Numba's types to a choice. Types of arrays have `dtype`, `ndim` and `layout`, which Numba documents.
Everything else is asked here, so that a change of Numba's types is met in one file.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numba import types


def is_none(kind: Any) -> bool:
    """Whether a type is that of None."""
    return isinstance(kind, types.NoneType)


def class_of(kind: Any) -> Any:
    """The class of a named tuple's type; None for a type of anything else."""
    return getattr(kind, "instance_class", None)


def fields(kind: Any) -> tuple[Any, ...]:
    """Types of a named tuple's fields, in their order."""
    return tuple(kind.types)


def holds(array: Any, dtype: Any) -> bool:
    """Whether an array's type has a dtype, which is named as NumPy names it."""
    return bool(array.dtype == numba.from_dtype(np.dtype(dtype)))


def is_single(kind: Any) -> bool:
    """Whether numbers, or the elements of an array or of lanes, are float32."""
    return bool(getattr(kind, "dtype", kind) == types.float32)
