"""Measure LogisticRegression on dense data with fewer rows than features, beside scikit-learn's solvers.

The objective is the sum of the losses + lambda / 2 ||w||^2, and C = 1 / lambda. Each solver gets the loosest tolerance
that brings its cost within 1e-6 of the least cost, relatively. Solvers then run in turn, and medians count. All have
one thread: on small matrices a second one of BLAS makes scikit-learn's solvers slower, very much so on a busy machine.
There, `--clock processor` counts processor time, which other processes don't stretch.

Exits with 1 if ours doesn't come so near, or takes a millisecond more than the fastest rival in five rounds or more.

    python -m benchmarks wide
    python -m benchmarks wide --shapes 200x500 100x2000 --dtypes float32 --classes 3 --rounds 31
"""

from __future__ import annotations

import functools
import statistics
import time
import warnings
from argparse import Namespace
from collections.abc import Callable
from typing import Any

import gaps
import numpy as np
from options import Parser
from sklearn.linear_model import LogisticRegression as Theirs
from threadpoolctl import threadpool_limits

from jitlogit import LogisticRegression as Ours

_GAP, _LATER_BY = 1e-6, 1e-3  # relative; seconds
_TOLERANCES = tuple(10.0**-k for k in range(1, 11))
_THEIRS = ("lbfgs", "newton-cg", "newton-cholesky", "liblinear")
_LEAST_ROUNDS = 5  # fewer tell nothing about time
_MOST_WEIGHTS = 3000  # of newton-cholesky, which factorises the Hessian


def make(m: int, n: int, n_classes: int, dtype: str) -> tuple[np.ndarray, np.ndarray]:
    """Independent features (m, n), a tenth of which tell something about the labels (m,)."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((m, n))
    W = rng.standard_normal((n, n_classes)) * (rng.random((n, 1)) < 0.1)
    return X.astype(dtype), (X @ W + rng.standard_normal((m, n_classes))).argmax(axis=1)


def solvers(n_weights: int, n_classes: int, intercept: bool) -> dict[str, Callable[..., Any]]:
    """Constructors by name; the first is ours, with "auto"."""
    of: dict[str, Callable[..., Any]] = {"jitlogit": functools.partial(Ours, n_threads=1)}
    for name in _THEIRS:
        if name == "liblinear" and (intercept or n_classes > 2):
            continue  # penalises the intercept, or fits one class against the rest
        if name != "newton-cholesky" or n_weights <= _MOST_WEIGHTS:
            of[name] = functools.partial(Theirs, solver=name)
    return of


def measure(
    X: np.ndarray, y: np.ndarray, penalty: float, intercept: bool, rounds: int, clock: Callable[[], float]
) -> dict[str, tuple[float, ...]]:
    """Median seconds, relative gap, tolerance and iterations, by solver; without solvers that don't come near."""
    alpha, n_classes = penalty / len(y), int(y.max()) + 1
    given = {"C": 1 / penalty, "fit_intercept": intercept, "max_iter": 10_000}
    exact = Ours(**{**given, "tol": 1e-11}).fit(X.astype(np.float64), y)
    least = exact.objective_ - exact.optimality_gap_
    fits: dict[str, tuple[Callable[[], Any], float, float, int]] = {}
    n_weights = X.shape[1] * (1 if n_classes == 2 else n_classes)
    for name, of in solvers(n_weights, n_classes, intercept).items():
        for tol in _TOLERANCES:
            fit = functools.partial(lambda of, tol: of(**given, tol=tol).fit(X, y), of, tol)
            model = fit()
            gap = gaps.objective(X, y, alpha, model.coef_, model.intercept_) / least - 1
            if gap <= _GAP:
                fits[name] = fit, gap, tol, int(np.max(model.n_iter_))
                break
    taken: dict[str, list[float]] = {name: [] for name in fits}
    for _ in range(rounds):
        for name, (fit, *_rest) in fits.items():
            start = clock()
            fit()
            taken[name].append(clock() - start)
    return {name: (statistics.median(taken[name]), *rest) for name, (_, *rest) in fits.items()}


QUICK = ("--shapes 60x200 --rounds 1",)


def add_options(parser: Parser) -> None:
    parser.add_dtypes(["float64"])
    parser.add_rounds(15)
    shapes = ["200x500", "100x2000", "500x1000", "1000x2000"]
    parser.add_argument("--shapes", nargs="+", default=shapes, metavar="MxN", help=" ".join(shapes))
    parser.add_argument("--penalties", nargs="+", type=float, default=[1.0, 0.01], help="values of lambda")
    parser.add_argument("--classes", type=int, default=2, metavar="N", help="2 unless given")
    parser.add_argument("--intercepts", nargs="+", type=int, choices=(0, 1), default=[0, 1], help="without, with")
    parser.add_argument(
        "--clock", choices=["wall", "processor"], default="wall", help="wall time, or that of the processor"
    )


def run(given: Namespace) -> int:
    clock = time.perf_counter if given.clock == "wall" else time.process_time
    print(
        "| rows x features | dtype | lambda | intercept | ours, ms | fastest rival, ms | ours / fastest | ours' gap |"
    )
    print("|---" * 8 + "|")
    late = False
    for shape in given.shapes:
        m, n = (int(size) for size in shape.split("x"))
        for dtype in given.dtypes:
            X, y = make(m, n, given.classes, dtype)
            for penalty in given.penalties:
                for intercept in given.intercepts:
                    with warnings.catch_warnings(), threadpool_limits(1, user_api="blas"):
                        warnings.simplefilter("ignore")
                        found = measure(X, y, penalty, bool(intercept), given.rounds, clock)
                    head = f"| {shape} | {dtype} | {penalty:g} | {'yes' if intercept else 'no'} |"
                    if "jitlogit" not in found:
                        print(f"{head} not within {_GAP:g} | | | |", flush=True)
                        late = True
                        continue
                    ours, gap = found.pop("jitlogit")[:2]
                    best, rival = min(((each[0], name) for name, each in found.items()), default=(np.inf, "none"))
                    late |= ours > best + _LATER_BY and given.rounds >= _LEAST_ROUNDS
                    print(
                        f"{head} {1e3 * ours:.2f} | {1e3 * best:.2f} ({rival}) | {ours / best:.2f} | {gap:.0e} |",
                        flush=True,
                    )
    return int(late)
