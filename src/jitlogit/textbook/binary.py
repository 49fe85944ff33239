"""Two classes on compiled kernels: training and predictions; the formulas are in `jitlogit.reference`."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..data import validation as check
from ..data.prediction import forward
from ..data.scaling import raw_parameters
from ..data.tables import columns_told
from ..data.validation import Array
from ..training.divergence import warn_if_it_failed
from ..training.loop import TrainingResult, train
from ..training.problem import Problem, check_steps


def forward_pass(X: Any, W: Any, b: Any, *, offset: Any = None, scale: Any = None) -> Array:
    """Probability of class 1 for each sample, A = sigmoid((X W)^T + b).

    Parameters
    ----------
    X : array_like (n_samples, n_features)
        Used as in `train_logistic_regression`, without a copy.
    W : array_like (n_features, 1) or (n_features,)
        Weights; rounded to float32 unless `X` is float64.
    b : float
        Bias.
    offset, scale : None, float or array_like (n_features,)
        The features are (X - offset) / scale, as in `train_logistic_regression`.

    Returns
    -------
    A : (1, n_samples), float64 for float64 X, else float32

    Raises
    ------
    ValueError, TypeError
        If an argument has the wrong shape or type, or isn't finite.

    Examples
    --------
    >>> import jitlogit
    >>> jitlogit.forward_pass([[0.0, 1.0], [2.0, 1.0]], W=[[1.0], [-1.0]], b=0.0).round(3)
    array([[0.269, 0.731]])
    >>> jitlogit.forward_pass([[10.0], [30.0]], [[1.0]], 0.0, offset=20, scale=10).round(3)  # features -1 and 1
    array([[0.269, 0.731]])
    """
    rows = check.check_X(X)
    out = np.empty(rows.shape[0], check.computed_dtype(rows))
    with columns_told(X):
        forward(rows, *_folded(rows, W, b, offset, scale), out, 0.5)
    return out.reshape(1, -1)


def predict(X: Any, W: Any, b: Any, threshold: float = 0.5, *, offset: Any = None, scale: Any = None) -> Array:
    """Class 1 where the probability is at least `threshold`, else 0.

    Parameters
    ----------
    X, W, b, offset, scale
        As in `forward_pass`.
    threshold : float
        Between 0 and 1.

    Returns
    -------
    (1, n_samples) of int64

    Raises
    ------
    ValueError, TypeError
        As `forward_pass`, and if the threshold isn't between 0 and 1.

    Examples
    --------
    >>> import jitlogit
    >>> X, W, b = [[-1.0], [0.0], [2.0]], [[1.0]], 0.0
    >>> jitlogit.predict(X, W, b)  # the probability of the second is 0.5, which is enough
    array([[0, 1, 1]])
    >>> jitlogit.predict(X, W, b, threshold=0.7)
    array([[0, 0, 1]])
    """
    rows = check.check_X(X)
    out = np.empty(rows.shape[0], np.int64)
    with columns_told(X):
        forward(rows, *_folded(rows, W, b, offset, scale), out, check.check_fraction(threshold, "threshold"))
    return out.reshape(1, -1)


def accuracy(predictions: Any, Y: Any) -> float:
    """Fraction of the predictions that equal the labels.

    Parameters
    ----------
    predictions : array_like (1, n_samples), (n_samples,) or (n_samples, 1)
        Classes 0 and 1, from `predict`.
    Y : array_like (1, n_samples), (n_samples,) or (n_samples, 1)
        Labels 0 and 1.

    Returns
    -------
    float
        Between 0 and 1.

    Raises
    ------
    ValueError, TypeError
        If the lengths differ, or values other than 0 and 1 are found.

    Examples
    --------
    >>> import jitlogit
    >>> jitlogit.accuracy([[1, 0, 1, 1]], [1, 0, 0, 1])
    0.75
    """
    n_samples = check.check_row(predictions, "predictions").size
    predicted = check.check_labels(predictions, n_samples, "predictions")
    return float(np.mean(predicted == check.check_labels(Y, n_samples)))


def train_logistic_regression(
    X_train: Any,
    Y_train: Any,
    learning_rate: float = 0.01,
    num_iterations: int = 1000,
    *,
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
) -> tuple[Array, float, list[float]]:
    """Train by gradient descent from W = 0 and b = 0.

    Parameters
    ----------
    X_train : array_like (n_samples, n_features)
        Arrays and memory maps in C or F order are used without a copy if they are float32, float64, uint8, int8, bool,
        float16 or bfloat16 (of ml_dtypes, or uint16 bits viewed as `jitlogit.bfloat16`). Kernels compute in float64 for
        float64 X, else in float32. Strided arrays are copied once, other dtypes converted once.
    Y_train : array_like (1, n_samples), (n_samples,) or (n_samples, 1)
        Labels 0 and 1.
    learning_rate : float
        Factor of the gradient of the mean loss over a batch.
    num_iterations : int
        Epochs, whatever the batch size.
    batch_size : int or None
        Samples of an update; an epoch has ceil(n_samples / batch_size) updates, the last batch may be short. None is
        batch gradient descent: one update per epoch. 1 is stochastic; 32 to 256 are usual.
    shuffle : bool or "blocks"
        True: each epoch visits the samples in a new random order, which fixes its batches. "blocks": a batch is of
        neighbours, and each epoch visits blocks of batches (about 4096 samples, at most a 64th of all) in a new random
        order. Blocks are faster, but never use them on sorted samples. No effect if `batch_size` is None.
    random_state : None, int, SeedSequence or numpy.random.Generator
        Argument of `numpy.random.default_rng`, which draws the orders.
    record_every : int
        The costs of epochs 0, record_every, 2 record_every, ... are recorded.
    verbose : bool
        Whether to show progress: a live line on a terminal, else a line for each recorded cost.
    offset, scale : None, float or array_like (n_features,)
        Training is on (X - offset) / scale, computed without a copy of X; W and b belong to these features. `scale` is
        positive: 255 for bytes, say. In float32, columns whose offset is thousands of times their scale lose digits.
    sample_weight : None or array_like (n_samples,), (1, n_samples) or (n_samples, 1)
        Not negative. The cost is the weighted mean of the losses, sum s_i L_i / sum s_i; that of a batch is the sum of
        its s_i L_i, divided by its size times the mean weight of all samples.
    alpha, l1_ratio : float
        The penalty alpha [(1 - l1_ratio) / 2 ||W||^2 + l1_ratio ||W||_1] is added to the cost; the bias is not
        penalised. A proximal step after each update makes weights exactly zero for the L1 part. alpha is not negative,
        l1_ratio lies between 0 and 1.
    optimizer : "sgd", "momentum", "nesterov", "adagrad" or "adam"
        How the gradient becomes an update, see `jitlogit.reference.Optimizer`.
    schedule : "constant", "invscaling", "cosine", "step" or "adaptive"
        How the learning rate changes, see `jitlogit.reference.scheduled_rate` and `jitlogit.reference.Plateau`.
    average : bool
        Whether to return the mean of the parameters after each update instead of the last ones (Polyak-Ruppert
        averaging). The first of several epochs is left out.
    pack : bool
        Whether X may be copied for the time of the fit, where that saves time and half of the available memory holds
        the copy. F-ordered rows are copied to C order if they are shuffled, in two epochs or more; and, without a full
        shuffle, in eight or more, if they have at least 16 features, and a batch at most 256 bytes of each. Narrow rows
        are packed: up to 8 features of float32 or 10 of a smaller dtype in C order, and 16 to 32 of float32 in F order,
        in batches of 32 or more, without a full shuffle. A copy changes results by rounding.
    n_threads : int or None
        Most threads to use, None for as many as Numba is set to. Results have the same bits for any number.

    Returns
    -------
    W : (n_features, 1), float64 for float64 X, else float32
    b : float
    costs : list of float
        Recorded costs, in nats: the mean of the losses of an epoch, each before its own update, without the penalty. In
        batch gradient descent that is J before the update. A cost that isn't finite is left out.

    Raises
    ------
    ValueError, TypeError
        If an argument has the wrong shape, type or value, labels other than 0 and 1 are found, or X isn't finite.

    Warns
    -----
    RuntimeWarning
        If training diverged: parameters were no longer finite, or a recorded or the last cost exceeded 745 nats.
        Training then stops with the last finite parameters. Also if the mean loss of W and b is above 1.01 times the
        log 2 of W = 0 (1.05 times with several batches an epoch); of more than 1000 samples, some are looked at. Also
        if the last cost is, in batch gradient descent with "sgd". The learning rate is then too large.
    UserWarning
        If `batch_size` is more than n_samples; it is clipped.

    Examples
    --------
    >>> import numpy as np
    >>> import jitlogit
    >>> X = np.random.default_rng(0).standard_normal((40, 2))
    >>> Y = X[:, 0] > X[:, 1]
    >>> W, b, costs = jitlogit.train_logistic_regression(X, Y, 0.5, num_iterations=20, record_every=10)
    >>> W.shape, [round(cost, 3) for cost in costs]  # the first cost is log 2, of W = 0
    ((2, 1), [0.693, 0.395])
    >>> jitlogit.accuracy(jitlogit.predict(X, W, b), Y)
    0.975

    Mini-batches are shuffled; a seed makes that repeatable:

    >>> W, b, _ = jitlogit.train_logistic_regression(X, Y, 0.5, 2, batch_size=10, random_state=0)
    >>> again, _, _ = jitlogit.train_logistic_regression(X, Y, 0.5, 2, batch_size=10, random_state=0)
    >>> np.array_equal(W, again)
    True
    """
    X = check.check_X(X_train, "X_train")
    labels = check.check_labels(Y_train, X.shape[0], "Y_train")
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
        pack=check.check_bool(pack, "pack"),
    )
    result = run_training(X_train, problem, rate, num_iterations, random_state, n_threads, record_every, verbose)
    warn_if_it_failed(problem, rate, result)
    return result.weights.T, float(result.bias[0]), result.costs


def run_training(
    X_train: Any,
    problem: Problem,
    rate: float,
    num_iterations: Any,
    random_state: Any,
    n_threads: Any,
    record_every: Any,
    verbose: bool,
) -> TrainingResult:
    """Check the arguments that are no part of the problem, and train; errors name the columns of X_train."""
    with columns_told(X_train, "X_train"):
        return train(
            problem,
            rate,
            check.check_count(num_iterations, "num_iterations"),
            check.check_random_state(random_state),
            check.check_n_threads(n_threads),
            record_every=check.check_count(record_every, "record_every"),
            verbose=verbose,
        )


def _folded(X: Array, W: Any, b: Any, offset: Any, scale: Any) -> tuple[Array, float]:
    """Return weights (n,) and bias for X as it is stored, from W and b of the features (X - offset) / scale."""
    bias = check.check_number(b, "b")
    offset, scale = check.check_scaling(offset, scale, X.shape[1])
    if offset is None:
        return check.check_weights(W, X.shape[1], check.computed_dtype(X)), bias
    weights, folded = raw_parameters(check.check_weights(W, X.shape[1], np.dtype(np.float64)), bias, offset, scale)
    return weights.astype(check.computed_dtype(X)), float(folded)
