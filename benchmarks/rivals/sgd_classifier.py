"""scikit-learn's SGDClassifier: an update per row."""

from __future__ import annotations

import numpy as np

from . import RATE, EpochRival, Pass


def sgd_classifier(X: np.ndarray, y: np.ndarray, batch_size: int) -> Pass:
    from sklearn.linear_model import SGDClassifier

    model = SGDClassifier(
        loss="log_loss", penalty=None, learning_rate="constant", eta0=RATE, max_iter=1, tol=None, shuffle=False
    )
    return lambda: model.fit(X, y).coef_[0]


RIVALS = [EpochRival("SGDClassifier", "scikit-learn", sgd_classifier, 200_000, single=True)]
