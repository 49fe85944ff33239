"""LIBLINEAR by its own Python interface, which takes float64 and sparse rows."""

from __future__ import annotations

import numpy as np

from . import Solver

# Value of a constant feature whose penalised weight is the intercept. It makes the penalty negligible.
_BIAS = 10.0


def solve(X: np.ndarray, y: np.ndarray, alpha: float, tolerance: float) -> tuple[np.ndarray, np.ndarray]:
    from liblinear.liblinearutil import train

    # The first row's label becomes the positive class, so a row of label 1 comes first.
    order = np.argsort(y != 1, kind="stable")
    cost = 1 / (alpha * X.shape[0])
    model = train(y[order].astype(float), X[order].astype(float), f"-s 0 -c {cost!r} -e {tolerance!r} -B {_BIAS!r} -q")
    weights, bias = model.get_decfun()
    return np.array([weights]), np.array([bias])


RIVALS = [
    Solver(
        "liblinear-official",
        "liblinear-official",
        f"-c 1 / (alpha m) -B {_BIAS:g}",
        (1e-1, 1e-2, 1e-3, 1e-4, 1e-6),
        solve,
        most=2e7,
    )
]
