"""Compiling ahead."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ..kernels.storage.plan import FOLD_ROWS, LEAST_SHARED_FEATURES, LEAST_TURNED_FEATURES
from ..textbook.binary import compute_cost, compute_gradients, forward_pass, predict, sigmoid, train_logistic_regression
from ..training.packing import PAYING_EPOCHS


def warmup(dtypes: Any = ("float32", "float64"), orders: Iterable[str] = ("C",)) -> None:
    """Compile, or load from the cache, what later fits and predictions on such data need.

    Compiled kernels are kept on disk, so one call while an image or an environment is built serves every process after
    it that may read the cache (beside the package, in the user's cache folder, or in ``NUMBA_CACHE_DIR``).

    Parameters
    ----------
    dtypes : a dtype or several
        Of X: float32, float64, uint8, int8, bool, float16, or `jitlogit.bfloat16`.
    orders : iterable of "C" and "F"
        Memory layouts of X.

    Raises
    ------
    TypeError, ValueError
        If something else is asked for.
    """
    several = [dtypes] if isinstance(dtypes, str | type | np.dtype) else list(dtypes)
    orders = list(orders)
    if not set(orders) <= {"C", "F"}:
        raise ValueError(f'orders must be "C", "F" or both; got {orders!r}')
    m = 2 * FOLD_ROWS + 1
    Y = np.arange(m) % 2
    for dtype in [np.dtype(dtype) for dtype in several]:
        for order in orders:
            n = 2 if order == "C" else LEAST_TURNED_FEATURES
            X = np.zeros((m, n), dtype, order=order)  # type: ignore[call-overload]
            for scale in (None, 1.0):  # with a scale, updates follow a rule
                for batch_size in (2, 32, FOLD_ROWS + 1, None):  # small, large, all
                    for n_epochs, shuffle in ((1, True), (PAYING_EPOCHS, False)):  # and so have packed rows
                        W, b, _ = train_logistic_regression(
                            X, Y, 0.1, n_epochs, batch_size=batch_size, shuffle=shuffle, scale=scale
                        )
            if order == "F":  # and so have small batches of many columns
                train_logistic_regression(X[:, :2], Y, 0.1, 1, batch_size=2, shuffle=False)
                wide = np.zeros((m, LEAST_SHARED_FEATURES), dtype, order=order)  # type: ignore[call-overload]
                train_logistic_regression(wide, Y, 0.1, 1, batch_size=FOLD_ROWS, shuffle=False)
            predict(X, W, b)
            A = forward_pass(X, W, b)
            compute_gradients(X, Y, A)
            compute_cost(A, Y)
            sigmoid(A)
