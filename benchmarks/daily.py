"""Measure what users meet first: tables in F order, and training that ends by itself.

- tables: a default fit on an F-ordered array and on a DataFrame, in multiples of the same fit in C order (median of
  ratios of alternating fits; the coefficients must be the same)
- stopping: default fits on separable and noisy sets: epochs that were run for each one that is counted, seconds, and
  the accuracy on held-out rows beside that of the best of 200 epochs

    python -m benchmarks daily
"""

from __future__ import annotations

import statistics
import time
from argparse import Namespace
from typing import Any

import numpy as np
import pandas
from options import Parser, write_json
from sklearn.datasets import load_digits, load_wine, make_blobs

from jitlogit import MiniBatchLogisticRegression

SHAPES = ((200_000, 40, 2), (20_000, 500, 2), (2000, 600, 20))


def softmax_data(m: int, n: int, classes: int, dtype: str, noise: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((m, n)).astype(dtype)
    scores = X @ rng.standard_normal((n, classes)).astype(dtype) * (3 / np.sqrt(n))
    return X, (scores + noise * rng.gumbel(size=scores.shape)).argmax(axis=1)


def tables(rounds: int, size: float) -> dict[str, float]:
    found = {}
    for m, n, classes in SHAPES:
        for dtype in ("float32", "float64"):
            X, y = softmax_data(int(m * size), n, classes, dtype)
            turned = np.asfortranarray(X)
            forms: dict[str, Any] = {"C": X, "F": turned, "DataFrame": pandas.DataFrame(turned, copy=False)}
            seconds: dict[str, list[float]] = {name: [] for name in forms}
            coefficients = {}
            for number in range(rounds + 1):  # the first round compiles
                for name, rows in forms.items():
                    model = MiniBatchLogisticRegression(random_state=0)
                    start = time.perf_counter()
                    coefficients[name] = model.fit(rows, y).coef_
                    if number:
                        seconds[name].append(time.perf_counter() - start)
            scale = np.abs(coefficients["C"]).max()
            if not all(np.abs(each - coefficients["C"]).max() <= 1e-3 * scale for each in coefficients.values()):
                raise AssertionError("the forms of X give different coefficients")
            for name in ("F", "DataFrame"):
                ratios = [a / b for a, b in zip(seconds[name], seconds["C"], strict=True)]
                found[f"{name} / C, {X.shape[0]} x {n} {dtype}, {classes} classes"] = statistics.median(ratios)
    return found


def isolet_like(spread: float) -> tuple[np.ndarray, np.ndarray]:
    """1,560 rows to train on and 520 to test on, of 617 bounded features that depend on 60; 26 classes, separable."""
    rng = np.random.default_rng(0)
    m, n, classes, hidden = 2080, 617, 26, 60
    y = rng.permutation(np.arange(m) % classes)
    centres, mixing = rng.standard_normal((classes, hidden)), rng.standard_normal((hidden, n)) / 8
    X = (centres[y] + spread * rng.standard_normal((m, hidden))) @ mixing + 0.3 * rng.standard_normal((m, n))
    return np.tanh(X).astype(np.float32), y


def sets() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    found = {f"Isolet-like, spread {spread}": isolet_like(spread) for spread in (0.9, 1.6, 2.2)}
    found |= {"digits": load_digits(return_X_y=True), "wine": load_wine(return_X_y=True)}
    found |= {
        f"blobs {seed}": make_blobs(100 + 20 * seed, 5 + 20 * seed, centers=2 + seed % 5, random_state=seed)
        for seed in range(20)
    }
    found["2 classes with noise"] = softmax_data(2000, 20, 2, "float64")
    found["4 classes with noise"] = softmax_data(5000, 50, 4, "float64", 2.0)
    return found


def stopping(rounds: int, size: float) -> dict[str, float]:
    found, ratios = {}, []
    for name, (X, y) in sets().items():
        if size < 1 and name not in ("wine", "blobs 3"):
            continue
        train = np.arange(y.size) < 0.75 * y.size if "Isolet" in name else np.arange(y.size) % 4 > 0
        seen: list[int] = []
        model = MiniBatchLogisticRegression(random_state=0, callbacks=lambda state, seen=seen: seen.append(1))
        seconds = []
        for _ in range(rounds + 1):
            seen.clear()
            start = time.perf_counter()
            model.fit(X[train], y[train])
            seconds.append(time.perf_counter() - start)
        ratios.append((len(seen) + sum(model.history_["undone"])) / model.n_iter_)
        if name.startswith("blobs"):
            continue
        whole = MiniBatchLogisticRegression(random_state=0, tol=None, max_iter=200 if size >= 1 else 30)
        whole.fit(X[train], y[train], eval_set=(X[~train], y[~train]))
        found[f"seconds, {name}"] = statistics.median(seconds[1:])
        found[f"epochs, {name}"] = model.n_iter_
        found[f"accuracy, {name}"] = model.score(X[~train], y[~train])
        found[f"accuracy of the best epoch, {name}"] = max(whole.history_["val_accuracy"])
    found["epochs run / counted, median"], found["epochs run / counted, most"] = statistics.median(ratios), max(ratios)
    return found


PARTS = {"tables": tables, "stopping": stopping}


QUICK = ("--rounds 1 --size 0.02",)


def add_options(parser: Parser) -> None:
    parser.add_parts(PARTS)
    parser.add_rounds(7)
    parser.add_size("all rows of `tables`, and all sets of `stopping`: below 1, two sets")
    parser.add_json()


def run(given: Namespace) -> int:
    found: dict[str, float] = {}
    for part in given.parts or PARTS:
        part_found = PARTS[part](given.rounds, given.size)
        found |= part_found
        for name, value in part_found.items():
            print(f"{value:9.3f}  {name}", flush=True)
    write_json(given.json, found)
    return 0
