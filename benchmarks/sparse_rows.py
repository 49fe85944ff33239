"""Compare epochs over sparse rows with scikit-learn's SGDClassifier, in turn on the same CSR arrays.

An epoch's time is a tenth of the difference between fits of 11 epochs and of 1. SGDClassifier has loss "log_loss" and
the same number of threads (`n_jobs`), and trains one classifier for each class. Ours has its defaults. Neither stops
early.

    python -m benchmarks sparse_rows --data FOLDER

FOLDER holds a9a and news20_bydate. Without it, similar rows are generated.
"""

from __future__ import annotations

import statistics
import time
import warnings
from argparse import Namespace
from typing import Any

import numpy as np
from defaults import a9a, news20
from options import Parser
from scipy import sparse
from sklearn.linear_model import SGDClassifier

from jitlogit import MiniBatchLogisticRegression

EPOCHS = 10


def generated(m: int, n: int, per_row: int, classes: int) -> tuple[Any, np.ndarray]:
    rng = np.random.default_rng(0)
    indices = np.sort((n * rng.random((m, per_row)) ** 3).astype(np.int32), axis=1)
    X = sparse.csr_array(
        (np.ones(m * per_row, np.float32), indices.ravel(), per_row * np.arange(m + 1, dtype=np.int32)), shape=(m, n)
    )
    X.sum_duplicates()
    return X, rng.integers(classes, size=m)


def measure(X: Any, y: np.ndarray, rounds: int, threads: int | None) -> dict[str, list[float]]:
    """Seconds of an epoch, by name."""
    seconds: dict[str, list[float]] = {}
    for _ in range(rounds + 1):
        for name in ("jitlogit", "SGDClassifier"):
            took = []
            for epochs in (1, EPOCHS + 1):
                if name == "jitlogit":
                    model = MiniBatchLogisticRegression(max_iter=epochs, random_state=0, n_threads=threads)
                else:
                    model = SGDClassifier(loss="log_loss", max_iter=epochs, tol=None, random_state=0, n_jobs=threads)
                start = time.perf_counter()
                model.fit(X, y)
                took.append(time.perf_counter() - start)
            seconds.setdefault(name, []).append((took[1] - took[0]) / EPOCHS)
    return {name: values[1:] for name, values in seconds.items()}  # the first run compiles


QUICK = ("--rounds 1",)


def add_options(parser: Parser) -> None:
    parser.add_data()
    parser.add_rounds(5)
    parser.add_threads()


def run(given: Namespace) -> int:
    if given.data:
        sets = {name: (data.X, data.y) for name, data in (("a9a", a9a(given.data)), ("news20", news20(given.data)))}
    else:
        sets = {"like a9a": generated(32_561, 123, 14, 2), "like news20": generated(11_314, 173_762, 150, 20)}
    for name, (X, y) in sets.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            seconds = {who: statistics.median(each) for who, each in measure(X, y, given.rounds, given.threads).items()}
        print(
            f"{name:12s} {X.shape[0]} x {X.shape[1]}, {X.nnz / X.shape[0]:.0f} values a row, "
            f"{len(np.unique(y))} classes: {1e3 * seconds['jitlogit']:.2f} ms an epoch, SGDClassifier "
            f"{1e3 * seconds['SGDClassifier']:.2f}: {seconds['SGDClassifier'] / seconds['jitlogit']:.2f}x",
            flush=True,
        )
    return 0
