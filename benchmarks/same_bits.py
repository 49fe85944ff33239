"""Check that two revisions compute the same bits, by about 200 fits of all storages, dtypes, orders, rules and classes.

    python -m benchmarks same_bits BASE [HEAD]

BASE and HEAD (by default the working tree) are revisions, or folders that hold a checkout. Each fit is small, but large
enough for several chunks and batches. It is run by one thread and by two. Fits whose bits differ are listed, with the
largest relative difference of their results. Exit codes: 0 all have the same bits, 1 some differ, 2 nothing was
compared.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy as np
from options import CHECKOUT, Parser

_ROWS = 3001
_DTYPES = ("float32", "float64", "float16", "uint8")


def fits() -> dict[str, dict[str, Any]]:
    """Settings of each fit, by its name."""
    found: dict[str, dict[str, Any]] = {}

    def add(name: str, **settings: Any) -> None:
        found[name] = settings

    for dtype in _DTYPES:
        for order in "CF":
            for n in (3, 100, 300) if dtype.startswith("float") else (28,):
                for batch_size in (1, 64, 1000, None):
                    for shuffle in (True, False) if batch_size == 64 else (True,):
                        words = f"{dtype} {order} n={n} batch {batch_size} shuffle={shuffle}"
                        add(words, kind="binary", dtype=dtype, order=order, n=n, batch_size=batch_size, shuffle=shuffle)
    for n, batch_size in ((8, 64), (20, 256)):  # packed
        for order in "CF":
            options = {"num_iterations": 45, "batch_size": batch_size, "shuffle": False}
            add(f"packed {order} n={n}", kind="binary", dtype="float32", order=order, n=n, **options)
    for n in (70, 601):  # features shared out
        add(f"F blocks n={n}", kind="binary", dtype="float32", order="F", n=n, batch_size=128, shuffle="blocks")
    for optimizer in ("sgd", "momentum", "nesterov", "adagrad", "adam"):
        for more in ({}, {"alpha": 0.01, "l1_ratio": 0.5}, {"average": True, "schedule": "cosine"}):
            for sparse in (False, True):
                kind, name = ("sparse", "sparse") if sparse else ("binary", "dense")
                add(
                    f"{name} {optimizer} {more}",
                    kind=kind,
                    dtype="float32",
                    order="C",
                    n=50,
                    optimizer=optimizer,
                    **more,
                )
    for weighted in (False, True):
        for order in "CF":
            for dtype in ("float32", "float64"):
                for batch_size in (32, None):
                    words = f"{dtype} {order} weighted={weighted} batch {batch_size}"
                    settings = {"dtype": dtype, "order": order, "n": 40, "batch_size": batch_size}
                    add(f"softmax {words}", kind="softmax", weighted=weighted, **settings)
                    if weighted:
                        add(f"weighted {words}", kind="binary", weighted=True, scale=2.0, **settings)
    for classes in (2, 4):
        for sparse in (False, True):
            for solver in ("auto", "lbfgs", "newton-cg", "minibatch"):
                add(
                    f"optimum classes={classes} sparse={sparse} {solver}",
                    kind="optimum",
                    classes=classes,
                    sparse=sparse,
                    solver=solver,
                )
    add("optimum l1", kind="optimum", classes=2, sparse=False, solver="auto", l1_ratio=1.0)
    add("optimum wide", kind="optimum", classes=3, sparse=True, solver="lbfgs", n=20_000, m=600)
    for classes in (2, 5):
        add(f"estimator classes={classes}", kind="estimator", classes=classes, sparse=False)
        add(f"estimator sparse classes={classes}", kind="estimator", classes=classes, sparse=True)
    add("path", kind="path", classes=2, sparse=False)
    add("functions", kind="functions", dtype="float32", order="C", n=30)
    return found


def _data(settings: dict[str, Any]) -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(0)
    n, m = settings.get("n", 40), settings.get("m", _ROWS)
    X = rng.standard_normal((m, n))
    classes = settings.get("classes", 4 if settings["kind"] == "softmax" else 2)
    y = (X[:, :10] @ rng.standard_normal((min(n, 10), classes)) + rng.gumbel(size=(m, classes))).argmax(axis=1)
    weights = rng.random(m) if settings.get("weighted") else None
    if settings["kind"] == "sparse" or settings.get("sparse"):
        from scipy import sparse

        X[rng.random(X.shape) < (0.999 if n > 1000 else 0.8)] = 0
        return sparse.csr_array(X.astype(settings.get("dtype", "float64"))), y, weights
    dtype = settings.get("dtype", "float64")
    X = np.abs(60 * X) % 200 if dtype == "uint8" else X
    return np.asarray(X, dtype, order=settings.get("order", "C")), y, weights


def fitted(settings: dict[str, Any], n_threads: int) -> list[Any]:
    """Arrays and numbers that a fit gives."""
    import jitlogit

    kind = settings["kind"]
    X, y, weights = _data(settings)
    known = {"kind", "dtype", "order", "n", "m", "weighted", "classes", "sparse"}
    options = {name: value for name, value in settings.items() if name not in known}
    if kind in ("binary", "softmax"):
        rate = 0.1 if X.dtype != np.uint8 else 1e-5
        options = {"batch_size": 100, "num_iterations": 3, "random_state": 0, "record_every": 1} | options
        if weights is not None:
            options["sample_weight"] = weights
        options["n_threads"] = n_threads
        train = jitlogit.train_logistic_regression if kind == "binary" else jitlogit.train_softmax_regression
        return list(train(X, y, rate, **options))
    if kind in ("sparse", "estimator"):
        options = {"random_state": 0, "max_iter": 3, "batch_size": 100, "n_threads": n_threads} | options
        model = jitlogit.MiniBatchLogisticRegression(**options).fit(X, y, weights)
        return [model.coef_, model.intercept_, model.history_["loss"]]
    if kind == "optimum":
        options.setdefault("C", 0.01)
        model = jitlogit.LogisticRegression(random_state=0, n_threads=n_threads, **options).fit(X, y)
        return [model.coef_, model.intercept_, model.optimality_gap_]
    if kind == "path":
        model = jitlogit.LogisticRegressionCV(Cs=3, cv=3, random_state=0, n_threads=n_threads).fit(X, y)
        return [model.coef_, model.intercept_, model.C_]
    W = np.linspace(-1, 1, X.shape[1])
    A = jitlogit.forward_pass(X, W, 0.1)
    gradients = jitlogit.compute_gradients(X, y, A)
    return [A, jitlogit.compute_cost(A, y), *gradients, jitlogit.predict(X, W, 0.1), jitlogit.sigmoid(A)]


def worker(names: list[str]) -> None:
    """Print the results of some fits, each by one thread and by two."""
    every = fits()
    for name in names:
        for n_threads in (1, 2):
            try:
                flat = [np.ravel(np.asarray(each, np.float64)) for each in fitted(every[name], n_threads)]
                found: Any = [value.hex() for value in np.concatenate(flat).tolist()]
            except Exception as error:
                found = f"{type(error).__name__}: {error}"
            print(json.dumps([f"{name}, {n_threads} threads", found]), flush=True)


# Code of a worker process. It sets the least work for a second thread to 0, whatever its name was in the revision.
_SMALL = """
import sys
sys.path.insert(0, {benchmarks!r})
import importlib, json
for name in ("jitlogit._team", "jitlogit.compiler.threads"):
    try:
        module = importlib.import_module(name)
    except ImportError:
        continue
    for limit in ("_LEAST_BYTES", "_LEAST_BYTES_AT_HAND"):
        if hasattr(module, limit):
            setattr(module, limit, 0)
