"""scikit-learn's LogisticRegression with each of its solvers."""

from __future__ import annotations

from functools import partial

import numpy as np

from . import FINE, Solver

_MAPPING = "C = 1 / (alpha m)"
# Value of the constant feature whose penalised weight is liblinear's intercept. It makes the penalty negligible.
_LIBLINEAR_SCALING = 10.0


# Most weights for newton-cholesky, which factorises the Hessian.
_MOST_WEIGHTS = 1500


def solve(
    X: np.ndarray, y: np.ndarray, alpha: float, tolerance: float, solver: str, max_iter: int = 5000
) -> tuple[np.ndarray, np.ndarray]:
    from sklearn.linear_model import LogisticRegression

    C = 1 / (alpha * X.shape[0])
    model = LogisticRegression(C=C, solver=solver, tol=tolerance, max_iter=max_iter, random_state=0)
    if solver == "liblinear":
        model.set_params(intercept_scaling=_LIBLINEAR_SCALING)
    model.fit(X, y)
    return model.coef_, model.intercept_


def _rival(solver: str, *tolerances: float, mapping: str = _MAPPING) -> Solver:
    return Solver(
        f"scikit-learn {solver}",
        "scikit-learn",
        mapping,
        tolerances,
        partial(solve, solver=solver),
        most_weights=_MOST_WEIGHTS if solver == "newton-cholesky" else float("inf"),
        several=solver != "liblinear",
        sparse=solver != "newton-cholesky",
        capped=True,
    )


RIVALS = [
    _rival("lbfgs", *FINE, 1e-6, 1e-8),
    _rival("newton-cholesky", 1e-1, 1e-2, 1e-4, 1e-6, 1e-8),
    _rival("newton-cg", 1e-1, 1e-2, 1e-3, 1e-4, 1e-6),
    _rival("sag", 1e-1, 1e-2, 1e-3, 1e-4),
    _rival("saga", 1e-1, 1e-2, 1e-3, 1e-4),
    _rival("liblinear", 1e-1, 1e-2, 1e-3, 1e-4, 1e-6, mapping=f"{_MAPPING}; intercept_scaling={_LIBLINEAR_SCALING:g}"),
]
