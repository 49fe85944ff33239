"""Steps 1 to 7 of the system, and training."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import shapes
from .descent import Options, as_float, features, gradient_descent, mean_gradient, scores

Array = np.ndarray[Any, np.dtype[Any]]


def sigmoid(z: Any) -> Any:
    """Step 2: 1 / (1 + e^-z), element by element.

    Computed from e^-|z|, which is at most 1, so that it neither overflows nor loses digits in either tail.

    Parameters
    ----------
    z : array_like, any shape
        Scores.

    Returns
    -------
    array of z's shape, float32 for float32 z, else float64
        Probabilities in [0, 1].

    Examples
    --------
    >>> from jitlogit import reference
    >>> reference.sigmoid([-2.0, 0.0, 2.0]).round(4)
    array([0.1192, 0.5   , 0.8808])
    """
    z = as_float(z)
    with np.errstate(under="ignore"):
        e = np.exp(-np.abs(z))
        return np.where(z >= 0, 1, e) / (1 + e)


def forward_pass(X: Any, W: Any, b: Any, *, offset: Any = None, scale: Any = None) -> Array:
    """Steps 1 and 2: A = sigmoid((X W)^T + b).

    Parameters
    ----------
    X : (m, n)
    W : (n, 1)
    b : float
    offset, scale : None, float or (n,)
        The features are (X - offset) / scale.

    Returns
    -------
    A : (1, m)
        Probability of class 1 for each sample.

    Raises
    ------
    ValueError
        If an argument has the wrong shape.

    Examples
    --------
    >>> from jitlogit import reference
    >>> reference.forward_pass([[0.0, 1.0], [2.0, 1.0]], W=[[1.0], [-1.0]], b=0.0).round(3)
    array([[0.269, 0.731]])
    """
    X = features(X, offset, scale)
    return np.asarray(sigmoid(scores(X, shapes.column(W, "W", X.shape[1]), shapes.number(b, "b"))))


def compute_cost(A: Any, Y: Any) -> float:
    """Steps 3 and 4: J = -(1/m) sum [y log a + (1 - y) log(1 - a)].

    A probability rounded to 0 or 1 has lost its score, so A is clipped to [eps, 1 - eps]; eps is the spacing of its
    dtype at 1. No loss exceeds -log(eps), 36 for float64. Training computes costs from scores, without this
    limit.

    Parameters
    ----------
    A : (1, m)
        Probabilities.
    Y : (1, m), (m,) or (m, 1)
        Labels 0 and 1.

    Returns
    -------
    J : float
        Mean loss in nats.

    Raises
    ------
    ValueError
        If an argument has the wrong shape.

    Examples
    --------
    >>> from jitlogit import reference
    >>> round(reference.compute_cost([[0.9, 0.2]], [1, 0]), 4)  # the mean of -log 0.9 and -log 0.8
    0.1643
    """
    A = shapes.any_row(as_float(A), "A")
    Y = shapes.row(Y, "Y", A.size, of="A")
    eps = np.finfo(A.dtype).eps
    A = np.clip(A, eps, 1 - eps)
    losses = -(Y * np.log(A) + (1 - Y) * np.log(1 - A))
    return float(np.mean(losses, dtype=np.float64))


def compute_gradients(X: Any, Y: Any, A: Any) -> tuple[Array, float]:
    """Step 6: dZ = A - Y, dW = (1/m) X^T dZ^T, db = (1/m) sum dZ.

    Parameters
    ----------
    X : (m, n)
    Y : (1, m), (m,) or (m, 1)
    A : (1, m)
        Probabilities, from `forward_pass`.

    Returns
    -------
    dW : (n, 1)
    db : float
        Gradient of the cost J, a mean over the samples.

    Raises
    ------
    ValueError
        If an argument has the wrong shape.

    Examples
    --------
    >>> from jitlogit import reference
    >>> dW, db = reference.compute_gradients([[1.0, 2.0], [3.0, 4.0]], Y=[0, 1], A=[[0.5, 0.5]])  # dZ = [[0.5, -0.5]]
    >>> dW
    array([[-0.5],
           [-0.5]])
    >>> db
    0.0
    """
    X = features(X, None, None)
    Y, A = (shapes.row(values, name, X.shape[0]).astype(X.dtype) for values, name in ((Y, "Y"), (A, "A")))
    dW, db = mean_gradient(X, A - Y)
    return dW, float(db[0])


def update_parameters(W: Any, b: Any, dW: Any, db: Any, learning_rate: float) -> tuple[Array, float]:
    """Step 7: W - alpha dW and b - alpha db, in new objects.

    Parameters
    ----------
    W, dW : (n, 1)
    b, db : float
    learning_rate : float
        alpha. Too large, and the cost oscillates or diverges; too small, and training is slow.

    Returns
    -------
    W : (n, 1)
    b : float

    Raises
    ------
    ValueError
        If an argument has the wrong shape.

    Examples
    --------
    >>> from jitlogit import reference
    >>> W, b = reference.update_parameters([[1.0], [2.0]], 0.5, dW=[[0.5], [-1.0]], db=0.25, learning_rate=0.1)
    >>> W.round(3)
    array([[0.95],
           [2.1 ]])
    >>> round(b, 3)
    0.475
    """
    W = as_float(W)
    W = shapes.column(W, "W", W.size, of="weights of W")
    dW = shapes.column(dW, "dW", W.size, of="weights of W").astype(W.dtype)
    return W - W.dtype.type(learning_rate) * dW, shapes.number(b, "b") - learning_rate * shapes.number(db, "db")


def predict(X: Any, W: Any, b: Any, threshold: float = 0.5, *, offset: Any = None, scale: Any = None) -> Array:
    """Class 1 where the probability is at least `threshold`, else 0.

    Parameters
    ----------
    X : (m, n)
    W : (n, 1)
    b : float
    threshold : float
    offset, scale : None, float or (n,)
        The features are (X - offset) / scale.

    Returns
    -------
    (1, m) of int64

    Raises
    ------
    ValueError
        If an argument has the wrong shape.

    Examples
    --------
    >>> from jitlogit import reference
    >>> reference.predict([[-1.0], [0.0], [2.0]], [[1.0]], 0.0)  # the probability of the second is 0.5, which is enough
    array([[0, 1, 1]])
    """
    return (forward_pass(X, W, b, offset=offset, scale=scale) >= threshold).astype(np.int64)


def accuracy(predictions: Any, Y: Any) -> float:
    """Fraction of the predictions that equal the labels.

    Parameters
    ----------
    predictions : (1, m)
        Classes 0 and 1, from `predict`.
    Y : (1, m), (m,) or (m, 1)
        Labels 0 and 1.

    Returns
    -------
    float
        Between 0 and 1.

    Raises
    ------
    ValueError
        If an argument has the wrong shape.

    Examples
    --------
    >>> from jitlogit import reference
    >>> reference.accuracy([[1, 0, 1, 1]], [1, 0, 0, 1])
    0.75
    """
    predictions = shapes.any_row(predictions, "predictions")
    return float(np.mean(predictions == shapes.row(Y, "Y", predictions.size, of="predictions")))


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
) -> tuple[Array, float, list[float]]:
    """Gradient descent from W = 0 and b = 0.

    Parameters
    ----------
    X_train : (m, n)
        Dtypes other than float32 and float64 are converted once.
    Y_train : (1, m), (m,) or (m, 1)
        Labels 0 and 1.
    learning_rate : float
        alpha of step 7.
    num_iterations : int
        Epochs, whatever the batch size.
    batch_size : int or None
        Samples of an update; an epoch has ceil(m / batch_size) updates, the last batch may be short. None is batch
        gradient descent: one update per epoch.
    shuffle : bool or "blocks"
        True: each epoch takes the samples in the order of `shuffled_order`. "blocks": it takes the batches in the order
        of `shuffled_blocks`. No effect if `batch_size` is None.
    random_state : None, int, SeedSequence or numpy.random.Generator
        Argument of `numpy.random.default_rng`, which draws the orders.
    record_every : int
        The costs of epochs 0, record_every, 2 record_every, ... are recorded.
    verbose : bool
        Whether to show progress.
    offset, scale : None, float or (n,)
        The features trained on are (X - offset) / scale.
    sample_weight : None, (m,), (1, m) or (m, 1)
        The cost is the weighted mean of the losses, sum s_i L_i / sum s_i; that of a batch is the sum of its s_i L_i,
        divided by its size times the mean weight of all samples.
    alpha, l1_ratio : float
        The penalty alpha [(1 - l1_ratio) / 2 ||W||^2 + l1_ratio ||W||_1] is added to the cost; b is not penalised. The
        L2 part adds to the gradient, the L1 part is a proximal step after each update, see `soft_threshold`.
    optimizer : str
        How the gradient becomes an update, see `Optimizer`.
    schedule : str
        How the learning rate changes, see `scheduled_rate`; "adaptive" lowers it on a `Plateau` of the costs.
    average : bool
        Whether to return the mean of W and b after each update instead of the last ones. The first of several epochs is
        left out (Polyak and Juditsky, "Acceleration of stochastic approximation by averaging", 1992).

    Returns
    -------
    W : (n, 1), float64 for float64 X, else float32
    b : float
    costs : list of float
        Recorded costs, in nats: the mean of the losses of an epoch, each before its own update, without the penalty. In
        batch gradient descent that is J before the update. A cost that isn't finite is left out.

    Raises
    ------
    ValueError
        If an argument has the wrong shape.

    Warns
    -----
    RuntimeWarning
        If training diverged: parameters were no longer finite, or a recorded or the last cost exceeded `DIVERGED_COST`.
        Training then stops with the last finite parameters. Also if the mean loss of W and b, over some
        rows, exceeds the log 2 of W = 0 by a factor of `WORSE`, or, of several batches, `WORSE_OF_BATCHES`. Also if the
        last cost does, in batch gradient descent with "sgd". The learning rate is then too large.

    Examples
    --------
    >>> import numpy as np
    >>> from jitlogit import reference
    >>> X = np.random.default_rng(0).standard_normal((40, 2))
    >>> W, b, costs = reference.train_logistic_regression(X, X[:, 0] > X[:, 1], 0.5, num_iterations=20, record_every=10)
    >>> W.shape, [round(cost, 3) for cost in costs]  # the first cost is log 2, of W = 0
    ((2, 1), [0.693, 0.395])
    """
    X = features(X_train, offset, scale, "X_train")
    Y = shapes.row(Y_train, "Y_train", X.shape[0]).astype(X.dtype)

    def residuals(Z: Array, rows: Any) -> Array:
        return np.asarray(sigmoid(Z) - Y[:, rows])

    def losses(Z: Array, rows: Any) -> Array:
        # Step 3 from scores: -log(1 - sigmoid(z)) = log(1 + e^z) for y = 0, -log sigmoid(z) = log(1 + e^-z) for y = 1.
        with np.errstate(under="ignore"):
            return np.asarray(np.logaddexp(0, np.where(Y[:, rows] == 1, -Z, Z)))

    options = Options(batch_size, shuffle, record_every, verbose, alpha, l1_ratio, optimizer, schedule, average)
    rng = np.random.default_rng(random_state)
    W, b, costs = gradient_descent(X, 1, residuals, losses, sample_weight, learning_rate, num_iterations, rng, options)
    return W, float(b[0]), costs
