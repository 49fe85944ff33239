"""Softmax regression on compiled kernels; the formulas are in `jitlogit.reference`."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..data import validation as check
from ..data.prediction import probabilities_of, scores_of
from ..data.scaling import raw_parameters
from ..data.tables import columns_told
from ..data.validation import Array
from ..training.divergence import warn_if_it_failed
from ..training.problem import Problem, check_steps
from .binary import run_training


def forward_softmax(X: Any, W: Any, b: Any, *, offset: Any = None, scale: Any = None) -> Array:
    """Probabilities of the classes for each sample, A = softmax((X W)^T + b).

    Parameters
    ----------
    X : array_like (n_samples, n_features)
        Used as in `train_logistic_regression`, without a copy.
    W : array_like (n_features, n_classes)
    b : array_like (n_classes,)
    offset, scale : None, float or array_like (n_features,)
        The features are (X - offset) / scale.

    Returns
    -------
    A : (n_classes, n_samples), float64 for float64 X, else float32

    Raises
    ------
    ValueError, TypeError
        If an argument has the wrong shape or type, or isn't finite.

    Examples
    --------
    >>> import jitlogit
    >>> A = jitlogit.forward_softmax([[1.0], [-1.0]], W=[[2.0, 0.0, 0.0]], b=[0.0, 0.0, 0.0])
    >>> A.shape  # a row for each class
    (3, 2)
    >>> A.sum(axis=0).round(6), A.argmax(axis=0)
    (array([1., 1.]), array([0, 1]))
    """
    table, X = X, check.check_X(X)
    bias = check.check_row(b, "b").astype(np.float64)
    weights = np.asarray(W, np.float64)
    if weights.shape != (X.shape[1], bias.size) or bias.size < 2:
        raise ValueError(
            f"W must have shape (n_features, n_classes) = ({X.shape[1]}, {bias.size}), b a number for each of two "
            f"classes or more; got {weights.shape} and {bias.shape}"
        )
    if not (np.isfinite(weights).all() and np.isfinite(bias).all()):
        raise ValueError("W and b must be finite; got NaN or inf")
    offset, scale = check.check_scaling(offset, scale, X.shape[1])
    coef = weights.T
    if offset is not None:
        coef, bias = raw_parameters(coef, bias, offset, scale)
    with columns_told(table):
        scores = scores_of(X, coef, bias)
    return np.ascontiguousarray(probabilities_of(scores).T)


def train_softmax_regression(
    X_train: Any,
    y_train: Any,
    learning_rate: float = 0.01,
    num_iterations: int = 1000,
    *,
    n_classes: int | None = None,
    batch_size: int | None = None,
    shuffle: bool | str = True,
    random_state: Any = None,
    record_every: int = 100,
    verbose: bool = False,
    offset: Any = None,
    scale: Any = None,
    sample_weight: Any = None,
    alpha: float = 0.0,
    l1_ratio: float = 0.0,
    optimizer: str = "sgd",
    schedule: str = "constant",
    average: bool = False,
    pack: bool = True,
    n_threads: int | None = None,
) -> tuple[Array, Array, list[float]]:
    """Train a softmax of two classes or more by gradient descent from W = 0 and b = 0.

    Parameters
    ----------
    X_train : array_like (n_samples, n_features)
        Used as in `train_logistic_regression`.
    y_train : array_like (n_samples,)
        Labels 0 ... n_classes - 1, whole numbers.
    n_classes : int or None
        At least 2; None for the largest label plus 1.
    learning_rate, num_iterations and the others
        As in `train_logistic_regression`; the norms of the penalty are over all weights.

    Returns
    -------
    W : (n_features, n_classes), float64 for float64 X, else float32
    b : (n_classes,) of float64
    costs : list of float
        As in `train_logistic_regression`.

    Raises
    ------
    ValueError, TypeError
        If an argument has the wrong shape, type or value, or X isn't finite.

    Warns
    -----
    RuntimeWarning, UserWarning
        As `train_logistic_regression`, with log n_classes instead of log 2.

    Examples
    --------
    >>> import numpy as np
    >>> import jitlogit
    >>> X = np.random.default_rng(0).standard_normal((40, 3))
    >>> y = X.argmax(axis=1)
    >>> W, b, costs = jitlogit.train_softmax_regression(X, y, 0.5, num_iterations=20, record_every=10)
    >>> W.shape, b.shape, [round(cost, 3) for cost in costs]  # the first cost is log 3, of W = 0
    ((3, 3), (3,), [1.099, 0.425])
    >>> predicted = jitlogit.forward_softmax(X, W, b).argmax(axis=0)
    >>> bool((predicted == y).mean() > 0.9)
    True
    """
    X = check.check_X(X_train, "X_train")
    labels, count = check.check_class_labels(y_train, X.shape[0], n_classes)
    rate = check.check_positive(learning_rate, "learning_rate")
    order = check.check_shuffle(shuffle)
    offset, scale = check.check_scaling(offset, scale, X.shape[1])
    problem = Problem(
        X,
        labels,
        check.check_batch_size(batch_size, X.shape[0]),
        order if batch_size is not None else False,
        check.check_sample_weight(sample_weight, X.shape[0], check.computed_dtype(X)),
        offset,
        scale,
        check_steps(optimizer, schedule, alpha, l1_ratio, average),
        n_classes=count,
        pack=check.check_bool(pack, "pack"),
    )
    result = run_training(X_train, problem, rate, num_iterations, random_state, n_threads, record_every, verbose)
    warn_if_it_failed(problem, rate, result)
    return result.weights.T, result.bias, result.costs
