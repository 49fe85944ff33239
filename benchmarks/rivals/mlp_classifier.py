"""scikit-learn's MLPClassifier without hidden layers: its only mini-batch gradient descent, by `partial_fit`."""

from __future__ import annotations

import numpy as np

from . import RATE, EpochRival, Pass


def mlp_partial_fit(X: np.ndarray, y: np.ndarray, batch_size: int) -> Pass:
    from sklearn.neural_network import MLPClassifier

    model = MLPClassifier(
        (), solver="sgd", alpha=0, batch_size=batch_size, learning_rate_init=RATE, momentum=0, shuffle=False
    )
    model.partial_fit(X[:batch_size], y[:batch_size], classes=[0, 1])

    def run() -> np.ndarray:
        model.coefs_[0][:] = 0
        model.intercepts_[0][:] = 0
        return model.partial_fit(X, y).coefs_[0][:, 0].copy()

    return run


RIVALS = [EpochRival("MLPClassifier", "scikit-learn", mlp_partial_fit, 800)]
