"""Seconds that a fresh process spends before its first model: import, first fit uncached, first fit cached.

Each figure comes from its own processes, with their own kernel cache.

    python -m benchmarks coldstart
    python -m benchmarks coldstart --after-warmup

The latter runs `jitlogit warmup --all --dtypes float32` with an empty cache, or in `--cache FOLDER`, then first and
second fits of twelve kinds, each in a process of its own. It fails if a kernel is compiled then, or a result is wrong.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from argparse import Namespace

from options import Parser, write_json

IMPORT = "import time; start = time.perf_counter(); import {module}; print(time.perf_counter() - start)"
FIRST_FIT = """
import time
start = time.perf_counter()
import numpy as np, jitlogit
imported = time.perf_counter()
X = np.random.default_rng(0).standard_normal((20_000, 100), np.float32)
Y = X[:, 0] > 0
made = time.perf_counter()
jitlogit.train_logistic_regression(X, Y, 0.1, 2, batch_size={batch_size})
print(imported - start + time.perf_counter() - made)
"""

# Kind of fit: rows, features, classes; how X is made of float32 rows in C order; what is fitted.
_SPARSE = "csr_array(np.where(np.abs(X) > 1, X, 0))"
_AFTER_WARMUP = {
    "function, 600 rows": (600, 8, 2, "X", "function(X, y, 0.1, 20, random_state=0)"),
    "function, all threads, one batch": (60_000, 40, 2, "X", "function(X, y, 0.5, 20)"),
    "function, F order, batches of 32": (
        20_000,
        30,
        2,
        "np.asfortranarray(X)",
        "function(X, y, 0.1, 2, batch_size=32, random_state=0)",
    ),
    "LogisticRegression, 600 rows": (600, 8, 2, "X", "LogisticRegression().fit(X, y)"),
    "LogisticRegression, 60,000 rows": (60_000, 60, 2, "X", "LogisticRegression().fit(X, y)"),
    "LogisticRegression, 5 classes, F order, balanced": (
        20_000,
        40,
        5,
        "np.asfortranarray(X)",
        "LogisticRegression(class_weight='balanced').fit(X, y)",
    ),
    "LogisticRegression, L1, weights": (
        20_000,
        30,
        2,
        "X",
        "LogisticRegression(C=0.1, l1_ratio=1, tol=1e-3).fit(X, y, np.ones(len(y)))",
    ),
    "LogisticRegression, sparse": (20_000, 50, 2, _SPARSE, "LogisticRegression().fit(X, y)"),
    "MiniBatch, adam": (20_000, 300, 2, "X", "MiniBatch(random_state=0).fit(X, y)"),
    "MiniBatch, 3 classes, F order, early stopping, balanced": (
        20_000,
        20,
        3,
        "np.asfortranarray(X)",
        "MiniBatch(early_stopping=True, class_weight='balanced', random_state=0).fit(X, y)",
    ),
    "MiniBatch, sparse": (20_000, 50, 2, _SPARSE, "MiniBatch(random_state=0).fit(X, y)"),
    "partial_fit, 3 classes": (20_000, 30, 3, "X", "MiniBatch(random_state=0).partial_fit(X, y, [0, 1, 2])"),
}
_FITS = """
import json, time
import numpy as np
import jitlogit
from jitlogit import LogisticRegression, MiniBatchLogisticRegression as MiniBatch
from jitlogit.compiler.news import counts
from scipy.sparse import csr_array

rng = np.random.default_rng(0)
X = rng.standard_normal(({m}, {n}), np.float32)
y = (X @ rng.standard_normal(({n}, {n_classes}))).argmax(axis=1)
X = {made}


class function:
    def __init__(self, *given, **options):
        self.fitted = jitlogit.train_logistic_regression(*given, **options)

    def predict(self, X):
        return jitlogit.predict(X, *self.fitted[:2]).ravel()


