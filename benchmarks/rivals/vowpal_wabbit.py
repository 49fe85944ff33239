"""Vowpal Wabbit with --bfgs on its cache file. The tolerance limits the relative change of the loss between passes."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from . import Solver


def solve(X: np.ndarray, y: np.ndarray, alpha: float, tolerance: float) -> tuple[np.ndarray, np.ndarray]:
    from vowpalwabbit import Workspace

    with tempfile.TemporaryDirectory() as folder:
        data, readable = Path(folder) / "data.txt", Path(folder) / "model.txt"
        with data.open("w") as file:
            for label, row in zip(y, X, strict=True):
                features = " ".join(f"{j}:{value:.9g}" for j, value in enumerate(row))
                file.write(f"{1 if label > 0 else -1} | {features}\n")
        workspace = Workspace(
            f"-d {data} -c -k --bfgs --passes 200 --loss_function logistic --holdout_off --bit_precision 24 "
            f"--l2 {alpha * X.shape[0]!r} --no_bias_regularization --termination {tolerance!r} "
            f"--readable_model {readable} --predict_only_model --quiet"
        )
        workspace.finish()
        weights, bias = np.zeros(X.shape[1]), 0.0
        for line in readable.read_text().splitlines():
            index, found, value = line.partition(":")
            if found and index.isdigit() and not value.startswith("0 "):
                number = float(value.split()[0])
                if int(index) < X.shape[1]:
                    weights[int(index)] = number
                else:
                    bias = number
    return weights[np.newaxis], np.array([bias])


RIVALS = [
    Solver(
        "Vowpal Wabbit",
        "vowpalwabbit",
        "--l2 alpha m --no_bias_regularization",
        (1e-2, 1e-3, 1e-5, 1e-8),
        solve,
        most=2e6,
    )
]
