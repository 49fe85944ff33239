"""Divergence and worsening, and the words that tell of them."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

#: Cost, in nats, above which training has diverged: the typical label's probability is below e^-745, 0 in float64.
DIVERGED_COST = 745.0
#: Multiple of log K, the loss of W = 0 and b = 0, above which batch gradient descent has made the model worse. At a
#: rate that isn't too large, its cost never rises but by rounding.
WORSE = 1.01
#: The same for mini-batches, which leave some noise in the parameters.
WORSE_OF_BATCHES = 1.05
#: Multiples of the first loss at which losses of some rows are cut off, since few huge ones make their mean uncertain.
CAPS = (10.0, 100.0, 1000.0, math.inf)
#: The most rows, and values of rows, that the rules look at.
MOST_ROWS, MOST_VALUES = 1000, 1 << 18


def some_rows(m: int, n: int) -> Any:
    """Indices of the rows that the rules look at: all of few rows, else some at random, always the same."""
    count = max(1, min(MOST_ROWS, MOST_VALUES // n))
    return np.arange(m) if m <= count else np.sort(np.random.default_rng(0).integers(0, m, count))


def loss_and_least(
    X: Array, S: Array, W: Array, b: Array, losses: Callable[[Array, Any], Array], began: float
) -> tuple[float, float]:
    """Mean loss of W (n, K) and b (K,) over some rows, and what the mean over all rows is at least.

    Losses that are cut off at a cap have a mean that is never above the true one, and a standard error that a few huge
    losses don't inflate. The highest of these means, each less two of its errors, is the second result.
    """
    rows = some_rows(*X.shape)
    weights = S[0, rows] / max(float(np.mean(S[0, rows], dtype=np.float64)), np.finfo(np.float32).tiny)
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        L = weights * losses((X[rows].astype(np.float64) @ W).T + b[:, None], rows)[0]
        mean = float(np.mean(L))
        if rows.size == X.shape[0]:
            return mean, mean
        cut = [np.minimum(L, cap * began) for cap in CAPS]
        least = [float(np.mean(C)) - 2 * float(np.std(C)) / math.sqrt(rows.size) for C in cut]
        return mean, float(np.max(least))


def safe_rate(X: Array, S: Array, l2: float) -> float:
    """Half of the least rate at which batch gradient descent can diverge, 2 / curvature; see `jitlogit`'s docs.

    The curvature is at most  mean(|x|^2 + 1) / 4 + l2  (Bohning, "Multinomial logistic regression algorithm", 1992).
    """
    rows = some_rows(*X.shape)
    weights = S[0, rows] / max(float(np.mean(S[0, rows], dtype=np.float64)), np.finfo(np.float32).tiny)
    with np.errstate(over="ignore"):
        squares = np.sum(X[rows].astype(np.float64) ** 2, axis=1)
        return 1 / (0.25 * (1 + float(np.mean(weights * squares))) + l2)


def advice(learning_rate: float, safe: float, has_safe_rate: bool) -> str:
    """What to do. For steps of the rate's own size, and rates below the safe one, the safe rate is no advice."""
    scale = f"learning_rate={learning_rate:g} is too large; scale the features (to mean 0 and variance 1, say)"
    if safe == 0:
        return f"{scale}: as they are, they are too large for any rate"
    known = safe < learning_rate and has_safe_rate
    return f"{scale}, or choose {f'a rate of about {safe:.1g}, which is safe for them' if known else 'a lower rate'}"


def warn_of_divergence(iteration: int, what_helps: str) -> None:
    """Warn at the line that called the public function."""
    warnings.warn(
        f"training diverged in iteration {iteration} and was stopped: {what_helps}", RuntimeWarning, stacklevel=4
    )


def warn_of_worsening(ended: float, began: float, what_helps: str) -> None:
    """Warn at the line that called the public function."""
    warnings.warn(
        f"training ended at a cost of {ended:.3g}, above the {began:.3g} that it began with: {what_helps}",
        RuntimeWarning,
        stacklevel=4,
    )
