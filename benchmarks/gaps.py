"""Measure how long each solver takes to come within 1e-3, 1e-5 and 1e-7 of the least mean loss.

The objective is  mean loss + alpha / 2 ||w||^2,  with an unpenalised intercept. Each solver's parameters for it stand
in its file in `rivals`. Each solver runs at several tolerances or, if X is large, with several limits of its
iterations, and its best run counts. The least loss is the lowest that any solver found.
"""

from __future__ import annotations

import math
import statistics
import time
import warnings
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import numpy as np
import rivals
from cases import settle
from scipy.special import logsumexp

import jitlogit

GAPS = (1e-3, 1e-5, 1e-7)
ALPHA = 1e-6
#: Name to m and n of generated sets, with correlated features and noisy labels.
SETS = {"1M x 28": (1_000_000, 28), "200k x 100": (200_000, 100), "50k x 784": (50_000, 784), "20k x 50": (20_000, 50)}
# Seconds of a run after which a solver's tighter tolerances are skipped, and of a run that isn't repeated.
_PATIENCE, _LONG = 20.0, 5.0
# Stored values times classes, and weights, above which iterations are limited instead of the tolerance.
_MANY_VALUES, _MANY_WEIGHTS = 2e8, 1e6
_ITERATIONS = (10, 30, 100, 300, 1000, 3000)
_BLOCK = 50_000


def make_set(m: int, n: int, dtype: str) -> tuple[np.ndarray, np.ndarray]:
    """Correlated features (m, n), columns of variance 1, and noisy labels (m,) of uint8."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((m, n), dtype=np.float32)
    X += 0.5 * rng.standard_normal((m, 1), dtype=np.float32)
    X /= X.std(axis=0)
    w = rng.standard_normal(n).astype(np.float32) / np.sqrt(n, dtype=np.float32)
    y = (X @ w + rng.logistic(size=m).astype(np.float32) > 0.5).astype(np.uint8)
    return X.astype(dtype, copy=False), y


def objective(X: Any, y: np.ndarray, alpha: float, coef: np.ndarray, intercept: np.ndarray) -> float:
    """In float64, of labels 0 ... K - 1, weights (K, n), and intercepts (K,)."""
    coef = np.asarray(coef, np.float64)
    total = 0.0
    for start in range(0, X.shape[0], _BLOCK):
        part = slice(start, start + _BLOCK)
        scores = X[part].astype(np.float64) @ coef.T + intercept
        if len(coef) == 1:
            scores = np.column_stack([np.zeros(len(scores)), scores])
        total += float(np.sum(logsumexp(scores, axis=1) - scores[np.arange(len(scores)), y[part]]))
    return total / X.shape[0] + alpha / 2 * float(np.sum(coef**2))


def _mini_batches(X: Any, y: np.ndarray, alpha: float, passes: float) -> tuple[np.ndarray, np.ndarray]:
    model = jitlogit.MiniBatchLogisticRegression(
        alpha=alpha, standardize=False, max_iter=int(passes), batch_size=256, random_state=0
    ).fit(X, y)
    return model.coef_, model.intercept_


def optimum(X: Any, y: np.ndarray, alpha: float, tolerance: float) -> jitlogit.LogisticRegression:
    """The model of `OPTIMUM`."""
    model = jitlogit.LogisticRegression(C=1 / (alpha * X.shape[0]), tol=tolerance, random_state=0, max_iter=5000)
    return model.fit(X, y)


def _optimum(X: Any, y: np.ndarray, alpha: float, tolerance: float) -> tuple[np.ndarray, np.ndarray]:
    model = optimum(X, y, alpha, tolerance)
    return model.coef_, model.intercept_


OURS = rivals.Solver(
    "jitlogit mini-batches", "jitlogit", "alpha", (1, 2, 4, 8, 16, 32), _mini_batches, several=True, sparse=True
)
OPTIMUM = rivals.Solver(
    "jitlogit LogisticRegression",
    "jitlogit",
    "C = 1 / (alpha m)",
    (*rivals.FINE, 1e-6, 1e-7),
    _optimum,
    several=True,
    sparse=True,
)


def limit(tolerance: float) -> str:
    """What limits a run, by name."""
    return f"tolerance {tolerance:g}"


def is_large(X: Any, y: np.ndarray) -> bool:
    """Whether a tight tolerance takes other solvers hours."""
    return rivals.values(X, y) > _MANY_VALUES or rivals.n_scores(y) * X.shape[1] > _MANY_WEIGHTS


def measure_set(
    X: Any, y: np.ndarray, alpha: float, solvers: Iterable[rivals.Solver], rounds: int, known: float = math.inf
) -> dict[str, Any]:
    """Seconds and gap of each solver at each tolerance; medians over rounds, in which solvers run in turn.

    Of labels 0 ... K - 1; the least cost is the lowest that was found, or that is `known`.
    """
    solvers = list(solvers)
    notes = {solver.name: rivals.why_not(solver, X, y) for solver in solvers}
    runnable = [solver for solver in solvers if not notes[solver.name]]
    points: dict[str, dict[str, dict[str, Any]]] = {solver.name: {} for solver in solvers}
    few = np.concatenate([np.flatnonzero(y == k)[:1000] for k in range(int(y.max()) + 1)])
    for solver in runnable:
        _guarded(partial(solver.solve, X[few], y[few], alpha, solver.tolerances[0]))  # compiles
    for _ in range(rounds):
        for solver in runnable:
            for name, run in _runs(solver, X, y, alpha).items():
                point = points[solver.name].setdefault(name, {"limit": name, "all_seconds": []})
                if point["all_seconds"] and point["all_seconds"][0] > _LONG:
                    continue
                settle()
                start = time.perf_counter()
                found, error = _guarded(run)
                point["all_seconds"].append(time.perf_counter() - start)
                if found is None:
                    notes[solver.name] = error
                    del points[solver.name][name]
                    break
                point["cost"] = objective(X, y, alpha, *found)
                if point["all_seconds"][-1] > _PATIENCE:
                    break
    least = min([known, *(point["cost"] for of in points.values() for point in of.values())])
    for of in points.values():
        for point in of.values():
            point["seconds"], point["gap"] = statistics.median(point.pop("all_seconds")), point["cost"] - least
    return {
        "m": X.shape[0],
        "n": X.shape[1],
        "dtype": str(X.dtype),
        "alpha": alpha,
        "least": least,
        "solvers": [
            {
                "name": solver.name,
                "version": rivals.version(solver),
                "mapping": solver.mapping,
                "note": notes[solver.name],
                "points": list(points[solver.name].values()),
            }
            for solver in solvers
        ],
    }


def _runs(solver: rivals.Solver, X: Any, y: np.ndarray, alpha: float) -> dict[str, Callable[[], Any]]:
    """From short to long: what limits a run, and the run."""
    if solver.capped and is_large(X, y):
        tightest = solver.tolerances[-1]
        return {
            f"{most} iterations": partial(solver.solve, X, y, alpha, tightest, max_iter=most) for most in _ITERATIONS
        }
    return {limit(each): partial(solver.solve, X, y, alpha, each) for each in solver.tolerances}


def _guarded(run: Callable[[], Any]) -> tuple[Any, str]:
    """What a solver returns, or None and why not; its warnings are its own affair."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return run(), ""
        except Exception as error:
            return None, f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"


