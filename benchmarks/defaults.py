"""Compare the estimator's defaults on raw data with the optimum and scikit-learn's classifiers: loss, accuracy, time.

The optimum is scikit-learn's converged LogisticRegression on standardised data, for the same alpha. A fit is good
enough if two conditions hold. Its mean training loss is at most 1.02 times the optimum's plus 0.01. Its accuracy on
held-out rows is at most half a point lower, or a point lower below 1,000 rows.

The time is the median of the shortest fit that is good enough. Ours trains on raw data for 1, 2, 3, 5 or 10 epochs.
SGDClassifier trains on standardised data for the same numbers of epochs, with each schedule. LogisticRegression (lbfgs,
default tolerance) trains on standardised data too. Standardising isn't timed, and fits run in turn.

    python -m benchmarks defaults --data FOLDER

FOLDER holds the sets a9a, bank_full, covtype_20k, mnist_63k and news20_bydate. Without it, only generated sets and
those that scikit-learn ships are measured.
"""

from __future__ import annotations

import statistics
import time
import warnings
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from options import Parser, write_json
from scipy import sparse
from sklearn import datasets
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.preprocessing import StandardScaler

from jitlogit import MiniBatchLogisticRegression

ALPHA = 1e-4
LARGE = 20_000
EPOCHS = (1, 2, 3, 5, 10)
SCHEDULES: dict[str, dict[str, Any]] = {
    "optimal": {},
    "invscaling": {"learning_rate": "invscaling", "eta0": 0.1},
    "adaptive": {"learning_rate": "adaptive", "eta0": 0.01},
    "constant": {"learning_rate": "constant", "eta0": 0.001},
}


class Data(NamedTuple):
    """Rows to train on, and to test on."""

    X: Any  # an array, or SciPy's CSR
    y: np.ndarray
    X_test: Any
    y_test: np.ndarray


def split(X: np.ndarray, y: np.ndarray, part: float = 0.75) -> Data:
    order = np.random.default_rng(0).permutation(len(y))
    count = int(part * len(y))
    return Data(X[order[:count]], y[order[:count]], X[order[count:]], y[order[count:]])


def shipped(load: Callable[..., Any]) -> Callable[[Path], Data]:
    return lambda folder: split(*load(return_X_y=True))


def a9a(folder: Path) -> Data:
    parts: list[Any] = []
    for name in ("a9a", "a9a.t"):
        X, y = datasets.load_svmlight_file(str(folder / "a9a" / name), n_features=123, dtype=np.float32)
        # SGDClassifier takes no other dtype of indices.
        X.indices, X.indptr = X.indices.astype(np.int32), X.indptr.astype(np.int32)
        parts += [X, y > 0]
    return Data(*parts)


def news20(folder: Path) -> Data:
    X = sparse.load_npz(folder / "news20_bydate" / "counts_csr.npz").astype(np.float32)
    labels = np.load(folder / "news20_bydate" / "labels.npz")
    first = labels["split"] == "train"
    y = labels["y"].astype(int)
    return Data(X[first], y[first], X[~first], y[~first])


def covtype(folder: Path, two: bool) -> Data:
    table = np.loadtxt(folder / "covtype_20k" / "covtype.20k.data", delimiter=",", dtype=np.float32)
    y = table[:, -1].astype(int)
    X = table[:, :-1]
    return Data(X, y == 2 if two else y, X, y == 2 if two else y)


def mnist(folder: Path) -> Data:
    found = np.load(folder / "mnist_63k" / "mnist_63k.npz")
    X, y = found["X"].reshape(len(found["y"]), -1), found["y"].astype(int)
    return Data(X[:60_000], y[:60_000], X[60_000:], y[60_000:])


def bank(folder: Path) -> Data:
    import pandas

    table = pandas.read_csv(folder / "bank_full" / "bank-full.csv", header=None, sep=None, engine="python")
    y = table.iloc[:, -1].astype(str).str.contains("yes").to_numpy()
    return split(pandas.get_dummies(table.iloc[:, :-1]).to_numpy(np.float32), y)


def generated(kind: str) -> Callable[[Path], Data]:
    def make(folder: Path) -> Data:
        rng = np.random.default_rng(5)
        m, n = 60_000, 40
        X = rng.standard_normal((m, n)) @ (np.eye(n) + rng.standard_normal((n, n)) / np.sqrt(n))
        z = X @ rng.standard_normal(n) / np.sqrt(n) * 2 + (-3.2 if kind == "10 % positive" else 0.3)
        y = rng.random(m) < 1 / (1 + np.exp(-z))
        if kind == "scales 1e-3 to 1e3":
            X = X * np.logspace(-3, 3, n)
        data = split(X.astype(np.float32), y)
        if kind == "sorted by class":
            order = np.argsort(data.y, kind="stable")
            return data._replace(X=data.X[order], y=data.y[order])
        return data

    return make


SETS: dict[str, Callable[[Path], Data]] = {
    "breast cancer": shipped(datasets.load_breast_cancer),
    "wine": shipped(datasets.load_wine),
    "digits": shipped(datasets.load_digits),
    "scales 1e-3 to 1e3": generated("scales 1e-3 to 1e3"),
    "10 % positive": generated("10 % positive"),
    "sorted by class": generated("sorted by class"),
    "a9a": a9a,
    "bank_full": bank,
    "covtype_20k, 2 or not": lambda folder: covtype(folder, two=True),
    "covtype_20k, 7 classes": lambda folder: covtype(folder, two=False),
    "mnist_63k": mnist,
    "news20": news20,
}


