"""One pass of mini-batch gradient descent as users of other libraries write it, each at its best.

A rival is made for data and batch size, which may convert and compile, and then called for a pass; it returns the
weights. Rows beyond the last whole batch are left out.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any

import numpy as np

Pass = Callable[[], np.ndarray]
# Small enough for updates by single rows of 2000 features: above 8 / n, rounding errors grow from update to update.
RATE = 0.0005


def numpy_by_hand(X: np.ndarray, y: np.ndarray, batch_size: int) -> Pass:
    y = y.astype(X.dtype)
    step = X.dtype.type(RATE / batch_size)

    def run() -> np.ndarray:
        w, b = np.zeros(X.shape[1], X.dtype), X.dtype.type(0)
        for start in range(0, X.shape[0] - batch_size + 1, batch_size):
            x = X[start : start + batch_size]
            r = 1 / (1 + np.exp(-(x @ w + b))) - y[start : start + batch_size]
            w -= step * (r @ x)
            b -= step * r.sum()
        return w

    return run


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


def jax_scan(X: np.ndarray, y: np.ndarray, batch_size: int) -> Pass:
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    whole = X.shape[0] // batch_size * batch_size
    features = jnp.asarray(X[:whole]).reshape(-1, batch_size, X.shape[1])
    labels = jnp.asarray(y[:whole].astype(X.dtype)).reshape(-1, batch_size)
    step = X.dtype.type(RATE / batch_size)

    @jax.jit
    def sweep(features: Any, labels: Any) -> Any:
        def update(parameters: Any, batch: Any) -> Any:
            w, b = parameters
            x, target = batch
            r = jax.nn.sigmoid(x @ w + b) - target
            return (w - step * (r @ x), b - step * r.sum()), None

        start = jnp.zeros(X.shape[1], X.dtype), jnp.zeros((), X.dtype)
        return jax.lax.scan(update, start, (features, labels))[0][0]

    return lambda: np.asarray(sweep(features, labels).block_until_ready())


def sgd_classifier(X: np.ndarray, y: np.ndarray, batch_size: int) -> Pass:
    from sklearn.linear_model import SGDClassifier

    model = SGDClassifier(
        loss="log_loss", penalty=None, learning_rate="constant", eta0=RATE, max_iter=1, tol=None, shuffle=False
    )
    return lambda: model.fit(X, y).coef_[0]


_MODULES = {"NumPy": "numpy", "JAX": "jax", "PyTorch": "torch", "autograd": "torch", "SGDClassifier": "sklearn"}
_MAKERS = {
    "NumPy": numpy_by_hand,
    "JAX": jax_scan,
    "PyTorch": torch_by_hand,
    "autograd": torch_autograd,
    "SGDClassifier": sgd_classifier,
}
# About how many updates take a tenth of a second.
_UPDATES = {"NumPy": 8000, "JAX": 40_000, "PyTorch": 8000, "autograd": 800, "SGDClassifier": 200_000}


def installed(batch_size: int) -> list[str]:
    """Names of the rivals for a batch size that can be imported here."""
    names = ["SGDClassifier"] if batch_size == 1 else ["NumPy", "JAX", "PyTorch", "autograd"]
    return [name for name in names if importlib.util.find_spec(_MODULES[name])]


def make(name: str, X: np.ndarray, y: np.ndarray, batch_size: int) -> tuple[Pass, int]:
    """Return a pass and how many rows it visits: all, or as many first ones as don't take long."""
    rows = max(batch_size, min(X.shape[0], _UPDATES[name] * batch_size) // batch_size * batch_size)
    part = X[:rows] if X.flags.c_contiguous else np.asfortranarray(X[:rows])
    return _MAKERS[name](part, y[:rows], batch_size), rows
