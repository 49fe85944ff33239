"""More than two classes: softmax regression.

For classes k = 0 ... K - 1, with W (n, K) and b (K,):

1. scores             z_k = W_k . x + b_k                            stacked: Z = (X W)^T + b, (K, m)
2. probabilities      a_k = e^z_k / sum_l e^z_l                      stacked: A, (K, m)
3. loss               L = -log a_y = log sum_l e^z_l - z_y
4. cost               J = (1/m) sum L
5. chain rule         dL/dz_k = a_k - [y = k]
6. gradient           dZ = A - Y, Y one-hot (K, m);  dW = (1/m) X^T dZ^T, (n, K);  db = (1/m) sum dZ, (K,)
7. update             W := W - alpha dW,  b := b - alpha db

Source: Bishop, "Pattern Recognition and Machine Learning" (2006), section 4.3.4. With two classes, the difference of
the two columns of W is the binary system's W.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from . import shapes
from .descent import Options, as_float, features, gradient_descent, scores

Array = np.ndarray[Any, np.dtype[Any]]


def softmax(Z: Any) -> Array:
    """Step 2: probabilities of scores, each column by itself.

    The largest score of a column is subtracted first, which avoids overflow.

    Parameters
    ----------
    Z : array_like (K, m)
        Scores.

    Returns
    -------
    (K, m), float32 for float32 Z, else float64
        Columns sum to 1.

    Raises
    ------
    ValueError
        If `Z` has no classes.

    Examples
    --------
    >>> from jitlogit import reference
    >>> reference.softmax([[0.0, 1000.0], [0.0, 0.0]])
    array([[0.5, 1. ],
           [0.5, 0. ]])
    """
    Z = as_float(Z)
    with np.errstate(under="ignore"):
        e = np.exp(Z - Z.max(axis=0))
        return np.asarray(e / e.sum(axis=0))


def forward_softmax(X: Any, W: Any, b: Any, *, offset: Any = None, scale: Any = None) -> Array:
    """Steps 1 and 2: A = softmax((X W)^T + b).

    Parameters
    ----------
    X : (m, n)
    W : (n, K)
    b : (K,)
    offset, scale : None, float or (n,)
        The features are (X - offset) / scale.

    Returns
    -------
    A : (K, m), float64 for float64 X, else float32
        Probabilities of the classes for each sample.

    Raises
    ------
    ValueError
        If an argument has the wrong shape.

    Examples
    --------
    >>> from jitlogit import reference
    >>> A = reference.forward_softmax([[1.0], [-1.0]], W=[[2.0, 0.0, 0.0]], b=[0.0, 0.0, 0.0])
    >>> A.shape, A.argmax(axis=0)  # a row for each class
    ((3, 2), array([0, 1]))
    """
    X = features(X, offset, scale)
    b = shapes.any_row(b, "b")[0]
    if np.shape(W) != (X.shape[1], b.size):
        raise ValueError(
            f"W must be of shape (n, K) = ({X.shape[1]}, {b.size}), a row for each feature of X and a column for each "
            f"number of b; got shape {np.shape(W)}: pass W.T if its rows are the classes"
        )
    return softmax(scores(X, W, b))


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
) -> tuple[Array, Array, list[float]]:
    """Gradient descent from W = 0 and b = 0 for several classes.

    Parameters
    ----------
    X_train : (m, n)
    y_train : (m,)
        Labels 0 ... n_classes - 1.
    n_classes : int or None
        K; None for the largest label plus 1.
    learning_rate, num_iterations and the others
        As in `train_logistic_regression`; the norms of the penalty are over all weights.

    Returns
    -------
    W : (n, K), float64 for float64 X, else float32
    b : (K,) of float64
    costs : list of float

    Raises
    ------
    ValueError
        If an argument has the wrong shape.

    Warns
    -----
    RuntimeWarning
        As `train_logistic_regression`, with log K instead of log 2.

    Examples
    --------
    >>> import numpy as np
    >>> from jitlogit import reference
    >>> X = np.random.default_rng(0).standard_normal((40, 3))
    >>> W, b, costs = reference.train_softmax_regression(X, X.argmax(axis=1), 0.5, num_iterations=20, record_every=10)
    >>> W.shape, b.shape, [round(cost, 3) for cost in costs]  # the first cost is log 3, of W = 0
    ((3, 3), (3,), [1.099, 0.425])
    """
    X = features(X_train, offset, scale, "X_train")
    y = shapes.row(y_train, "y_train", X.shape[0])[0]
    K = int(y.max()) + 1 if n_classes is None else n_classes
    Y = (np.arange(K)[:, None] == y).astype(X.dtype)

    def residuals(Z: Array, rows: Any) -> Array:
        return np.asarray(softmax(Z) - Y[:, rows])

    def losses(Z: Array, rows: Any) -> Array:
        Z = Z - Z.max(axis=0)
        with np.errstate(under="ignore"):
            return np.asarray(np.log(np.exp(Z).sum(axis=0)) - (Y[:, rows] * Z).sum(axis=0))[None]

    options = Options(batch_size, shuffle, record_every, verbose, alpha, l1_ratio, optimizer, schedule, average)
    rng = np.random.default_rng(random_state)
    return gradient_descent(X, K, residuals, losses, sample_weight, learning_rate, num_iterations, rng, options)
