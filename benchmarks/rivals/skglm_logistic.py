"""skglm: L-BFGS on its logistic datafit with an L2 penalty."""

from __future__ import annotations

import numpy as np

from . import Solver

# Value of a constant feature for the intercept, which skglm's L-BFGS lacks. It makes the penalty negligible.
_CONSTANT = 10.0


def solve(X: np.ndarray, y: np.ndarray, alpha: float, tolerance: float) -> tuple[np.ndarray, np.ndarray]:
    from skglm.datafits import Logistic
    from skglm.penalties import L2
    from skglm.solvers import LBFGS

    # float64, since its L-BFGS takes no other dtype.
    features = np.concatenate([X, np.full((X.shape[0], 1), _CONSTANT)], axis=1)
    signs = np.where(y > 0, 1.0, -1.0)
    weights, *_ = LBFGS(tol=tolerance, max_iter=2000).solve(features, signs, Logistic(), L2(alpha))
    return weights[np.newaxis, :-1], weights[-1:] * _CONSTANT


RIVALS = [
    Solver(
        "skglm",
        "skglm",
        f"alpha; a constant feature of {_CONSTANT:g} for the intercept",
        (1e-3, 1e-4, 1e-5, 1e-6, 1e-8),
        solve,
    )
]
