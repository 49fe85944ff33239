"""PyTorch as its tutorials write it: a linear layer, a loss, an optimizer."""

from __future__ import annotations

import numpy as np

from . import RATE, EpochRival, Pass


def torch_autograd(X: np.ndarray, y: np.ndarray, batch_size: int) -> Pass:
    import torch

    features, labels = torch.from_numpy(X), torch.from_numpy(y.astype(X.dtype))

    def run() -> np.ndarray:
        model = torch.nn.Linear(X.shape[1], 1, dtype=features.dtype)
        torch.nn.init.zeros_(model.weight)
        torch.nn.init.zeros_(model.bias)
        descent = torch.optim.SGD(model.parameters(), lr=RATE)
        loss = torch.nn.BCEWithLogitsLoss()
        for start in range(0, X.shape[0] - batch_size + 1, batch_size):
            descent.zero_grad()
            loss(model(features[start : start + batch_size])[:, 0], labels[start : start + batch_size]).backward()
            descent.step()
        return model.weight.detach().numpy()[0]

    return run


RIVALS = [EpochRival("autograd", "torch", torch_autograd, 800)]
