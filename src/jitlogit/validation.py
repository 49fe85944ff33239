"""Whatever a user passes becomes what kernels take, or an error that says what to do."""

from __future__ import annotations

import math
import numbers
import warnings
from typing import Any

import numpy as np
import numpy.typing as npt

from ._team import max_threads
from .kernels.plan import PADDING

Array = npt.NDArray[Any]

#: Marks uint16 as the bits of bfloat16 numbers (a float32 without its lower half): ``bits.view(jitlogit.bfloat16)``.
bfloat16 = np.dtype([("bfloat16", np.uint16)])

# Numbers that kernels widen as they read them; bool is read as uint8.
_COMPACT = (np.dtype(np.uint8), np.dtype(np.int8), np.dtype(np.float16))

# Checks that need a temporary go over the data in blocks of this many elements.
_BLOCK = 1 << 18


def check_X(X: Any, name: str = "X") -> Array:
    """Return `X` as a read-only (m, n) array, C- or F-ordered, of a dtype that kernels read.

    That is float32, float64, or one that is widened to float32 in registers: uint8, int8, bool (as uint8), float16 and
    bfloat16 (of ml_dtypes, or uint16 viewed as `bfloat16`). Arrays that are so already are not copied, memory maps
    included. Strided ones are copied once to C order; other dtypes are converted once, to float32 where that holds
    every value (16-bit integers), else to float64. Whether the values are finite is not looked at: see
    `raise_if_not_finite`.
    """
    array = _as_numeric(X, name)
    if array.ndim != 2:
        raise ValueError(
            f"{name} must be a 2-D array of shape (n_samples, n_features); got shape {array.shape}"
            + (
                ": reshape one example with X.reshape(1, -1), one feature with X.reshape(-1, 1)"
                if array.ndim == 1
                else ""
            )
        )
    if 0 in array.shape:
        raise ValueError(f"{name} must have at least one example and one feature; got shape {array.shape}")
    if array.dtype == bool:
        array = array.view(np.uint8)
    if is_bfloat16(array) or array.dtype in _COMPACT:
        if not (array.flags.c_contiguous or array.flags.f_contiguous) or not array.flags.aligned:
            array = np.ascontiguousarray(array)
        return _read_only(array)
    return _for_kernels(array)


def is_bfloat16(array: Array) -> bool:
    """Whether an array holds bfloat16 numbers, marked as such or of ml_dtypes."""
    return array.dtype == bfloat16 or array.dtype.name == "bfloat16"


def computed_dtype(X: Array) -> np.dtype[Any]:
    """The precision that kernels compute in with `X` from `check_X`."""
    return np.dtype(np.float64 if X.dtype == np.float64 else np.float32)


def as_rows(X: Array) -> Array:
    """The view of `X` from `check_X` that kernels take: float16 travels as uint16, bfloat16 as int16."""
    if is_bfloat16(X):
        return _read_only(X.view(np.int16))
    return _read_only(X.view(np.uint16)) if X.dtype == np.float16 else X


def widened(X: Array) -> Array:
    """A copy of a few rows in the precision that kernels compute in."""
    if is_bfloat16(X):
        bits = np.ascontiguousarray(X).view(np.uint16)
        return np.left_shift(bits, 16, dtype=np.uint32).view(np.float32)
    return X.astype(computed_dtype(X))


def check_scaling(offset: Any, scale: Any, n_features: int) -> tuple[Array, Array] | tuple[None, None]:
    """Return offset and scale of the features as float64 arrays (n,), or None for both if neither is given."""
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


def check_labels(Y: Any, n_samples: int, name: str = "Y") -> Array:
    """Return the labels `Y`, of shape (m,), (m, 1) or (1, m) and values 0 and 1, as an (m,) array of uint8.

    Behind it there is room for whole lanes, which kernels may read.
    """
    array = _as_numeric(Y, name)
    if array.shape not in ((n_samples,), (n_samples, 1), (1, n_samples)):
        raise ValueError(
            f"{name} must hold one label for each of the {n_samples} examples, as shape (1, {n_samples}), "
            f"({n_samples},) or ({n_samples}, 1); got shape {array.shape}"
        )
    array = array.reshape(-1)
    labels = np.empty(n_samples + PADDING, np.uint8)[:n_samples]
    if array.dtype == bool:
        labels[:] = array
        return _read_only(labels)
    for start in range(0, n_samples, _BLOCK):
        block = array[start : start + _BLOCK]
        ones = block == 1
        if not np.all(ones | (block == 0)):
            found = np.unique(array)
            shown = ", ".join(str(label) for label in found[:6].tolist()) + (", ..." if found.size > 6 else "")
            raise ValueError(
                f"{name} must hold the labels 0 and 1 only; found {shown}: map your two classes to 0 and 1"
            )
        labels[start : start + _BLOCK] = ones
    return _read_only(labels)


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
    return _read_only(array)


def check_numbers(values: Any, name: str) -> Array:
    """Return an array of any shape as a read-only contiguous one of float32 or float64."""
    return _for_kernels(np.asarray(_as_numeric(values, name), order="C"))


def check_row(values: Any, name: str) -> Array:
    """Return a row of m numbers, of shape (1, m), (m,) or (m, 1), as a contiguous (m,) array of its own dtype."""
    array = _as_numeric(values, name)
    if array.size == 0 or array.size != max(array.shape, default=1):
        raise ValueError(f"{name} must be a row of shape (1, n_samples); got shape {array.shape}")
    return _read_only(np.ascontiguousarray(array.reshape(-1)))


