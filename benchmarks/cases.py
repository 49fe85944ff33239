"""Data and fits that the benchmarks share. Results are checked before anything is timed."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

import jitlogit
from jitlogit import reference

FEATURES = (10, 28, 100, 784, 2000)
DTYPES = ("float32", "float64")
EPOCHS = 10
LEARNING_RATE = 0.01
# Greatest difference from the reference after a few updates, relative to the largest weight.
TOLERANCE = {"float32": 2e-5, "float64": 1e-12}
# Before a measurement, wait until NumPy's BLAS threads have stopped spinning after their last product. Then keep the
# core busy, since a core that slept takes milliseconds to get up to speed.
_SETTLE_SECONDS, _WAKE_SECONDS = 0.1, 0.03


def settle() -> None:
    """Before what is timed: wait until other threads are at rest and this core is awake."""
    time.sleep(_SETTLE_SECONDS)
    end = time.perf_counter() + _WAKE_SECONDS
    while time.perf_counter() < end:
        pass


def make_data(n: int, dtype: str, megabytes: float, order: str = "C") -> tuple[np.ndarray, np.ndarray]:
    """Return X of about `megabytes` with standard normal features, and labels (1, m) that depend on them."""
    m = max(64, int(megabytes * 1e6) // (n * np.dtype(dtype).itemsize))
    rng = np.random.default_rng(0)
    X = rng.standard_normal((m, n), dtype=dtype)
    Y = (X[:, : min(n, 10)].sum(axis=1) + rng.standard_normal(m) > 0).astype(np.uint8).reshape(1, -1)
    return np.asarray(X, order=order), Y


def arguments(batch_size: int | None, shuffle: bool, epochs: int = EPOCHS) -> dict[str, Any]:
    return {
        "learning_rate": LEARNING_RATE,
        "num_iterations": epochs,
        "batch_size": batch_size,
        "shuffle": shuffle,
        "random_state": 0,
        "record_every": epochs,
    }


def check_equal(X: np.ndarray, Y: np.ndarray, batch_size: int | None, shuffle: bool) -> None:
    """Raise if fast and reference don't agree on (a part of) the data; compiles the kernels on the way."""
    if batch_size is None:
        rows = X.shape[0]
    else:
        rows = min(X.shape[0], max(3 * batch_size, 512) + 1)
    part = np.asarray(X[:rows], order="F" if X.flags.f_contiguous else "C"), Y[:, :rows]
    options = arguments(batch_size, shuffle, epochs=2)
    # float64, since NumPy's float32 sums over millions of rows have errors above the tolerance.
    slow_W, slow_b, _ = reference.train_logistic_regression(part[0].astype(np.float64), part[1], **options)
    W, b, _ = jitlogit.train_logistic_regression(*part, **options)
    error = max(np.max(np.abs(W - slow_W)) / np.max(np.abs(slow_W)), abs(b - slow_b))
    if not error <= TOLERANCE[str(X.dtype)]:
        raise AssertionError(f"fast and reference differ by {error} at n={X.shape[1]}, batch_size={batch_size}")