import warnings
warnings.simplefilter("ignore")
import same_bits
same_bits.worker(json.loads({names!r}))
"""


def source_of(revision: str, folder: Path) -> Path:
    """The package's source of a revision, or of the checkout in a folder."""
    if (Path(revision) / "src").is_dir():
        return Path(revision).resolve() / "src"
    folder.mkdir()
    archive = subprocess.run(["git", "archive", revision, "src"], cwd=CHECKOUT, check=True, capture_output=True)
    subprocess.run(["tar", "-x", "-C", str(folder)], input=archive.stdout, check=True)
    return folder / "src"


def results(source: Path, names: list[str], cache: Path) -> dict[str, Any]:
    code = _SMALL.format(benchmarks=str(Path(__file__).parent), names=json.dumps(names))
    environment = os.environ | {"PYTHONPATH": str(source), "NUMBA_CACHE_DIR": str(cache), "NUMBA_NUM_THREADS": "2"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        print(done.stderr[-2000:], file=sys.stderr)
    return dict(json.loads(line) for line in done.stdout.splitlines())


def difference(one: Any, other: Any) -> float:
    """Largest difference, relative to the largest value; NaN where it isn't known."""
    if isinstance(one, str) or isinstance(other, str) or one is None or other is None or len(one) != len(other):
        return float("nan")
    a, b = (np.array([float.fromhex(value) for value in values]) for values in (one, other))
    return float(np.max(np.abs(a - b)) / np.max(np.abs(a)))


QUICK = (f"{os.environ.get('JITLOGIT_GATE_BASE', 'HEAD')} --every 60",)


def add_options(parser: Parser) -> None:
    parser.add_revisions()
    parser.add_only()
    parser.add_every()


def run(given: Namespace) -> int:
    names = [name for name in fits() if given.only in name][:: given.every]
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        base, head = (
            results(source_of(revision, place / side), names, place / "kernels")
            for revision, side in ((given.base, "base"), (given.head, "head"))
        )
    bad = 0
    for name in [f"{name}, {n} threads" for name in names for n in (1, 2)]:
        one, other = base.get(name), head.get(name)
        if one is None or one != other:
            bad += 1
            errors = [value for value in (one, other) if isinstance(value, str)]
            print(f"{name}: differs by {difference(one, other):.2g}", *errors, flush=True)
    compared = len(base.keys() & head.keys())
    print(f"{compared - bad if compared else 0} of {2 * len(names)} fits have the same bits ({len(names)} settings)")
    return 2 if not compared else int(bad > 0)
