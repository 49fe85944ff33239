"""Check that LogisticRegression converges on data that are hard for a solver, or else warns, and never returns NaN.

Each set is fitted with C from 1e-8 to 1e8, in float32 and float64, in C and F order and as CSR. The script prints how
many fits converged, the most reads of X, and the largest true gap and its bound. The true gap is the distance from the
lowest float64 cost that is known: of these fits, a fit to a tolerance of 1e-10, and scikit-learn's newton-cholesky.

Exits with 1 if a coefficient isn't finite, or a bound is below the true gap. A missing warning of a fit that didn't
converge, or a warning of one that did, is an error too.

    python -m benchmarks hard
    python -m benchmarks hard --data FOLDER     # with catvnoncat, of 209 rows and 12,288 features, from FOLDER
"""

from __future__ import annotations

import warnings
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from optimum import objective
from options import Parser
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression as Theirs

import jitlogit

STRENGTHS = (1e-8, 1e-4, 1.0, 1e4, 1e8)
FORMS: dict[str, Callable[[np.ndarray], Any]] = {
    "C": np.ascontiguousarray,
    "F": np.asfortranarray,
    "CSR": sparse.csr_array,
}
_ROWS, _FEATURES = 30_000, 8
# Most features for scikit-learn's newton-cholesky, which factorises the Hessian.
_MOST_FEATURES = 500


class Fit(NamedTuple):
    """A fitted model, and the warnings that came with it."""

    model: Any
    warned: bool


def sets(rows: int, folder: Path | None) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Name to features and labels."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((rows, _FEATURES))
    scores = X @ rng.standard_normal(_FEATURES)
    noisy = scores + rng.logistic(size=rows)
    y = noisy > 0
    order = np.argsort(y, kind="stable")
    found = {
        "separable": (X, scores > 0),
        "columns of 1e-6 to 1e6": (X * np.logspace(-6, 6, _FEATURES), y),
        "constant and duplicate columns": (np.column_stack([X, np.ones(rows), X[:, :2]]), y),
        "3 % positive": (X, noisy > np.quantile(noisy, 0.97)),
        "five positive": (X, np.arange(rows) % (rows // 5) == 0),
        "sorted by class": (X[order], y[order]),
        "heavy tails": (rng.standard_cauchy((rows, 5)), y),
        "rare indicators": ((rng.random((rows, 60)) < np.logspace(-4, -1, 60)).astype(float), y),
        "three classes": (X, np.digitize(noisy, (-1, 1))),
    }
    if folder is not None:
        with np.load(folder / "catvnoncat" / "train_catvnoncat.npz") as data:
            found["catvnoncat"] = data["X"].astype(float), data["y"].reshape(-1)
    return {name: (features, labels.astype(int)) for name, (features, labels) in found.items()}


def fitted(X: Any, y: np.ndarray, **parameters: Any) -> Fit:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = jitlogit.LogisticRegression(**parameters).fit(X, y)
    return Fit(model, any(warning.category is ConvergenceWarning for warning in caught))


def least_cost(X: np.ndarray, y: np.ndarray, C: float, costs: list[float]) -> float:
    """The lowest that is known."""
    alpha = 1 / (C * len(y))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        costs = [*costs, objective(X, y, alpha, fitted(X, y, C=C, tol=1e-10, max_iter=3000).model)]
        if X.shape[1] <= _MOST_FEATURES:
            theirs = Theirs(C=C, tol=1e-10, solver="newton-cholesky").fit(X, y)
            costs.append(objective(X, y, alpha, theirs))
    return min(cost for cost in costs if np.isfinite(cost))


def measure(X: np.ndarray, y: np.ndarray, C: float) -> tuple[list[Fit], list[float], list[str]]:
    """Fits, their true gaps, and what is wrong with them."""
    fits = {
        (dtype, form): fitted(make(X.astype(dtype)), y, C=C)
        for dtype in ("float32", "float64")
        for form, make in FORMS.items()
    }
    costs = {key: objective(X.astype(key[0]), y, 1 / (C * len(y)), fit.model) for key, fit in fits.items()}
    least = {
        dtype: least_cost(X.astype(dtype).astype(float), y, C, [costs[dtype, form] for form in FORMS])
        for dtype in ("float32", "float64")
    }
    gaps = {key: cost - least[key[0]] for key, cost in costs.items()}
    wrong = []
    for key, fit in fits.items():
        if not (np.isfinite(fit.model.coef_).all() and np.isfinite(fit.model.objective_)):
            wrong.append(f"C={C:g} {key}: not finite")
        if fit.warned == fit.model.converged_:
            wrong.append(f"C={C:g} {key}: converged_ is {fit.model.converged_}, warned {fit.warned}")
        if not gaps[key] <= fit.model.optimality_gap_:
            wrong.append(f"C={C:g} {key}: gap {gaps[key]:.2e}, bound {fit.model.optimality_gap_:.2e}")
    return list(fits.values()), list(gaps.values()), wrong


QUICK = ("--size 0.07",)


def add_options(parser: Parser) -> None:
    parser.add_data()
    parser.add_size(f"{_ROWS} rows")


def run(given: Namespace) -> int:
    failed = False
    print("| data | C | converged | most reads | largest gap | its bound |\n" + "|---" * 6 + "|")
    for name, (X, y) in sets(round(_ROWS * given.size), given.data).items():
        for C in STRENGTHS:
            fits, gaps, wrong = measure(X, y, C)
            worst = int(np.argmax(gaps))
            print(
                f"| {name} | {C:g} | {sum(fit.model.converged_ for fit in fits)} of {len(fits)} "
                f"| {max(fit.model.n_passes_ for fit in fits):.0f} | {gaps[worst]:.1e} "
                f"| {fits[worst].model.optimality_gap_:.1e} |",
                flush=True,
            )
            failed |= bool(wrong)
            for fault in wrong:
                print(f"WRONG: {name}, {fault}")
    return int(failed)
