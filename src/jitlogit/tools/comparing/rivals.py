"""Mini-batch gradient descent by other libraries, as their users would write it; each is imported on use."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ...data.validation import Array
from ...textbook.binary import train_logistic_regression
from .comparison import Differences, RivalRow
from .turns import Ratio, in_turn, timed

__all__ = ["RIVALS", "compare_rival", "require_rivals"]

Epoch = Callable[[], tuple[Array, float]]
#: Largest difference from the kernels' parameters, relative to the largest parameter. Rivals round in other places, and
#: SGDClassifier computes in float64 what the kernels do in float32.
TOLERANCE = {"float32": 2e-4, "float64": 1e-8}


class Rival(NamedTuple):
    module: str
    extra: str
    #: Makes an epoch from zero over the rows in order, from X, y (m,) of 0 and 1, batch size and learning rate. The
    #: epoch returns W (n,) and b.
    make: Callable[[Any, Any, int, float], Epoch]


def sklearn_epoch(X: Array, y: Array, batch_size: int, rate: float) -> Epoch:
    """SGDClassifier for single rows; for others MLPClassifier without hidden layers, by `partial_fit`."""
    from sklearn.linear_model import SGDClassifier
    from sklearn.neural_network import MLPClassifier

    if batch_size == 1:
        sgd = SGDClassifier(
            "log_loss",
            penalty=None,
            learning_rate="constant",
            eta0=rate,
            max_iter=1,
            tol=None,
            shuffle=False,
            random_state=0,
        )
        return lambda: (sgd.fit(X, y).coef_[0], float(sgd.intercept_[0]))
    network = MLPClassifier(
        (),
        solver="sgd",
        alpha=0,
        batch_size=batch_size,
        learning_rate_init=rate,
        momentum=0,
        shuffle=False,
        random_state=0,
    )
    network.partial_fit(X[:batch_size], y[:batch_size], classes=[0, 1])

    def epoch() -> tuple[Array, float]:
        network.coefs_[0][:] = 0
        network.intercepts_[0][:] = 0
        network.partial_fit(X, y)
        return network.coefs_[0][:, 0].copy(), float(network.intercepts_[0][0])

    return epoch


def torch_epoch(X: Array, y: Array, batch_size: int, rate: float) -> Epoch:
    """PyTorch without autograd: products and updates in place."""
    import torch

    features, labels = torch.from_numpy(X), torch.from_numpy(y.astype(X.dtype))
    step = rate / batch_size

    def epoch() -> tuple[Array, float]:
        with torch.no_grad():
            w, b = torch.zeros(X.shape[1], dtype=features.dtype), torch.zeros(1, dtype=features.dtype)
            for start in range(0, X.shape[0], batch_size):
                x = features[start : start + batch_size]
                r = torch.sigmoid(torch.addmv(b, x, w)).sub_(labels[start : start + batch_size])
                w.addmv_(x.T, r, alpha=-step)
                b.sub_(r.sum(), alpha=step)
            return w.numpy(), float(b)

    return epoch


def jax_epoch(X: Array, y: Array, batch_size: int, rate: float) -> Epoch:
    """JAX: one compiled scan over the batches."""
    import jax
    import jax.numpy as jnp

    step = X.dtype.type(rate / batch_size)
    with jax.enable_x64(X.dtype == np.float64):
        features = jnp.asarray(X).reshape(-1, batch_size, X.shape[1])
        labels = jnp.asarray(y.astype(X.dtype)).reshape(-1, batch_size)

    @jax.jit  # type: ignore[untyped-decorator]
    def sweep(features: Any, labels: Any) -> Any:
        def update(parameters: Any, batch: Any) -> Any:
            w, b = parameters
            x, target = batch
            r = jax.nn.sigmoid(x @ w + b) - target
            return (w - step * (r @ x), b - step * r.sum()), None

        start = jnp.zeros(X.shape[1], X.dtype), jnp.zeros((), X.dtype)
        return jax.lax.scan(update, start, (features, labels))[0]

    def epoch() -> tuple[Array, float]:
        with jax.enable_x64(X.dtype == np.float64):
            w, b = sweep(features, labels)
            return np.asarray(w), float(b)

    return epoch


RIVALS = {
    "sklearn": Rival("sklearn", "sklearn", sklearn_epoch),
    "torch": Rival("torch", "bench", torch_epoch),
    "jax": Rival("jax", "bench", jax_epoch),
}


def require_rivals(names: Sequence[str]) -> list[str]:
    """Return the names without duplicates; raise ValueError for one that isn't known, ImportError for a missing one."""
    if isinstance(names, str) or not set(names) <= set(RIVALS):
        raise ValueError(f"rivals must be a list of names among {', '.join(RIVALS)}; got {names!r}")
    for name in names:
        try:
            importlib.import_module(RIVALS[name].module)
        except ImportError as error:
            extra = RIVALS[name].extra
            raise ImportError(f"the rival {name} isn't installed: pip install 'jitlogit[{extra}]'") from error
    return list(dict.fromkeys(names))


def compare_rival(
    name: str, X: Array, y: Array, batch_size: int | None, options: dict[str, Any], n_threads: int | None
) -> RivalRow:
    """An epoch of a rival over the whole batches of X (m, n) of float32 or float64, in turn with a fit by the kernels.

    Results are compared after one epoch. `options` are learning rate and epochs of the fit, of which an epoch's seconds
    are a part.
    """
    size = X.shape[0] if batch_size is None else batch_size
    rows = X.shape[0] // size * size
    X, y = np.ascontiguousarray(X[:rows]), y[:rows]
    epochs = options["num_iterations"]

    def fast(epochs: int) -> tuple[Array, float, list[float]]:
        changes = {"num_iterations": epochs, "batch_size": batch_size, "shuffle": False, "n_threads": n_threads}
        return train_logistic_regression(X, y, **(options | changes))

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        W, b_fast, _ = fast(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of an epoch that hasn't converged, or has diverged
        epoch = RIVALS[name].make(X, y, size, options["learning_rate"])
        w, b = epoch()
        fast(epochs)
        seconds = in_turn({"rival": lambda: timed(epoch), "fast": lambda: timed(lambda: fast(epochs)) / epochs})
    bound = float(max(np.max(np.abs(W)), abs(b_fast))) * TOLERANCE[str(X.dtype)]
    return RivalRow(
        batch_size=batch_size,
        diverged=any(issubclass(warning.category, RuntimeWarning) for warning in caught),
        rival=name,
        rival_version=str(importlib.import_module(RIVALS[name].module).__version__).partition("+")[0],
        rival_seconds=float(np.median(seconds["rival"])),
        fast_seconds=float(np.median(seconds["fast"])),
        speedups=Ratio.of(seconds["rival"], seconds["fast"]),
        differences=Differences(1, 0.0, float(np.max(np.abs(w - W[:, 0]))), abs(b - b_fast)),
        bounds=Differences(1, 0.0, bound, bound),
    )
