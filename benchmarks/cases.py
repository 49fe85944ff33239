"""Data and fits that the benchmarks share, and all that the gate knows of this project.

Results are checked before anything is timed.

Another project can copy `gate.py`, `gate_worker.py`, `gate_runs.py`, `verdicts.py`, `paired.py`, `halving.py` and
`history.py` as they are, and write this file anew. They need `PACKAGE`, `CASES`, `SHORT`, `make_files`, `prepare`,
`input_bytes` and `cost_of`. A case needs `calls`, the number of calls that are timed together. At import, this file
must not import the package, since the gate's workers choose its revision first.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

#: The package that the gate imports.
PACKAGE = "jitlogit"
FEATURES = (10, 28, 100, 784, 2000)
DTYPES = ("float32", "float64")
EPOCHS = 10
LEARNING_RATE = 0.01
# Greatest difference from the reference after a few updates, relative to the largest weight.
TOLERANCE = {"float32": 2e-5, "float64": 1e-12}
# Rows that a model's cost is computed on.
_ROWS_FOR_COST = 20_000
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


def arguments(batch_size: int | None, shuffle: bool | str, epochs: int = EPOCHS) -> dict[str, Any]:
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
    import jitlogit
    from jitlogit import reference

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


class Case(NamedTuple):
    """What the gate times: a fit, or a pass with given weights."""

    n: int
    dtype: str = "float32"
    order: str = "C"
    function: str = "train_logistic_regression"
    options: dict[str, Any] = {}  # noqa: RUF012
    calls: int = 1  # number of calls that are timed together


def training(epochs: int, batch_size: int | None, shuffle: bool | str = False, **more: Any) -> dict[str, Any]:
    return {**arguments(batch_size, shuffle, epochs), **more}


# Together, the cases use every kernel, storage and walk. Each takes 3 to 10 ms at 16 MB on Zen 4. The runs are short
# and alternate, so that changes of the machine's speed affect all workers alike.
CASES = {
    "batch 1, n=28": Case(28, options=training(1, 1)),
    "batch 32 of shuffled rows, n=100": Case(100, options=training(2, 32, shuffle=True)),
    "batch 256, n=28": Case(28, options=training(5, 256)),
    "batch 256 in blocks, n=784": Case(784, options=training(5, 256, shuffle="blocks")),
    "batch 4096, n=784": Case(784, options=training(8, 4096)),
    "full batch, n=100, float64": Case(100, "float64", options=training(5, None)),
    "batch 256, n=784, uint8 / 255": Case(784, "uint8", options=training(4, 256, scale=255.0)),
    "batch 32, n=28, F order": Case(28, order="F", options=training(2, 32)),
    "batch 64, n=100, F order": Case(100, order="F", options=training(4, 64)),
    "batch 1024, n=100, F order": Case(100, order="F", options=training(5, 1024)),
    "packed, batch 256, n=5": Case(5, options=training(16, 256)),
    "forward_pass, n=100": Case(100, function="forward_pass", calls=4),
    "compute_gradients, n=100": Case(100, function="compute_gradients", calls=4),
}


SHORT = ("batch 32 of shuffled rows, n=100", "batch 256, n=28", "batch 4096, n=784", "forward_pass, n=100")


def data_name(case: Case) -> str:
    return f"{case.n}-{case.dtype}-{case.order}"


def make_files(folder: Path, cases: dict[str, Case], megabytes: float) -> None:
    """Write the data of the cases, once for all workers, which map the files."""
    for case in cases.values():
        path = folder / f"{data_name(case)}.npy"
        if path.exists():
            continue
        m = max(5000, int(megabytes * 1e6) // (case.n * np.dtype(case.dtype).itemsize))
        rng = np.random.default_rng(0)
        X = rng.standard_normal((m, case.n), dtype=np.float32)
        y = (X[:, : min(case.n, 10)].sum(axis=1) + rng.standard_normal(m) > 0).astype(np.uint8)
        if case.dtype == "uint8":
            X = np.clip(X * 40 + 128, 0, 255)
        np.save(path, np.asarray(X, dtype=case.dtype, order=case.order))  # type: ignore[call-overload]
        np.save(folder / f"{data_name(case)}-labels.npy", y)


def prepare(jitlogit: Any, case: Case, folder: Path) -> Callable[[], Any]:
    """Return the function to be timed, after a call that compiles what it needs."""
    X = np.load(folder / f"{data_name(case)}.npy", mmap_mode="r")
    y = np.load(folder / f"{data_name(case)}-labels.npy")
    function = getattr(jitlogit, case.function)
    W = np.linspace(-1, 1, case.n, dtype=np.float32) / case.n
    arguments: tuple[Any, ...] = (X, y)
    if case.function == "forward_pass":
        arguments = X, W, 0.5
    elif case.function == "compute_gradients":
        arguments = X, y, jitlogit.forward_pass(X, W, 0.5)
    options = case.options

    def run() -> Any:
        return function(*arguments, **options)

    run()
    return run


def input_bytes(case: Case, folder: Path) -> int:
    return (folder / f"{data_name(case)}.npy").stat().st_size


def cost_of(case: Case, folder: Path, run: Callable[[], Any]) -> float | None:
    """Mean loss of a fit's model, computed here and not by the revision."""
    if case.function != "train_logistic_regression":
        return None
    W, b, _ = run()
    X = np.load(folder / f"{data_name(case)}.npy", mmap_mode="r")[:_ROWS_FOR_COST]
    y = np.load(folder / f"{data_name(case)}-labels.npy")[:_ROWS_FOR_COST]
    z = X.astype(np.float64) / case.options.get("scale", 1.0) @ np.asarray(W, np.float64).ravel() + b
    return float(np.mean(np.logaddexp(0, z) - y * z))
