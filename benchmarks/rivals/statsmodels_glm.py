"""statsmodels: a binomial GLM with a ridge penalty, whose solver has no tolerance."""

from __future__ import annotations

import numpy as np

from . import Solver


def solve(X: np.ndarray, y: np.ndarray, alpha: float, tolerance: float) -> tuple[np.ndarray, np.ndarray]:
    import statsmodels.api as sm

    features = np.concatenate([X, np.ones((X.shape[0], 1), X.dtype)], axis=1)
    penalty = np.full(features.shape[1], alpha)
    penalty[-1] = 0
    model = sm.GLM(y, features, family=sm.families.Binomial())
    weights = model.fit_regularized(alpha=penalty, L1_wt=0, opt_method="bfgs").params
    return np.asarray(weights)[np.newaxis, :-1], np.asarray(weights)[-1:]


RIVALS = [Solver("statsmodels", "statsmodels", "alpha, 0 for the intercept; L1_wt=0", (1.0,), solve, most=1e7)]
