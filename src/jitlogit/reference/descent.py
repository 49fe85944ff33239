"""The loop over epochs and mini-batches, for one score of each sample or several."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .failures import (
    DIVERGED_COST,
    WORSE,
    WORSE_OF_BATCHES,
    advice,
    loss_and_least,
    safe_rate,
    warn_of_divergence,
    warn_of_worsening,
)
from .orders import shuffled_blocks, shuffled_order
from .shapes import matrix, row, scaling
from .steps import Mean, Optimizer, Plateau, scheduled_rate

Array = np.ndarray[Any, np.dtype[Any]]


class Options(NamedTuple):
    """See `train_logistic_regression`."""

    batch_size: int | None
    shuffle: bool | str
    record_every: int
    verbose: bool
    alpha: float
    l1_ratio: float
    optimizer: str
    schedule: str
    average: bool


def gradient_descent(
    X: Array,
    n_scores: int,
    residuals: Callable[[Array, Any], Array],
    losses: Callable[[Array, Any], Array],
    sample_weight: Any,
    learning_rate: float,
    num_iterations: int,
    rng: np.random.Generator,
    options: Options,
) -> tuple[Array, Array, list[float]]:
    """Gradient descent from zero on W (n, K) and b (K,), K = `n_scores`.

    `residuals` and `losses` take scores Z (K, size) and the indices of their rows, and return dZ (K, size) and L (1,
    size).
    """
    m, n = X.shape
    S = np.ones((1, m)) if sample_weight is None else row(sample_weight, "sample_weight", m) / np.mean(sample_weight)
    batch_size = m if options.batch_size is None else options.batch_size
    shuffle = options.batch_size is not None and options.shuffle
    plain = options.optimizer == "sgd" and options.alpha == 0 and not options.average
    W = np.zeros((n, n_scores), X.dtype if plain else np.float64)
    b = np.zeros(n_scores)
    optimize = Optimizer(options.optimizer)
    plateau = Plateau() if options.schedule == "adaptive" else None
    mean = Mean()
    costs: list[float] = []
    l2 = options.alpha * (1 - options.l1_ratio)
    has_safe_rate = options.optimizer not in ("adagrad", "adam")
    what_helps = advice(learning_rate, safe_rate(X, S, l2), has_safe_rate)
    for iteration in range(num_iterations):
        record = iteration % options.record_every == 0
        needs_cost = record or iteration == num_iterations - 1 or plateau is not None
        batches = _batches(m, batch_size, shuffle, rng)
        loss_sum = 0.0
        before = W, b
        with np.errstate(over="ignore", invalid="ignore"):
            for update, rows in enumerate(batches):
                Z = scores(X[rows], W, b)
                if needs_cost:
                    loss_sum += float(np.sum(S[:, rows] * losses(Z, rows), dtype=np.float64))
                dW, db = mean_gradient(X[rows], S[:, rows].astype(X.dtype) * residuals(Z, rows))
                progress = iteration + update / len(batches)
                rate = learning_rate * scheduled_rate(options.schedule, progress, num_iterations)
                if plain:
                    W, b = W - X.dtype.type(rate) * dW, b - rate * db  # step 7
                    continue
                W, b = optimize.update(W, b, dW, db, rate, options.alpha, options.l1_ratio)
                if options.average and (iteration > 0 or num_iterations == 1):
                    mean.add(np.concatenate([W, b[None]]))
        finite = bool(np.isfinite(W).all() and np.isfinite(b).all())
        if record and math.isfinite(loss_sum):
            costs.append(loss_sum / m)
        if options.verbose and record:
            _show_progress(iteration, num_iterations, loss_sum / m)
        diverged = not (finite and loss_sum / m <= DIVERGED_COST)
        if diverged:
            warn_of_divergence(iteration, what_helps)
            W, b = (W, b) if finite else before
            break
        if plateau and plateau.reached(loss_sum / m):
            learning_rate /= Plateau.DIVISOR
    if options.verbose and sys.stdout.isatty():
        print()
    if mean.count:
        W, b = mean.value[:-1], mean.value[-1]
    W = W.astype(X.dtype)
    if not diverged:
        began = math.log(max(2, n_scores))
        ended, least = loss_and_least(X, S, W, b, losses, began)
        cost = loss_sum / m if batch_size >= m and options.optimizer == "sgd" else 0.0
        worse = (WORSE_OF_BATCHES if batch_size < m else WORSE) * began
        if cost > worse or not least <= worse:
            warn_of_worsening(max(ended, cost) if cost > worse else ended, began, what_helps)
    return W, b, costs


def _batches(m: int, batch_size: int, shuffle: bool | str, rng: np.random.Generator) -> list[Any]:
    """The mini-batches of an epoch, as indices of rows."""
    order = shuffled_order(m, rng) if shuffle is True else None
    starts = np.arange(0, m, batch_size)
    if shuffle == "blocks":
        starts = starts[shuffled_blocks(m, batch_size, rng)]
    slices = [slice(start, start + batch_size) for start in starts]
    return slices if order is None else [order[batch] for batch in slices]


def features(values: Any, offset: Any, scale: Any, name: str = "X") -> Array:
    """(X - offset) / scale, in X's precision; raises ValueError for wrong shapes."""
    X = matrix(as_float(values), name)
    scaling(offset, "offset", X.shape[1])
    scaling(scale, "scale", X.shape[1])
    if offset is None and scale is None:
        return X
    moved = X - np.asarray(0 if offset is None else offset, np.float64)
    return np.asarray(moved / np.asarray(1 if scale is None else scale, np.float64), X.dtype)


def as_float(values: Any) -> Array:
    """float32 and float64 stay; other dtypes become what NumPy promotes them and float32 to."""
    array: Array = np.asarray(values)
    if array.dtype.names == ("bfloat16",):  # the upper half of a float32
        wide: Array = np.left_shift(array["bfloat16"], 16, dtype=np.uint32).view(np.float32)
        return wide
    if array.dtype in (np.float32, np.float64):
        return array
    return array.astype(np.float32 if np.result_type(array, np.float32) == np.float32 else np.float64)


def scores(X: Array, W: Any, b: Any) -> Array:
    """Step 1: Z = (X W)^T + b, (K, m), of W (n, K) or (n,) and b (K,) or a number."""
    with np.errstate(invalid="ignore"):  # OpenBLAS computes with what lies behind a short row, and NumPy warns of it
        Z: Array = (X @ np.reshape(W, (X.shape[1], -1)).astype(X.dtype)).T + np.reshape(b, (-1, 1)).astype(X.dtype)
    return Z


def mean_gradient(X: Array, dZ: Array) -> tuple[Array, Array]:
    """Step 6: dW = (1/m) X^T dZ^T, (n, K), and db = (1/m) sum dZ, (K,)."""
    with np.errstate(invalid="ignore"):
        return X.T @ dZ.T / X.shape[0], np.asarray(np.mean(dZ, axis=1, dtype=np.float64))


def _show_progress(iteration: int, num_iterations: int, cost: float) -> None:
    if sys.stdout.isatty():
        print(f"\riteration {iteration}/{num_iterations}  cost {cost:.6f}", end="", flush=True)
    else:
        print(f"Cost at iteration {iteration}: {cost:.6f}")
