"""glum: a generalised linear model of the binomial family, by iteratively reweighted least squares."""

from __future__ import annotations

import numpy as np

from . import Solver


def solve(X: np.ndarray, y: np.ndarray, alpha: float, tolerance: float) -> tuple[np.ndarray, np.ndarray]:
    from glum import GeneralizedLinearRegressor

    model = GeneralizedLinearRegressor(
        family="binomial", alpha=alpha, l1_ratio=0, gradient_tol=tolerance, max_iter=1000, solver="irls-ls"
    )
    model.fit(X, y.astype(X.dtype))
    return np.asarray(model.coef_)[np.newaxis], np.array([model.intercept_])


RIVALS = [Solver("glum", "glum", "alpha", (1e-2, 1e-3, 1e-4, 1e-6, 1e-8), solve)]
