"""Checks of the shapes that callers pass.

NumPy stretches a row (1, m) and a column (m, 1) to a matrix (m, m). Without these checks, labels in a column would give
a gradient of m columns, without a word.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

_ROWS = "samples are the rows of X (m, n): pass X.T if they are the columns of yours"


def matrix(X: Array, name: str = "X") -> Array:
    """X, which must be (m, n), of a sample and a feature at least."""
    if X.ndim != 2 or X.size == 0:
        raise ValueError(
            f"{name} must be of shape (m, n), a row for each sample; got shape {X.shape}: "
            "X.reshape(1, -1) is one sample, X.reshape(-1, 1) one feature"
        )
    return X


def row(values: Any, name: str, m: int, of: str = "X") -> Array:
    """One value for each of the m samples of X, or of another argument, as (1, m); from (1, m), (m,) or (m, 1)."""
    array: Array = np.asarray(values)
    if array.shape not in ((1, m), (m,), (m, 1)):
        advice = _ROWS if of == "X" else f"pass {of} and {name} of the same samples"
        if array.ndim == 2 and m in array.shape:
            advice = f"{name} is one row; of one-hot labels, argmax gives the classes, for train_softmax_regression"
        raise ValueError(
            f"{name} must hold one value for each of the {m} samples of {of}, as shape (1, {m}); "
            f"got shape {array.shape}: {advice}"
        )
    return array.reshape(1, m)


def any_row(values: Any, name: str) -> Array:
    """The same where nothing else tells the number of samples."""
    array: Array = np.asarray(values)
    if array.size == 0 or array.size != max(array.shape, default=1):
        raise ValueError(
            f"{name} must be of shape (1, m), one value for each sample; got shape {array.shape}: pass one row of it"
        )
    return array.reshape(1, -1)


def column(values: Any, name: str, n: int, of: str = "features of X") -> Array:
    """One number for each of the n features of X, or of the weights, as (n, 1); from (n, 1) or (n,)."""
    array: Array = np.asarray(values)
    if array.shape not in ((n, 1), (n,)):
        advice = _ROWS if of == "features of X" else "pass W and dW of the same features"
        if array.shape == (1, n):
            advice = f"pass {name}.T"
        raise ValueError(
            f"{name} must hold one number for each of the {n} {of}, as shape ({n}, 1); "
            f"got shape {array.shape}: {advice}"
        )
    return array.reshape(n, 1)


def number(value: Any, name: str) -> float:
    """A number, or an array that holds one."""
    if np.size(value) != 1:
        raise ValueError(f"{name} must be one number, for all samples; got shape {np.shape(value)}: pass a float")
    return float(np.reshape(value, ()))


def scaling(values: Any, name: str, n: int) -> None:
    """A number, or one for each of the n features; None passes."""
    if values is not None and np.shape(values) not in ((), (n,)):
        raise ValueError(
            f"{name} must be a number, or (n,) = ({n},), one for each feature; got shape {np.shape(values)}: "
            f"np.ravel({name}) is (n,), where it has {n} numbers"
        )