def measure(names: Iterable[str], dtype: str, alpha: float, rounds: int, shrink: float = 1) -> list[dict[str, Any]]:
    """`measure_set` of the named sets, with a fraction `shrink` of their rows."""
    found = []
    for name in names:
        m, n = SETS[name]
        X, y = make_set(int(m * shrink), n, dtype)
        found.append({"set": name, **measure_set(X, y, alpha, [OURS, OPTIMUM, *rivals.solvers()], rounds)})
    return found


def seconds_to(solver: dict[str, Any], gap: float) -> float:
    """Least seconds in which a solver came so near, inf where it didn't."""
    return min((point["seconds"] for point in solver["points"] if point["gap"] <= gap), default=math.inf)


def table(measured: list[dict[str, Any]]) -> str:
    """Markdown: a row for each solver, seconds to each gap for each set; the least in bold."""
    heads = [f"{each['set']}, {gap:g}" for each in measured for gap in GAPS]
    lines = ["| seconds to a gap | " + " | ".join(heads) + " |", "|---|" + "---|" * len(heads)]
    for k, solver in enumerate(measured[0]["solvers"]):
        cells = [_cell(each["solvers"], k, gap) for each in measured for gap in GAPS]
        name = f"{solver['name']} {solver['version']}" if solver["version"] else solver["name"]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    mappings = [f"{solver['name']}: {solver['mapping']}" for solver in measured[0]["solvers"]]
    return "\n".join(lines) + f"\n\nHow alpha is said to each: {'; '.join(mappings)}."


def _cell(solvers: list[dict[str, Any]], k: int, gap: float) -> str:
    seconds = seconds_to(solvers[k], gap)
    if math.isinf(seconds):
        return solvers[k]["note"] or "not reached"
    best = seconds == min(seconds_to(solver, gap) for solver in solvers)
    return f"**{seconds:.2g}**" if best else f"{seconds:.2g}"
