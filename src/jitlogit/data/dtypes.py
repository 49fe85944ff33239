"""Kinds of arrays that kernels read, and the precision in which they compute."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

#: Marks uint16 as bits of bfloat16 numbers, the upper halves of float32: ``bits.view(jitlogit.bfloat16)``.
bfloat16 = np.dtype([("bfloat16", np.uint16)])


def is_bfloat16(array: Array) -> bool:
    """Whether the dtype is ours, `bfloat16`, or that of ml_dtypes."""
    return array.dtype == bfloat16 or array.dtype.name == "bfloat16"


def is_sparse(X: Any) -> bool:
    """Whether `X` is a sparse array or matrix of SciPy, found out without importing SciPy."""
    return hasattr(X, "tocsr") and hasattr(X, "nnz")


def computed_dtype(X: Any) -> np.dtype[Any]:
    """The precision in which kernels compute: float64 for float64 `X`, else float32."""
    return np.dtype(np.float64 if X.dtype == np.float64 else np.float32)


def float_dtype(array: Any) -> np.dtype[Any]:
    """float32 where NumPy promotes the array's dtype beside float32 to it, else float64."""
    return np.dtype(np.float32 if np.result_type(array.dtype, np.float32) == np.float32 else np.float64)


def widened(X: Array) -> Array:
    """A copy of a few rows, in their `computed_dtype`."""
    if is_bfloat16(X):
        bits = np.ascontiguousarray(X).view(np.uint16)
        return np.left_shift(bits, 16, dtype=np.uint32).view(np.float32)
    return X.astype(computed_dtype(X))