seconds, accuracies, processor = [], [], []
for _ in range(2):
    start, used = time.perf_counter(), time.process_time()
    predicted = ({fit}).predict(X)
    seconds.append(time.perf_counter() - start)
    processor.append(time.process_time() - used)
    accuracies.append(float(np.mean(predicted == y)))
print(json.dumps(seconds + accuracies + [processor[0] - processor[1], counts()[0]]))
"""
# What each kind of fit reaches at least on these data, whose classes are separable (three quarters for absolute values
# below 1 left out), and the seconds that a first fit may take longer than a second.
_LEAST_ACCURACY, _MOST_SECONDS = 0.75, 0.3


def after_warmup(folder: str | None) -> bool:
    """Print a table of first and second fits; return whether all are right and compiled nothing."""
    right = True
    with tempfile.TemporaryDirectory() as empty:
        environment = os.environ | {"NUMBA_CACHE_DIR": folder or empty}
        print(output([sys.executable, "-m", "jitlogit", "warmup", "--all", "--dtypes", "float32"], environment))
        print(
            "| kind | first fit, s | second fit, s | difference, s | accuracy | compiled |\n|---|---|---|---|---|---|"
        )
        for kind, (m, n, n_classes, made, fit) in _AFTER_WARMUP.items():
            code = _FITS.format(m=m, n=n, n_classes=n_classes, made=made, fit=fit)
            first, second, accuracy, again, processor, compiled = json.loads(
                output([sys.executable, "-c", code], environment)
            )
            late = " (too much)" if first - second > _MOST_SECONDS else ""
            print(
                f"| {kind} | {first:.3f} | {second:.3f} | {first - second:.3f}{late} | {processor:.3f} "
                f"| {accuracy:.3f} | {compiled} |",
                flush=True,
            )
            right &= accuracy == again and accuracy >= _LEAST_ACCURACY and compiled == 0
    return right


def output(command: list[str], environment: dict[str, str]) -> str:
    return subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout


def seconds(code: str, cache: str) -> float:
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"NUMBA_CACHE_DIR": cache},
        capture_output=True,
        text=True,
        check=True,
    )
    return float(done.stdout)


def measure(rounds: int) -> dict[str, float]:
    """Return medians over `rounds` fresh processes; the two imports are measured in turn."""
    with tempfile.TemporaryDirectory() as cache:
        imports: dict[str, list[float]] = {"numba": [], "jitlogit": []}
        for _ in range(rounds):
            for module, times in imports.items():
                times.append(seconds(IMPORT.format(module=module), cache))
        result = {f"import {module}": statistics.median(times) for module, times in imports.items()}
        result["import jitlogit beyond numba"] = statistics.median(
            ours - numba for ours, numba in zip(imports["jitlogit"], imports["numba"], strict=True)
        )
    for kind, batch_size in (("serial", 32), ("parallel", None)):
        code = FIRST_FIT.format(batch_size=batch_size)
        uncached = []
        for _ in range(max(1, rounds // 3)):
            with tempfile.TemporaryDirectory() as cache:
                uncached.append(seconds(code, cache))
                cached = [seconds(code, cache) for _ in range(rounds)]
        result[f"first fit, {kind} kernel, nothing cached"] = statistics.median(uncached)
        result[f"first fit, {kind} kernel, cached"] = statistics.median(cached)
    return result


QUICK = ("--rounds 1",)


def add_options(parser: Parser) -> None:
    parser.add_rounds(9)
    parser.add_json()
    parser.add_argument("--after-warmup", action="store_true", help="first fits after `jitlogit warmup`")
    parser.add_argument("--cache", metavar="FOLDER", help="with --after-warmup; an empty one unless given")


def run(given: Namespace) -> int:
    if given.after_warmup:
        return 0 if after_warmup(given.cache) else 1
    result = measure(given.rounds)
    for name, value in result.items():
        print(f"{name:45s} {value:7.3f} s")
    write_json(given.json, result)
    return 0
