"""Compilation ahead of the first fit."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ..kernels.storage.plan import FOLD_ROWS, LEAST_SHARED_FEATURES, LEAST_TURNED_FEATURES
from ..textbook.binary import compute_cost, compute_gradients, forward_pass, predict, sigmoid, train_logistic_regression
from ..training.packing import PAYING_EPOCHS


def warmup(dtypes: Any = ("float32", "float64"), orders: Iterable[str] = ("C",)) -> None:
    """Compile, or load from the cache, the kernels that fits and predictions of `jitlogit`'s functions need.

    Compiled kernels are kept on disk: in ``NUMBA_CACHE_DIR``, beside the package or in the user's cache folder. So one
    call while an image is built serves all later processes that read this cache.

    Parameters
    ----------
    dtypes : a dtype or several
        Of X: float32, float64, uint8, int8, bool, float16, or `jitlogit.bfloat16`.
    orders : iterable of "C" and "F"
        Memory layouts of X.

    Raises
    ------
    TypeError, ValueError
        If a dtype or an order is another one.
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
            for scale in (None, 1.0):  # scaled features have an update kernel of their own
                for batch_size in (2, 32, FOLD_ROWS + 1, None):  # small, usual, large and full batches
                    for n_epochs, shuffle in ((1, True), (PAYING_EPOCHS, False)):  # the latter packs narrow rows
                        W, b, _ = train_logistic_regression(
                            X, Y, 0.1, n_epochs, batch_size=batch_size, shuffle=shuffle, scale=scale
                        )
            if order == "F":  # two features, and many, have kernels of their own
                train_logistic_regression(X[:, :2], Y, 0.1, 1, batch_size=2, shuffle=False)
                wide = np.zeros((m, LEAST_SHARED_FEATURES), dtype, order=order)  # type: ignore[call-overload]
                train_logistic_regression(wide, Y, 0.1, 1, batch_size=FOLD_ROWS, shuffle=False)
            predict(X, W, b)
            A = forward_pass(X, W, b)
            compute_gradients(X, Y, A)
            compute_cost(A, Y)
            sigmoid(A)
