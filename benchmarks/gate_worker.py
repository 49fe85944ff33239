"""The gate's worker: a process that runs cases on request, with one revision of the package.

`gate.py` starts it with the folder in which the revision is installed and the folder that holds the data. Requests and
answers are lines of JSON on standard input and output.
"""

from __future__ import annotations

import ctypes
import gc
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

_ROWS_FOR_COST = 20_000


class Case(NamedTuple):
    """A fit, or a pass with given weights, on data of about `GATE_MEGABYTES`."""

    n: int
    dtype: str = "float32"
    order: str = "C"
    function: str = "train_logistic_regression"
    options: dict[str, Any] = {}  # noqa: RUF012
    calls: int = 1  # number of calls that are timed together


def training(epochs: int, batch_size: int | None, **options: Any) -> dict[str, Any]:
    return {
        "learning_rate": 0.01,
        "num_iterations": epochs,
        "batch_size": batch_size,
        "shuffle": False,
        "random_state": 0,
        "record_every": epochs,
        **options,
    }


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


def peak_of(run: Callable[[], Any]) -> int | None:
    """Bytes by which resident memory rose at most during a call, None where the system doesn't say."""
    gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")
        before = _status("VmRSS")
        run()
        return max(0, _status("VmHWM") - before)
    except (OSError, AttributeError, StopIteration):
        return None


def _status(word: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{word}:"))


def cost_of(case: Case, folder: Path, run: Callable[[], Any]) -> float | None:
    """Mean loss of a fit's model, computed here and not by the revision."""
    if case.function != "train_logistic_regression":
        return None
    W, b, _ = run()
    X = np.load(folder / f"{data_name(case)}.npy", mmap_mode="r")[:_ROWS_FOR_COST]
    y = np.load(folder / f"{data_name(case)}-labels.npy")[:_ROWS_FOR_COST]
    z = X.astype(np.float64) / case.options.get("scale", 1.0) @ np.asarray(W, np.float64).ravel() + b
    return float(np.mean(np.logaddexp(0, z) - y * z))


def main() -> None:
    installed, folder = sys.argv[1], Path(sys.argv[2])
    sys.path.insert(0, installed)
    import jitlogit

    if not Path(jitlogit.__file__).is_relative_to(installed):
        raise SystemExit(f"jitlogit came from {jitlogit.__file__}, not from {installed}")
    runs: dict[str, Callable[[], Any]] = {}
    for line in sys.stdin:
        request = json.loads(line)
        name = request["case"]
        answer: dict[str, Any] = {}
        try:
            if request["do"] == "prepare":
                runs[name] = prepare(jitlogit, CASES[name], folder)
                answer = {"peak": peak_of(runs[name]), "cost": cost_of(CASES[name], folder, runs[name])}
            else:
                start = time.perf_counter()
                for _ in range(CASES[name].calls):
                    runs[name]()
                answer = {"seconds": time.perf_counter() - start}
        except Exception as error:  # a revision's error is its result
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
