"""Compare epochs of softmax regression with PyTorch by hand and JAX, in turn in one process, on the same data.

All run the same updates: plain gradient descent, batches of 256 rows in order, float32. First, their weights must
agree. PyTorch and JAX (one compiled scan) choose their number of threads; ours takes two at most.

    python -m benchmarks softmax
"""

from __future__ import annotations

import statistics
import time
from argparse import Namespace
from collections.abc import Callable
from typing import Any

import numpy as np
from options import Parser, write_json

import jitlogit

BATCH = 256
RATE = 0.01
CELLS = ((784, 10), (512, 100), (28, 10))
Run = Callable[[], np.ndarray]


def ours(X: np.ndarray, y: np.ndarray, classes: int, threads: int | None) -> Run:
    def run() -> np.ndarray:
        options: dict[str, Any] = {"batch_size": BATCH, "shuffle": False, "n_classes": classes, "n_threads": threads}
        return jitlogit.train_softmax_regression(X, y, RATE, 1, record_every=10, **options)[0]

    return run


def torch_by_hand(X: np.ndarray, y: np.ndarray, classes: int) -> Run:
    import torch

    features, labels = torch.from_numpy(X), torch.from_numpy(y)
    step, rows = RATE / BATCH, torch.arange(BATCH)

    @torch.no_grad()
    def run() -> np.ndarray:
        w, b = torch.zeros(X.shape[1], classes), torch.zeros(classes)
        for start in range(0, len(y), BATCH):
            x = features[start : start + BATCH]
            r = torch.softmax(torch.addmm(b, x, w), dim=1)
            r[rows, labels[start : start + BATCH]] -= 1
            w.addmm_(x.T, r, alpha=-step)
            b.sub_(r.sum(dim=0), alpha=step)
        return w.numpy()

    return run


def jax_scan(X: np.ndarray, y: np.ndarray, classes: int) -> Run:
    import jax
    import jax.numpy as jnp

    features = jnp.asarray(X).reshape(-1, BATCH, X.shape[1])
    labels = jnp.asarray(y).reshape(-1, BATCH)
    step = np.float32(RATE / BATCH)

    @jax.jit
    def sweep(features: Any, labels: Any) -> Any:
        def update(parameters: Any, batch: Any) -> Any:
            w, b = parameters
            x, target = batch
            r = jax.nn.softmax(x @ w + b) - jax.nn.one_hot(target, classes, dtype=x.dtype)
            return (w - step * (x.T @ r), b - step * r.sum(axis=0)), None

        start = jnp.zeros((X.shape[1], classes), X.dtype), jnp.zeros(classes, X.dtype)
        return jax.lax.scan(update, start, (features, labels))[0][0]

    return lambda: np.asarray(sweep(features, labels).block_until_ready())


RIVALS = {"PyTorch": torch_by_hand, "JAX": jax_scan}


def measure(n: int, classes: int, megabytes: float, rounds: int) -> dict[str, float]:
    """Seconds of an epoch, medians, by name."""
    m = max(2, int(megabytes * 1e6 / (4 * n * BATCH))) * BATCH
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((m, n), np.float32), rng.integers(classes, size=m)
    runs = {"jitlogit": ours(X, y, classes, None), "jitlogit, one thread": ours(X, y, classes, 1)}
    for name, make in RIVALS.items():
        try:
            runs[name] = make(X, y, classes)
        except ImportError:
            print(f"  {name}: not installed")
    expected = runs["jitlogit"]()
    for name, run in runs.items():
        weights = run()
        error = np.abs(weights - expected).max() / np.abs(expected).max()
        if not error < 1e-3:
            raise AssertionError(f"{name} ends elsewhere, by {error:.1e}")
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            time.sleep(0.02)
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in seconds.items()} | {"rows": m}


QUICK = ("--size 0.04 --rounds 1",)


def add_options(parser: Parser) -> None:
    parser.add_size("100 MB of X")
    parser.add_rounds(7)
    parser.add_json()


def run(given: Namespace) -> int:
    result = {}
    for n, classes in CELLS:
        found = result[f"n={n}, K={classes}"] = measure(n, classes, 100 * given.size, given.rounds)
        fastest = min((name for name in found if name in RIVALS), key=found.__getitem__, default=None)
        rows = found["rows"]
        line = ", ".join(f"{name} {1e6 * found[name] / rows:.3f}" for name in found if name != "rows")
        gain = f": {found[fastest] / found['jitlogit']:.2f}x {fastest}" if fastest else ""
        print(f"n={n}, K={classes}, batch {BATCH}, us a row: {line}{gain}", flush=True)
    write_json(given.json, result)
    return 0
