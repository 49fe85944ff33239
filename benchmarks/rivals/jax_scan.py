"""JAX: one compiled scan over the batches. It copies X in F order to C order beforehand."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import RATE, EpochRival, Pass


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


RIVALS = [EpochRival("JAX", "jax", jax_scan, 40_000)]
