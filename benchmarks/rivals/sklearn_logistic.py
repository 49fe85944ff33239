"""scikit-learn's LogisticRegression with each of its solvers."""

from __future__ import annotations

from functools import partial

import numpy as np

from . import Solver

_MAPPING = "C = 1 / (alpha m)"
# liblinear penalises the intercept, as the weight of a constant feature: of this size, the penalty all but vanishes.
_LIBLINEAR_SCALING = 10.0


def solve(X: np.ndarray, y: np.ndarray, alpha: float, tolerance: float, solver: str) -> tuple[np.ndarray, float]:
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=1 / (alpha * X.shape[0]), solver=solver, tol=tolerance, max_iter=2000, random_state=0)
    if solver == "liblinear":
        model.set_params(intercept_scaling=_LIBLINEAR_SCALING)
    model.fit(X, y)
    return model.coef_[0], float(model.intercept_[0])


def _rival(solver: str, *tolerances: float, mapping: str = _MAPPING) -> Solver:
    return Solver(f"scikit-learn {solver}", "scikit-learn", mapping, tolerances, partial(solve, solver=solver))


RIVALS = [
    _rival("lbfgs", 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-8),
    _rival("newton-cholesky", 1e-2, 1e-4, 1e-6, 1e-8),
    _rival("newton-cg", 1e-1, 1e-2, 1e-3, 1e-4, 1e-6),
    _rival("sag", 1e-1, 1e-2, 1e-3, 1e-4),
    _rival("saga", 1e-1, 1e-2, 1e-3, 1e-4),
    _rival("liblinear", 1e-1, 1e-2, 1e-3, 1e-4, 1e-6, mapping=f"{_MAPPING}; intercept_scaling={_LIBLINEAR_SCALING:g}"),
]
