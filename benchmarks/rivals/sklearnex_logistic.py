"""scikit-learn-intelex: scikit-learn's LogisticRegression on oneDAL."""

from __future__ import annotations

from functools import partial

import numpy as np

from . import Solver


def solve(
    X: np.ndarray, y: np.ndarray, alpha: float, tolerance: float, solver: str, max_iter: int = 5000
) -> tuple[np.ndarray, np.ndarray]:
    from sklearnex.linear_model import LogisticRegression

    model = LogisticRegression(C=1 / (alpha * X.shape[0]), solver=solver, tol=tolerance, max_iter=max_iter)
    model.fit(X, y)
    return np.asarray(model.coef_), np.asarray(model.intercept_)


RIVALS = [
    Solver(
        f"scikit-learn-intelex {solver}",
        "scikit-learn-intelex",
        "C = 1 / (alpha m)",
        (1e-1, 1e-2, 1e-3, 1e-4, 1e-6, 1e-8),
        partial(solve, solver=solver),
        several=True,
        capped=True,
    )
    for solver in ("lbfgs", "newton-cg")
]
