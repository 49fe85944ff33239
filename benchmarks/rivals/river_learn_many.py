"""River's LogisticRegression: mini-batches as pandas frames, by `learn_many`."""

from __future__ import annotations

import numpy as np

from . import RATE, EpochRival, Pass


def river_learn_many(X: np.ndarray, y: np.ndarray, batch_size: int) -> Pass:
    import pandas as pd
    from river import linear_model, optim

    columns = list(range(X.shape[1]))
    starts = range(0, X.shape[0] - batch_size + 1, batch_size)
    batches = [
        (pd.DataFrame(X[k : k + batch_size], columns=columns), pd.Series(y[k : k + batch_size].astype(bool)))
        for k in starts
    ]

    def run() -> np.ndarray:
        model = linear_model.LogisticRegression(optim.SGD(RATE), intercept_lr=RATE)
        for features, labels in batches:
            model.learn_many(features, labels)
        return np.array([model.weights[j] for j in columns])

    return run


RIVALS = [EpochRival("River", "river", river_learn_many, 40)]
