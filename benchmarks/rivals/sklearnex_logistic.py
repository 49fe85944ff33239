"""scikit-learn-intelex: scikit-learn's LogisticRegression on oneDAL."""

from __future__ import annotations

from functools import partial

import numpy as np

from . import FINE, Solver


def solve(
    X: np.ndarray, y: np.ndarray, alpha: float, tolerance: float, solver: str, max_iter: int = 5000
) -> tuple[np.ndarray, np.ndarray]:
    from sklearnex.linear_model import LogisticRegression

    m = X.shape[0]
    tol = tolerance * m if solver == "lbfgs" else tolerance  # on the gradient of the sum of losses
    model = LogisticRegression(C=1 / (alpha * m), solver=solver, tol=tol, max_iter=max_iter)
    model.fit(X, y)
    return np.asarray(model.coef_), np.asarray(model.intercept_)


def _rival(solver: str, mapping: str, *tolerances: float) -> Solver:
    return Solver(
        f"scikit-learn-intelex {solver}",
        "scikit-learn-intelex",
        mapping,
        tolerances,
        partial(solve, solver=solver),
        several=True,
        capped=True,
    )


RIVALS = [
    _rival("lbfgs", "C = 1 / (alpha m), tol times m", *FINE, 1e-6, 1e-8),
    _rival("newton-cg", "C = 1 / (alpha m)", 1e-1, 1e-2, 1e-3, 1e-4, 1e-6, 1e-8),
]
