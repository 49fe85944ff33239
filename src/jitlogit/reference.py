"""Logistic regression by gradient descent, as the textbook writes it, in NumPy.

This module is the specification: it is written to be read beside the derivation, and the compiled functions of the same
names in :mod:`jitlogit` are tested against it. It trusts its arguments; the compiled functions check theirs.

The system
----------
m examples, n features. X is (m, n), examples as rows; Y is (1, m) of 0 and 1; W is (n, 1) and b a scalar.

1. score              z = W . x + b                                  stacked: Z = (X W)^T + b, (1, m)
2. probability        y^ = sigmoid(z) = 1 / (1 + e^-z)               stacked: A, (1, m)
3. loss               L = -[y log y^ + (1 - y) log(1 - y^)]
4. cost               J = (1/m) sum L
5. chain rule         dL/dy^ = (y^ - y) / (y^ (1 - y^)),  dy^/dz = y^ (1 - y^),  dz/dW = x,  dz/db = 1;
                      the factors y^ (1 - y^) cancel:  dL/dW = (y^ - y) x  and  dL/db = y^ - y
6. gradient           dZ = A - Y;  dW = (1/m) X^T dZ^T, (n, 1);  db = (1/m) sum dZ
7. update             W := W - alpha dW,  b := b - alpha db

Sources: Ng, CS229 lecture notes, part II; Bishop, "Pattern Recognition and Machine Learning" (2006), section 4.3;
Bottou, Curtis and Nocedal, "Optimization Methods for Large-Scale Machine Learning" (2018) for mini-batches.
"""

from __future__ import annotations

import math
import sys
import warnings
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

#: A mean loss above this (in nats) means that the typical label has a probability that float64 can't hold: e^-745 = 0.
DIVERGED_COST = 745.0
#: Up to this many examples, a shuffle is `numpy.random.Generator.permutation`.
SMALL_SHUFFLE = 10_000
#: Examples in a block of ``shuffle="blocks"``.
BLOCK_ROWS = 4096


