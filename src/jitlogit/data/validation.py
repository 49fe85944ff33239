"""Checks of arrays that users pass, and their conversion to what kernels take."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..kernels.steps.labels import empty_places
from ..kernels.storage.csr import CSR
from .dtypes import Array as Array
from .dtypes import bfloat16 as bfloat16
from .dtypes import computed_dtype as computed_dtype
from .dtypes import float_dtype as float_dtype
from .dtypes import is_bfloat16 as is_bfloat16
from .dtypes import is_sparse as is_sparse
from .dtypes import widened as widened
from .parameters import check_batch_size as check_batch_size
from .parameters import check_bool as check_bool
from .parameters import check_choice as check_choice
from .parameters import check_count as check_count
from .parameters import check_fraction as check_fraction
from .parameters import check_n_threads as check_n_threads
from .parameters import check_not_negative as check_not_negative
from .parameters import check_number as check_number
from .parameters import check_positive as check_positive
from .parameters import check_random_state as check_random_state
from .parameters import check_shuffle as check_shuffle
from .tables import NotFiniteError, columns_error, labels_error, refuse_what_misleads

# Dtypes that kernels widen as they read them; bool is read as uint8.
_COMPACT = (np.dtype(np.uint8), np.dtype(np.int8), np.dtype(np.float16))

# Elements that a check with a temporary looks at in one go.
_BLOCK = 1 << 18


def check_sparse(X: Any, name: str = "X") -> Any:
    """Return a SciPy sparse `X` (m, n) in canonical CSR of float32 or float64, without a copy where it is that already.

    Other formats are converted once, and other dtypes as in `check_X`. Indices are sorted within each row, and values
    of the same index summed.
    """
    rows = X.tocsr()
    if len(rows.shape) != 2 or 0 in rows.shape:
        raise ValueError(f"{name} must be of shape (n_samples, n_features), with one of each; got {rows.shape}")
    if rows.dtype.kind not in "fiub":
        raise TypeError(f"{name} must hold real numbers; got dtype {rows.dtype}")
    if not rows.has_canonical_format:
        rows = rows.copy()
        rows.sum_duplicates()
    return rows.astype(float_dtype(rows), copy=False)


def check_rows(X: Any, name: str = "X") -> Any:
    """`check_sparse` for sparse X, `check_X` for anything else."""
    return check_sparse(X, name) if is_sparse(X) else check_X(X, name)


def check_X(X: Any, name: str = "X") -> Array:
    """Return `X` as a read-only (m, n) array, C- or F-ordered, of a dtype that kernels read.

    Kernels read float32 and float64, and widen uint8, int8, bool (as uint8), float16 and bfloat16 (of ml_dtypes, or
    uint16 viewed as `bfloat16`) to float32 in registers. Arrays of these dtypes are not copied, memory maps included.
    Strided arrays are copied once to C order. Other dtypes are converted once, to float32 where that holds every value
    (16-bit integers), else to float64. NaN and inf pass: see `raise_if_not_finite`.
    """
    refuse_what_misleads(X, name)
    if is_sparse(X):
        raise TypeError(
            f"{name} must be a dense array; got {type(X).__name__}: jitlogit.LogisticRegression and "
            "jitlogit.MiniBatchLogisticRegression take sparse rows as they are"
        )
    try:
        array = _as_numeric(X, name)
    except (TypeError, ValueError) as error:
        raise (columns_error(X, name) or error) from None
    if array.ndim != 2:
        advice = ": reshape one example with X.reshape(1, -1), one feature with X.reshape(-1, 1)"
        raise ValueError(
            f"{name} must be a 2-D array of shape (n_samples, n_features); got shape {array.shape}"
            + advice * (array.ndim == 1)
        )
    if 0 in array.shape:
        raise ValueError(f"{name} must have at least one example and one feature; got shape {array.shape}")
    if array.dtype == bool:
        array = array.view(np.uint8)
    if is_bfloat16(array) or array.dtype in _COMPACT:
        if not (array.flags.c_contiguous or array.flags.f_contiguous) or not array.flags.aligned:
            array = np.ascontiguousarray(array)
        return read_only(array)
    return _for_kernels(array)


def as_rows(X: Any) -> Any:
    """The view of rows from `check_rows` that kernels take; float16 becomes uint16, bfloat16 int16, sparse X `CSR`."""
    if is_sparse(X):
        return CSR(read_only(X.data), read_only(X.indices), read_only(X.indptr))
    if is_bfloat16(X):
        return read_only(X.view(np.int16))
    return read_only(X.view(np.uint16) if X.dtype == np.float16 else X)


def check_scaling(offset: Any, scale: Any, n_features: int) -> tuple[Array, Array] | tuple[None, None]:
    """Return offset and scale as float64 arrays (n,), or None for both if neither is given."""
    if offset is None and scale is None:
        return None, None
    pair = []
    for values, name, default in ((offset, "offset", 0.0), (scale, "scale", 1.0)):
        array = np.asarray(_as_numeric(default if values is None else values, name), np.float64)
        if array.shape not in ((), (n_features,)):
            raise ValueError(f"{name} must be a number or one for each of the {n_features} features; got {array.shape}")
        if not np.isfinite(array).all() or (name == "scale" and not (array > 0).all()):
            raise ValueError(
                f"{name} must be finite" + (" and positive: use 1 for constant features" if name == "scale" else "")
            )
        pair.append(np.array(np.broadcast_to(array, (n_features,))))
    return pair[0], pair[1]


def check_class_labels(y: Any, n_samples: int, n_classes: int | None, name: str = "y_train") -> tuple[Array, int]:
    """Return labels 0 ... K - 1 as an (m,) array of uint32, padded for kernels that read whole vectors, and K."""
    array = _numeric_labels(y, name)
    if array.shape not in ((n_samples,), (n_samples, 1), (1, n_samples)):
        raise ValueError(
            f"{name} must hold one label for each of the {n_samples} examples, as shape ({n_samples},); "
            f"got shape {array.shape}"
        )
    array = array.reshape(-1)
    if not (array.min() >= 0 and np.isfinite(array).all() and np.array_equal(array, np.floor(array))):
        raise labels_error(array, name) or ValueError(
            f"{name} must hold whole numbers from 0 on: numpy.unique({name}, return_inverse=True) makes such"
        )
    largest = int(array.max())
    count = max(2, largest + 1) if n_classes is None else check_count(n_classes, "n_classes")
    if count < 2 or largest >= count:
        raise ValueError(f"n_classes={count} must be 2 at least, and more than the largest label, {largest}")
    labels = empty_places(n_samples, np.uint32)
    labels[:] = array
    return read_only(labels), count


def check_sample_weight(sample_weight: Any, n_samples: int, dtype: np.dtype[Any]) -> Array | None:
    """Return weights as an (m,) array of `dtype`, divided by their mean; None for None."""
    if sample_weight is None:
        return None
    array = _as_numeric(sample_weight, "sample_weight")
    if array.shape not in ((n_samples,), (n_samples, 1), (1, n_samples)):
        raise ValueError(
            f"sample_weight must hold one weight for each of the {n_samples} examples; got shape {array.shape}"
        )
    mean = array.mean(dtype=np.float64)
    if not np.isfinite(array).all() or array.min() < 0 or mean == 0:
        raise ValueError("sample_weight must be finite, not negative, and not zero for all examples")
    wide = np.result_type(array.dtype, dtype)
    return np.asarray(np.divide(array.reshape(-1), mean, dtype=wide), dtype)


def check_labels(Y: Any, n_samples: int, name: str = "Y") -> Array:
    """Return labels 0 and 1 of shape (m,), (m, 1) or (1, m) as an (m,) array of uint8, padded for kernels."""
    array = _numeric_labels(Y, name)
    if array.shape not in ((n_samples,), (n_samples, 1), (1, n_samples)):
        raise ValueError(
            f"{name} must hold one label for each of the {n_samples} examples, as shape (1, {n_samples}), "
            f"({n_samples},) or ({n_samples}, 1); got shape {array.shape}"
        )
    array = array.reshape(-1)
    labels = empty_places(n_samples, np.uint8)
    if array.dtype == bool:
        labels[:] = array
        return read_only(labels)
    for start in range(0, n_samples, _BLOCK):
        block = array[start : start + _BLOCK]
        ones = block == 1
        if not np.all(ones | (block == 0)):
            found = np.unique(array)
            shown = ", ".join(str(label) for label in found[:6].tolist()) + (", ..." if found.size > 6 else "")
            raise labels_error(array, name) or ValueError(
                f"{name} must hold the labels 0 and 1 only; found {shown}: map your two classes to 0 and 1"
            )
        labels[start : start + _BLOCK] = ones
    return read_only(labels)


def check_weights(W: Any, n_features: int, dtype: np.dtype[Any], name: str = "W") -> Array:
    """Return the weights `W`, of shape (n, 1) or (n,), as an (n,) array of `dtype`."""
    array = _as_numeric(W, name)
    if array.shape not in ((n_features, 1), (n_features,)):
        raise ValueError(
            f"{name} must hold one weight for each of the {n_features} features, as shape ({n_features}, 1); "
            f"got shape {array.shape}"
        )
    array = np.ascontiguousarray(array.reshape(-1), dtype)
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite; got NaN or inf")
    return read_only(array)


def check_numbers(values: Any, name: str) -> Array:
    """Return an array of any shape as a read-only contiguous one of float32 or float64."""
    return _for_kernels(np.asarray(_as_numeric(values, name), order="C"))


def check_row(values: Any, name: str) -> Array:
    """Return a row of m numbers, of shape (1, m), (m,) or (m, 1), as a contiguous (m,) array of its own dtype."""
    array = _as_numeric(values, name)
    if array.size == 0 or array.size != max(array.shape, default=1):
        raise ValueError(f"{name} must be a row of shape (1, n_samples); got shape {array.shape}")
    return read_only(np.ascontiguousarray(array.reshape(-1)))


def check_probabilities(A: Any, dtype: np.dtype[Any] | None = None, name: str = "A") -> Array:
    """Return the probabilities `A` as an (m,) array of `dtype`; for None of float32 or float64, as they are given."""
    row = _for_kernels(check_row(A, name)) if dtype is None else read_only(check_row(A, name).astype(dtype, copy=False))
    if not (row.min() >= 0 and row.max() <= 1):
        raise ValueError(f"{name} must hold probabilities between 0 and 1; found {row.min():g} to {row.max():g}")
    return row


def raise_if_not_finite(X: Any, name: str = "X") -> None:
    """Raise `NotFiniteError` that says in which columns `X`, from `check_rows`, holds NaN or inf.

    Callers do so only when a result of a kernel isn't finite, so that good data isn't read once more.
    """
    error = columns_error(X, name)
    if error is not None:
        raise NotFiniteError(str(error))


def _numeric_labels(labels: Any, name: str) -> Array:
    try:
        return _as_numeric(labels, name)
    except (TypeError, ValueError) as error:
        raise (labels_error(labels, name) or error) from None


def _as_numeric(values: Any, name: str) -> Array:
    if isinstance(values, np.ma.MaskedArray):
        raise TypeError(f"{name} must not be a masked array: fill its gaps with values, or drop those rows")
    if is_sparse(values):
        raise TypeError(f"{name} must be a dense array; got {type(values).__name__}: use {name}.toarray()")
    try:
        array = np.asarray(values)
    except (TypeError, ValueError) as error:  # ragged nested lists
        raise ValueError(f"{name} must be an array of numbers with rows of equal length: {error}") from None
    if array.dtype == object:
        try:
            array = array.astype(np.float64)
        except (TypeError, ValueError, OverflowError):
            raise TypeError(f"{name} must hold numbers; got dtype object with values of other kinds") from None
    if array.dtype.kind == "c":
        raise TypeError(f"{name} must hold real numbers; got dtype {array.dtype}")
    if array.dtype.kind not in "fiub" and not is_bfloat16(array):
        raise TypeError(f"{name} must hold numbers; got dtype {array.dtype}")
    return array


def _for_kernels(array: Array) -> Array:
    """Return a read-only array of float32 or float64 in C or F order, without a copy where it is that already."""
    dtype = float_dtype(array)
    if array.dtype != dtype or not array.flags.aligned:
        array = array.astype(dtype)
    if not (array.flags.c_contiguous or array.flags.f_contiguous):
        array = np.ascontiguousarray(array)
    return read_only(array)


def read_only(array: Array) -> Array:
    """Return a read-only view; kernels are compiled for this type alone, whether or not the array is writable."""
    array = array.view()
    array.flags.writeable = False
    return array
