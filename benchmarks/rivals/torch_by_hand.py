"""PyTorch without autograd: products and updates in place."""

from __future__ import annotations

import numpy as np

from . import RATE, EpochRival, Pass


def torch_by_hand(X: np.ndarray, y: np.ndarray, batch_size: int) -> Pass:
    import torch

    features, labels = torch.from_numpy(X), torch.from_numpy(y.astype(X.dtype))
    step = RATE / batch_size

    @torch.no_grad()
    def run() -> np.ndarray:
        w, b = torch.zeros(X.shape[1], dtype=features.dtype), torch.zeros(1, dtype=features.dtype)
        for start in range(0, X.shape[0] - batch_size + 1, batch_size):
            x = features[start : start + batch_size]
            r = torch.sigmoid(torch.addmv(b, x, w)).sub_(labels[start : start + batch_size])
            w.addmv_(x.T, r, alpha=-step)
            b.sub_(r.sum(), alpha=step)
        return w.numpy()

    return run


RIVALS = [EpochRival("PyTorch", "torch", torch_by_hand, 8000)]