def mean_loss(model: Any, X: np.ndarray, y: np.ndarray) -> float:
    scores = model.decision_function(X).astype(np.float64)
    if scores.ndim == 1:
        return float(np.logaddexp(0, np.where(y == model.classes_[1], -scores, scores)).mean())
    scores -= scores.max(axis=1, keepdims=True)
    places = np.searchsorted(model.classes_, y)
    return float((np.log(np.exp(scores).sum(axis=1)) - scores[np.arange(len(y)), places]).mean())


def median_seconds(runs: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}


def measure(name: str, data: Data, rounds: int) -> dict[str, Any]:
    """Figures of one set."""
    scaler = StandardScaler(with_mean=not sparse.issparse(data.X)).fit(data.X.astype(np.float64))
    Z, Z_test = (scaler.transform(X.astype(np.float64)) for X in (data.X, data.X_test))
    m = len(data.y)
    binary = len(np.unique(data.y)) == 2
    C = 1 / (ALPHA * m)
    solver, tol = ("newton-cholesky", 1e-8) if binary and Z.shape[1] < 500 else ("lbfgs", 1e-5)
    optimum = LogisticRegression(C=C, solver=solver, tol=tol, max_iter=5000).fit(Z, data.y)
    target = 1.02 * mean_loss(optimum, Z, data.y) + 0.01
    least_accuracy = optimum.score(Z_test, data.y_test) - (0.01 if m < 1000 else 0.005)

    def judge(model: Any, X: np.ndarray, X_test: np.ndarray) -> tuple[float, float, bool]:
        loss, accuracy = mean_loss(model, X, data.y), model.score(X_test, data.y_test)
        return loss, accuracy, loss <= target and accuracy >= least_accuracy - 1e-9

    default = MiniBatchLogisticRegression(random_state=0, alpha=ALPHA).fit(data.X, data.y)
    loss, accuracy, good = judge(default, data.X, data.X_test)
    raw = SGDClassifier(loss="log_loss", alpha=ALPHA, random_state=0).fit(data.X, data.y)
    raw_loss, raw_accuracy, _ = judge(raw, data.X, data.X_test)
    found: dict[str, Any] = {
        "rows": m,
        "features": data.X.shape[1],
        "classes": len(default.classes_),
        "optimum": mean_loss(optimum, Z, data.y),
        "optimum_accuracy": optimum.score(Z_test, data.y_test),
        "loss": loss,
        "accuracy": accuracy,
        "epochs": default.n_iter_,
        "good": good,
        "sgd_raw_loss": raw_loss,
        "sgd_raw_accuracy": raw_accuracy,
    }
    if m < LARGE:
        return found
    Z = Z.astype(np.float32)
    Z_test = Z_test.astype(np.float32)
    runs: dict[str, Callable[[], Any]] = {}
    for epochs in EPOCHS:
        model = MiniBatchLogisticRegression(random_state=0, alpha=ALPHA, max_iter=epochs)
        if judge(model.fit(data.X, data.y), data.X, data.X_test)[2]:
            runs["ours"] = lambda model=model: model.fit(data.X, data.y)
            found["ours_epochs"] = epochs
            break
    best = None
    for schedule, options in SCHEDULES.items():
        for epochs in (*EPOCHS, 20, 50):
            model = SGDClassifier(
                loss="log_loss", alpha=ALPHA, max_iter=epochs, tol=None, random_state=0, n_jobs=2, **options
            )
            if judge(model.fit(Z, data.y), Z, Z_test)[2]:
                if best is None or epochs < best:
                    best = epochs
                    runs["SGDClassifier"] = lambda model=model: model.fit(Z, data.y)
                    found["SGDClassifier_epochs"], found["SGDClassifier_schedule"] = epochs, schedule
                break
    lbfgs = LogisticRegression(C=C, max_iter=1000)
    runs["LogisticRegression"] = lambda: lbfgs.fit(Z, data.y)
    return found | {f"{run}_seconds": value for run, value in median_seconds(runs, rounds).items()}


def show(name: str, found: dict[str, Any]) -> str:
    line = (
        f"{name:24s} {found['rows']:6d} x {found['features']:4d}, {found['classes']:2d} classes: "
        f"loss {found['loss']:.4f} (optimum {found['optimum']:.4f}), accuracy {found['accuracy']:.4f} "
        f"({found['optimum_accuracy']:.4f}), {found['epochs']} epochs {'ok' if found['good'] else 'NOT REACHED'}; "
        f"SGDClassifier on raw data {found['sgd_raw_loss']:.3g}, {found['sgd_raw_accuracy']:.4f}"
    )
    for rival in ("SGDClassifier", "LogisticRegression"):
        if "ours_seconds" in found and f"{rival}_seconds" in found:
            ratio = found[f"{rival}_seconds"] / found["ours_seconds"]
            line += f"; {ratio:.1f}x {rival} ({found[f'{rival}_seconds']:.3f} s)"
    return line + (f"; ours {found['ours_seconds']:.4f} s" if "ours_seconds" in found else "")


QUICK = ('--sets "breast cancer" wine --rounds 1',)


def add_options(parser: Parser) -> None:
    parser.add_data()
    parser.add_sets(SETS)
    parser.add_rounds(3)
    parser.add_json()


def run(given: Namespace) -> int:
    result = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about SGDClassifier's and LogisticRegression's convergence
        for name in given.sets or SETS:
            try:
                data = SETS[name](given.data or Path())
            except (OSError, ImportError) as error:
                print(f"{name:24s} not there: {error}")
                continue
            result[name] = measure(name, data, given.rounds)
            print(show(name, result[name]), flush=True)
    write_json(given.json, result)
    return 0 if all(found["good"] for found in result.values()) else 1
