"""Compare linear probes, which are classifiers on byte images and on half-precision embeddings, with scikit-learn's.

There are 60,000 images of 28 x 28 bytes in 10 classes: mnist_63k from `--data FOLDER`, else generated ones. There are
200,000 embeddings of 512 float16 in 100 classes. Ours trains on the data as they are. scikit-learn's LogisticRegression
(lbfgs, at most 100 iterations) needs a scaled float32 copy. It takes minutes, and `--alone` leaves it out. Each runs in
its own process, whose peak memory beyond the data is shown.

    python -m benchmarks probe
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
import warnings
from argparse import SUPPRESS, Namespace
from pathlib import Path

import numpy as np
from options import Parser, replace_table


def images(folder: Path | None) -> tuple[np.ndarray, ...]:
    if folder:
        found = np.load(folder / "mnist_63k" / "mnist_63k.npz")
        X, y = found["X"].reshape(len(found["y"]), -1), found["y"].astype(np.int64)
        return X[:60_000], y[:60_000], X[60_000:], y[60_000:]
    rng = np.random.default_rng(0)
    strokes = rng.random((10, 784)) ** 4
    y = rng.integers(10, size=63_000)
    X = np.empty((63_000, 784), np.uint8)
    for start in range(0, 63_000, 1000):
        part = strokes[y[start : start + 1000]] + rng.normal(0, 0.5, (1000, 784))
        X[start : start + 1000] = np.clip(part, 0, 1) * 255
    return X[:60_000], y[:60_000], X[60_000:], y[60_000:]


def embeddings(folder: Path | None) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((100, 512)) * 0.12
    y = rng.integers(100, size=210_000)
    X = np.empty((210_000, 512), np.float16)
    for start in range(0, 210_000, 5000):
        X[start : start + 5000] = centres[y[start : start + 5000]] + rng.standard_normal((5000, 512), np.float32)
    return X[:200_000], y[:200_000], X[200_000:], y[200_000:]


SETS = {"images": images, "embeddings": embeddings}
DESCRIBED = {
    "images": "60,000 images of 784 bytes, 10 classes",
    "embeddings": "200,000 embeddings of 512 float16, 100 classes",
}


def probe(which: str, name: str, folder: Path | None, size: float) -> dict[str, float]:
    X, y, X_test, y_test = SETS[name](folder)
    X, y = X[: int(len(y) * size)], y[: int(len(y) * size)]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if which == "jitlogit":
        from jitlogit import MiniBatchLogisticRegression

        model = MiniBatchLogisticRegression(random_state=0, max_iter="auto" if size >= 1 else 5)
        few = min(2000, len(y))
        model.fit(X[:few], np.arange(few) % len(np.unique(y)))  # compiles
        start = time.perf_counter()
        model.fit(X, y)
    else:
        from sklearn.linear_model import LogisticRegression

        model = LogisticRegression(C=1 / (1e-4 * len(y)))
        start = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if X.dtype == np.uint8:
                X, X_test = np.float32(X) / 255, np.float32(X_test) / 255
            model.fit(X.astype(np.float32, copy=False), y)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    accuracy = float(np.mean(model.predict(X_test.astype(np.float32)) == y_test))
    return {"seconds": seconds, "accuracy": accuracy, "megabytes": (peak - before) / 1024}


QUICK = ("--size 0.02",)


def add_options(parser: Parser) -> None:
    parser.add_data()
    parser.add_alone()
    parser.add_size("all rows that are trained on")
    parser.add_readme()
    parser.add_argument("--one", nargs=2, help=SUPPRESS)


def run(given: Namespace) -> int:
    if given.one:
        print(json.dumps(probe(*given.one, given.data, given.size)))
        return 0
    data = ["--data", str(given.data)] if given.data else []
    lines = ["| data | classifier | seconds | accuracy | MB beyond the data |", "|---|---|---|---|---|"]
    for name in SETS:
        for which in ("jitlogit",) if given.alone else ("jitlogit", "scikit-learn"):
            command = [sys.executable, str(Path(__file__).parent), "probe", "--one", which, name]
            command += ["--size", str(given.size), *data]
            found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            print(
                f"{name:10s} {which:12s} {found['seconds']:7.2f} s, accuracy {found['accuracy']:.4f}, "
                f"{found['megabytes']:6.0f} MB beyond the data",
                flush=True,
            )
            figures = f"{found['seconds']:.2f} | {found['accuracy']:.4f} | {found['megabytes']:.0f}"
            lines.append(f"| {DESCRIBED[name]} | {which} | {figures} |")
    replace_table(given.readme, "probe: made by benchmarks/probe.py", "probe: end", "\n".join(lines))
    return 0
