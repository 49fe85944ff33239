"""Cyanure, which chooses among variance-reduced and quasi-Newton methods."""

from __future__ import annotations

import numpy as np

from . import Solver


def solve(X: np.ndarray, y: np.ndarray, alpha: float, tolerance: float) -> tuple[np.ndarray, np.ndarray]:
    from cyanure.estimators import Classifier

    model = Classifier(
        loss="logistic", penalty="l2", lambda_1=alpha, tol=tolerance, max_iter=2000, fit_intercept=True, verbose=False
    )
    model.fit(X, y)
    return np.asarray(model.coef_).reshape(1, -1), np.ravel(model.intercept_)[:1]


RIVALS = [Solver("Cyanure", "cyanure", "lambda_1 = alpha", (1e-1, 1e-2, 1e-3, 1e-4, 1e-6, 1e-8), solve)]
