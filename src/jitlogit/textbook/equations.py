"""The single steps of the text on compiled kernels; the formulas are in `jitlogit.reference`."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..compiler.threads import members_for, run
from ..data import validation as check
from ..data.tables import columns_told
from ..data.validation import Array
from ..kernels.passes import objective
from ..kernels.simd.arrays import PADDING
from ..kernels.storage.plan import plan
from ..kernels.storage.work_spaces import tiles_for

# Scores or probabilities that a kernel works on at a time: 8 KB, which any first-level cache holds.
_TILE = 1024


def sigmoid(z: Any) -> Any:
    """Probability 1 / (1 + e^-z), element by element, exact in both tails.

    Parameters
    ----------
    z : array_like, any shape
        Scores; inf, -inf and NaN become 1, 0 and NaN.

    Returns
    -------
    array of z's shape, or a number for a number; float32 for float32 z, else float64
        Relative error below 1e-6 (float32) and 1e-15 (float64).

    Raises
    ------
    TypeError
        If `z` doesn't hold real numbers.

    Examples
    --------
    >>> import jitlogit
    >>> jitlogit.sigmoid([-2.0, 0.0, 2.0]).round(4)
    array([0.1192, 0.5   , 0.8808])
    >>> f"{jitlogit.sigmoid(-40.0):.4e}"  # a number for a number, and no digits lost
    '4.2484e-18'
    """
    scores = check.check_numbers(z, "z")
    out = np.empty(scores.size, scores.dtype)
    if scores.size:
        n_chunks = _element_chunks(scores.size)
        members = members_for(None, n_chunks, scores.nbytes)
        tiles = tiles_for(members, _TILE, scores.dtype)
        run(objective.sigmoid, members, scores.reshape(-1), tiles, n_chunks, out)
    return out.reshape(scores.shape)[()]


def compute_cost(A: Any, Y: Any) -> float:
    """Cost J: the mean loss, in nats, of the probabilities `A`.

    A probability rounded to 0 or 1 has lost its score, so `A` is clipped to [eps, 1 - eps]; eps is the spacing of its
    dtype at 1. No loss exceeds -log(eps), 36.04 for float64 and 15.9 for float32. Training computes costs from scores,
    without this limit.

    Parameters
    ----------
    A : array_like (1, n_samples)
        Probabilities.
    Y : array_like (1, n_samples), (n_samples,) or (n_samples, 1)
        Labels 0 and 1.

    Returns
    -------
    J : float

    Raises
    ------
    ValueError, TypeError
        If shapes don't agree, `A` isn't within [0, 1], or labels other than 0 and 1 are found.

    Examples
    --------
    >>> import jitlogit
    >>> round(jitlogit.compute_cost([[0.9, 0.2]], [1, 0]), 4)  # the mean of -log 0.9 and -log 0.8
    0.1643
    >>> round(jitlogit.compute_cost([[0.0]], [1]), 2)  # the most that a wrong label costs
    36.04
    """
    probabilities = check.check_probabilities(A)
    labels = check.check_labels(Y, probabilities.size)
    eps = np.finfo(probabilities.dtype).eps
    n_chunks = _element_chunks(probabilities.size)
    sums = np.empty(n_chunks)
    members = members_for(None, n_chunks, probabilities.nbytes)
    tiles = tiles_for(members, _TILE, probabilities.dtype)
    run(objective.cost, members, probabilities, labels, eps, tiles, sums)
    return float(sums.sum() / probabilities.size)


def compute_gradients(X: Any, Y: Any, A: Any) -> tuple[Array, float]:
    """Gradient of the cost: dW = (1/m) X^T (A - Y)^T and db = (1/m) sum (A - Y).

    Parameters
    ----------
    X : array_like (n_samples, n_features)
        Used as in `train_logistic_regression`, without a copy.
    Y : array_like (1, n_samples), (n_samples,) or (n_samples, 1)
        Labels 0 and 1.
    A : array_like (1, n_samples)
        Probabilities, from `forward_pass`.

    Returns
    -------
    dW : (n_features, 1), float64 for float64 X, else float32
    db : float

    Raises
    ------
    ValueError, TypeError
        If an argument has the wrong shape or type or isn't finite, or labels other than 0 and 1 are found.

    Examples
    --------
    >>> import jitlogit
    >>> X, Y = [[1.0, 2.0], [3.0, 4.0]], [0, 1]
    >>> A = jitlogit.forward_pass(X, W=[[0.0], [0.0]], b=0.0)  # 0.5 for both
    >>> dW, db = jitlogit.compute_gradients(X, Y, A)
    >>> dW
    array([[-0.5],
           [-0.5]])
    >>> db
    0.0
    """
    table, X = X, check.check_X(X)
    labels = check.check_labels(Y, X.shape[0])
    probabilities = check.check_probabilities(A, check.computed_dtype(X))
    if probabilities.size != X.shape[0]:
        raise ValueError(f"A must hold one probability for each of the {X.shape[0]} examples; got {probabilities.size}")
    cut = plan(X.shape[0], X)
    sums = np.empty((cut.n_chunks, X.shape[1] + 1))
    members = members_for(None, cut.n_chunks, X.nbytes)
    tiles = tiles_for(members, cut.block_rows, probabilities.dtype)
    gradients = np.zeros((members, X.shape[1] + PADDING), probabilities.dtype)
    run(objective.gradient, members, check.as_rows(X), labels, probabilities, tiles, gradients, sums)
    with np.errstate(invalid="ignore", over="ignore"):
        mean = sums.sum(axis=0) / X.shape[0]
    if not np.isfinite(mean).all():
        with columns_told(table):
            check.raise_if_not_finite(X)
    return mean[:-1].astype(probabilities.dtype).reshape(-1, 1), float(mean[-1])


def update_parameters(W: Any, b: Any, dW: Any, db: Any, learning_rate: float) -> tuple[Array, float]:
    """One update of gradient descent: W - alpha dW and b - alpha db, in new objects.

    Parameters
    ----------
    W, dW : array_like (n_features, 1)
    b, db : float
    learning_rate : float
        alpha, positive.

    Returns
    -------
    W : (n_features, 1), float32 for float32 W, else float64
    b : float

    Raises
    ------
    ValueError, TypeError
        If shapes don't agree, a number isn't finite, or the rate isn't positive.

    Examples
    --------
    >>> import jitlogit
    >>> W, b = jitlogit.update_parameters([[1.0], [2.0]], 0.5, dW=[[0.5], [-1.0]], db=0.25, learning_rate=0.1)
    >>> W.round(3)
    array([[0.95],
           [2.1 ]])
    >>> round(b, 3)
    0.475
    """
    weights = check.check_row(W, "W")
    dtype = check.float_dtype(weights)
    alpha = check.check_positive(learning_rate, "learning_rate")
    weights = check.check_weights(W, weights.size, dtype)
    gradient = check.check_weights(dW, weights.size, dtype, "dW")
    with np.errstate(over="ignore"):
        new = weights - dtype.type(alpha) * gradient
    if not np.isfinite(new).all():
        raise ValueError(f"W - learning_rate * dW overflows {dtype}: choose a smaller learning_rate")
    return new.reshape(-1, 1), check.check_number(b, "b") - alpha * check.check_number(db, "db")


def _element_chunks(size: int) -> int:
    return max(1, min(64, size // (16 * _TILE)))