def sigmoid(z: Any) -> Any:
    """Step 2: 1 / (1 + e^-z), element by element.

    Written with e^-|z|, which is never above 1, so it neither overflows nor loses digits in either tail.

    Parameters
    ----------
    z : array_like, any shape
        Scores.

    Returns
    -------
    array of z's shape, float32 for float32 z, else float64
        Probabilities in [0, 1].
    """
    z = _as_float(z)
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
        Probability of class 1 for each example.
    """
    return np.asarray(sigmoid(_scores(_features(X, offset, scale), W, b)))


def compute_cost(A: Any, Y: Any) -> float:
    """Steps 3 and 4: J = -(1/m) sum [y log a + (1 - y) log(1 - a)].

    A probability that has been rounded to 0 or 1 has lost its score, so A is clipped to [eps, 1 - eps] first, eps being
    the spacing of its dtype at 1 (2.2e-16 for float64): no single loss comes out above -log(eps), 36 for float64.
    Training computes its costs from the scores, without this limit.

    Parameters
    ----------
    A : (1, m)
        Probabilities.
    Y : (1, m)
        Labels 0 and 1.

    Returns
    -------
    J : float
        Mean loss in nats.
    """
    A = _as_float(A)
    Y = np.asarray(Y)
    eps = np.finfo(A.dtype).eps
    A = np.clip(A, eps, 1 - eps)
    losses = -(Y * np.log(A) + (1 - Y) * np.log(1 - A))
    return float(np.mean(losses, dtype=np.float64))


def compute_gradients(X: Any, Y: Any, A: Any) -> tuple[Array, float]:
    """Step 6: dZ = A - Y, dW = (1/m) X^T dZ^T, db = (1/m) sum dZ.

    Parameters
    ----------
    X : (m, n)
    Y : (1, m)
    A : (1, m)
        Probabilities, from `forward_pass`.

    Returns
    -------
    dW : (n, 1)
    db : float
        Gradient of the cost J, a mean over the examples.
    """
    X = _as_float(X)
    m = X.shape[0]
    dZ = np.asarray(A, X.dtype) - np.asarray(Y, X.dtype)
    dW = X.T @ dZ.T / m
    db = float(np.mean(dZ, dtype=np.float64))
    return dW, db


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
    """
    W = _as_float(W)
    return W - W.dtype.type(learning_rate) * np.asarray(dW, W.dtype), float(b - learning_rate * db)


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
    """
    return (forward_pass(X, W, b, offset=offset, scale=scale) >= threshold).astype(np.int64)


def accuracy(predictions: Any, Y: Any) -> float:
    """Fraction of `predictions` (1, m) that equal the labels Y (1, m)."""
    return float(np.mean(np.ravel(predictions) == np.ravel(Y)))


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
) -> tuple[Array, float, list[float]]:
    """Gradient descent from W = 0 and b = 0.

    Parameters
    ----------
    X_train : (m, n)
        float32 and float64 are used as they are, other dtypes are converted once.
    Y_train : (1, m), (m,) or (m, 1)
        Labels 0 and 1.
    learning_rate : float
        alpha of the update.
    num_iterations : int
        Passes over the training set, whatever the batch size.
    batch_size : int or None
        None is batch gradient descent: one update per pass. 1 is stochastic, 32 to 256 usual for mini-batch gradient
        descent: ceil(m / batch_size) updates per pass, the last batch may be short.
    shuffle : bool or "blocks"
        True: each pass visits the examples in a new random order, which fixes its batches. "blocks": batches are
        of neighbours, and each pass visits blocks of batches in a new random order, see `shuffled_blocks`. Without
        effect if `batch_size` is None.
    random_state : None, int, SeedSequence or numpy.random.Generator
        Argument of `numpy.random.default_rng`, the source of the orders.
    record_every : int
        The cost of passes 0, record_every, 2 record_every, ... is recorded.
    verbose : bool
        Whether to show progress.
    offset, scale : None, float or (n,)
        The features trained on are (X - offset) / scale.

    Returns
    -------
    W : (n, 1), float64 for float64 X, else float32
    b : float
    costs : list of float
        Recorded costs: the mean of the losses seen during a pass, each before its own update. In batch gradient descent
        that is J before the update. A cost that isn't finite is left out.

    Warns
    -----
    RuntimeWarning
        If training diverged: the parameters were no longer finite, or the cost, looked at when it is recorded and in
        the last pass, exceeded `DIVERGED_COST`. Training then stops, with the last finite parameters.
    """
    X = _features(X_train, offset, scale)
    m, n = X.shape
    Y = np.reshape(Y_train, (1, m)).astype(X.dtype)
    if batch_size is None:
        batch_size, shuffle = m, False
    rng = np.random.default_rng(random_state)
    W = np.zeros((n, 1), X.dtype)
    b = 0.0
    costs: list[float] = []
    for iteration in range(num_iterations):
        record = iteration % record_every == 0
        look = record or iteration == num_iterations - 1  # at the cost, which takes time
        order = shuffled_order(m, rng) if shuffle is True else None
        starts = np.arange(0, m, batch_size)
        if shuffle == "blocks":
            starts = starts[shuffled_blocks(m, batch_size, rng)]
        loss_sum = 0.0
        W_before, b_before = W, b
        with np.errstate(over="ignore", invalid="ignore"):
            for start in starts:
                rows: Any = slice(start, start + batch_size)
                if order is not None:
                    rows = order[rows]
                X_batch, Y_batch = X[rows], Y[:, rows]
                Z = _scores(X_batch, W, b)
                if look:
                    loss_sum += _sum_of_losses(Z, Y_batch)
                A = sigmoid(Z)
                dW, db = compute_gradients(X_batch, Y_batch, A)
                W, b = update_parameters(W, b, dW, db, learning_rate)
        finite = bool(np.isfinite(W).all()) and math.isfinite(b)
        if record and math.isfinite(loss_sum):
            costs.append(loss_sum / m)
        if verbose and record:
            _show_progress(iteration, num_iterations, loss_sum / m)
        if not finite or not loss_sum / m <= DIVERGED_COST:
            warnings.warn(
                f"training diverged in iteration {iteration} and was stopped: try a learning_rate "
                f"below {learning_rate:g}, or scale the features",
                RuntimeWarning,
                stacklevel=2,
            )
            if not finite:
                W, b = W_before, b_before
            break
    if verbose and sys.stdout.isatty():
        print()
    return W, b, costs


def shuffled_order(m: int, rng: np.random.Generator) -> Array:
    """A random order of the examples 0 ... m - 1, which can be computed for each position by itself.

    Think of the numbers 0 ... R C - 1 in a grid of R rows and C columns, R C just above m. A round shifts each column
    cyclically by a random number of places, then each row; there are two rounds. That is a Feistel network with random
    round functions (Luby and Rackoff, "How to construct pseudorandom permutations from pseudorandom functions", 1988)
    over a domain of any size (Black and Rogaway, "Ciphers with arbitrary finite domains", 2002): a number that lands at
    m or beyond goes through the rounds again until it lands below.

    Unlike `Generator.permutation`, which shuffles up to `SMALL_SHUFFLE` examples (small grids are not random enough),
    it needs memory of sqrt(m) only and no order of computation, so the compiled kernels can walk it as they go.

    Parameters
    ----------
    m : int
        Number of examples.
    rng : numpy.random.Generator
        Draws four tables of about sqrt(m) integers.

    Returns
    -------
    (m,) of int64
    """
    if m <= SMALL_SHUFFLE:
        return rng.permutation(m)
    n_columns = math.isqrt(m - 1) + 1
    n_rows = -(-m // n_columns)
    column_shifts = rng.integers(n_rows, size=(2, n_columns))
    row_shifts = rng.integers(n_columns, size=(2, n_rows))
    order = np.arange(m)
    unplaced = np.arange(m)
    while unplaced.size:
        row, column = np.divmod(order[unplaced], n_columns)
        for round_ in range(2):
            row = (row + column_shifts[round_][column]) % n_rows
            column = (column + row_shifts[round_][row]) % n_columns
        order[unplaced] = row * n_columns + column
        unplaced = unplaced[order[unplaced] >= m]
    return order


def shuffled_blocks(m: int, batch_size: int, rng: np.random.Generator) -> Array:
    """The numbers of the batches, in blocks of neighbours that come in random order.

    A block is as many whole batches as hold `BLOCK_ROWS` examples, or a 64th of all if that is less, and one at least:
    long enough for the memory to be read at full rate.

    Returns
    -------
    (ceil(m / batch_size),) of int64
    """
    n_batches = -(-m // batch_size)
    length = max(1, min(BLOCK_ROWS, m // 64) // batch_size)
    blocks = rng.permutation(-(-n_batches // length))
    numbers = (blocks[:, None] * length + np.arange(length)).ravel()
    return np.asarray(numbers[numbers < n_batches])


def _features(values: Any, offset: Any, scale: Any) -> Array:
    """(X - offset) / scale, in X's precision."""
    X = _as_float(values)
    if offset is None and scale is None:
        return X
    moved = X - np.asarray(0 if offset is None else offset, np.float64)
    return np.asarray(moved / np.asarray(1 if scale is None else scale, np.float64), X.dtype)