def check_probabilities(A: Any, dtype: np.dtype[Any] | None = None, name: str = "A") -> Array:
    """Return the probabilities `A` as an (m,) array of `dtype`, or of float32 or float64."""
    row = (
        _for_kernels(check_row(A, name)) if dtype is None else _read_only(check_row(A, name).astype(dtype, copy=False))
    )
    if not (row.min() >= 0 and row.max() <= 1):
        raise ValueError(f"{name} must hold probabilities between 0 and 1; found {row.min():g} to {row.max():g}")
    return row


def check_number(value: Any, name: str) -> float:
    """Return a finite real number as a float."""
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.item()
    if isinstance(value, bool | np.bool_) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name} must be a number; got {value!r}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError(f"{name} must be finite; got {value!r}")
    return number


def check_positive(value: Any, name: str) -> float:
    """Return a positive and finite real number as a float."""
    number = check_number(value, name)
    if not number > 0:
        raise ValueError(f"{name} must be positive; got {value!r}")
    return number


def check_fraction(value: Any, name: str) -> float:
    """Return a number from 0 to 1 as a float."""
    number = check_number(value, name)
    if not 0 <= number <= 1:
        raise ValueError(f"{name} must lie between 0 and 1; got {value!r}")
    return number


def check_count(value: Any, name: str) -> int:
    """Return an integer of at least 1."""
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.item()
    number = check_number(value, name)
    if not isinstance(value, numbers.Integral) or number < 1:
        raise ValueError(f"{name} must be an integer of at least 1; got {value!r}")
    return int(value)


def check_bool(value: Any, name: str) -> bool:
    """Return True or False."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} must be True or False; got {value!r}")
    return bool(value)


def check_random_state(random_state: Any) -> np.random.Generator:
    """Return a generator for None, a seed, or a generator (that one itself)."""
    try:
        return np.random.default_rng(random_state)
    except (TypeError, ValueError) as error:
        raise type(error)(
            f"random_state must be None, a non-negative integer or a numpy.random.Generator; got {random_state!r}"
        ) from None


def check_batch_size(batch_size: Any, n_samples: int) -> int:
    """Return the number of rows of a mini-batch; None is all, and more than there are is clipped with a warning."""
    if batch_size is None:
        return n_samples
    size = check_count(batch_size, "batch_size")
    if size > n_samples:
        warnings.warn(
            f"batch_size={size} is more than the {n_samples} examples and was clipped to {n_samples}; "
            "pass batch_size=None for batch gradient descent",
            UserWarning,
            stacklevel=3,
        )
    return min(size, n_samples)


def check_shuffle(value: Any) -> bool | str:
    """Return whether and how to shuffle: False, True or "blocks"."""
    if isinstance(value, str):
        if value != "blocks":
            raise ValueError(f'shuffle must be True, False or "blocks"; got {value!r}')
        return value
    return check_bool(value, "shuffle")


def check_n_threads(n_threads: Any) -> int | None:
    """Return a number of threads that Numba can set, or None for as many as it is set to."""
    if n_threads is None:
        return None
    count = check_count(n_threads, "n_threads")
    if count > max_threads():
        raise ValueError(
            f"n_threads={count} is more than the {max_threads()} threads that Numba was started with; "
            f"set the environment variable NUMBA_NUM_THREADS={count} before Python starts, or ask for fewer"
        )
    return count


def raise_if_not_finite(X: Array, name: str = "X") -> None:
    """Raise a ValueError that says where `X` first holds NaN or inf.

    Kernels carry either through to their results, so this is called when a result isn't finite: good data is not read
    once more to be checked.
    """
    step = max(1, _BLOCK // X.shape[1])
    for start in range(0, X.shape[0], step):
        block = widened(X[start : start + step])
        bad = np.argwhere(~np.isfinite(block))
        if bad.size:
            i, j = int(bad[0, 0]) + start, int(bad[0, 1])
            raise ValueError(
                f"{name} must be finite; {name}[{i}, {j}] is {block[i - start, j]}: remove such rows or replace the "
                "values (the mean of the column is a common choice)"
            )


def float_dtype(array: Array) -> np.dtype[Any]:
    """float32 where NumPy promotes the array's dtype beside float32 to it, else float64."""
    return np.dtype(np.float32 if np.result_type(array, np.float32) == np.float32 else np.float64)


def _as_numeric(values: Any, name: str) -> Array:
    if isinstance(values, np.ma.MaskedArray):
        raise TypeError(f"{name} must not be a masked array: fill its gaps with values, or drop those rows")
    if hasattr(values, "toarray") and hasattr(values, "nnz"):
        raise TypeError(f"{name} must be a dense array; got {type(values).__name__}: use {name}.toarray()")
    try:
        array = np.asarray(values)
    except ValueError as error:  # ragged nested lists
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
    """Read-only array of float32 or float64 in C or F order, the same memory where it is such already."""
    dtype = float_dtype(array)
    if array.dtype != dtype or not array.flags.aligned:
        array = array.astype(dtype)
    if not (array.flags.c_contiguous or array.flags.f_contiguous):
        array = np.ascontiguousarray(array)
    return _read_only(array)


def _read_only(array: Array) -> Array:
    """A view that kernels can't write to: one type, so one compiled variant, whether or not the array is writable."""
    array = array.view()
    array.flags.writeable = False
    return array