def _as_float(values: Any) -> Array:
    """float32 and float64 as they are, anything else in the dtype that NumPy promotes it to beside a float32."""
    array: Array = np.asarray(values)
    if array.dtype.names == ("bfloat16",):  # the upper half of a float32
        wide: Array = np.left_shift(array["bfloat16"], 16, dtype=np.uint32).view(np.float32)
        return wide
    if array.dtype in (np.float32, np.float64):
        return array
    return array.astype(np.float32 if np.result_type(array, np.float32) == np.float32 else np.float64)


def _scores(X: Array, W: Any, b: Any) -> Array:
    """Step 1: Z = (X W)^T + b, (1, m)."""
    Z: Array = (X @ np.reshape(W, (-1, 1))).T + X.dtype.type(b)
    return Z


def _sum_of_losses(Z: Array, Y: Array) -> float:
    """Step 3 from the scores: L = log(1 + e^q), q the score of the class that the example does not belong to.

    With y = 0, L = -log(1 - sigmoid(z)) = log(1 + e^z); with y = 1, L = -log sigmoid(z) = log(1 + e^-z).
    """
    with np.errstate(under="ignore"):
        return float(np.sum(np.logaddexp(0, np.where(Y == 1, -Z, Z)), dtype=np.float64))


def _show_progress(iteration: int, num_iterations: int, cost: float) -> None:
    if sys.stdout.isatty():
        print(f"\riteration {iteration}/{num_iterations}  cost {cost:.6f}", end="", flush=True)
    else:
        print(f"Cost at iteration {iteration}: {cost:.6f}")
