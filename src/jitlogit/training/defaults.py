"""What the data say about how to train on them: location and scale of the features, curvature of the cost."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from ..compiler.threads import members_for, run
from ..data.scaling import ScaledRows
from ..data.validation import Array, as_rows, computed_dtype, is_sparse, raise_if_not_finite, widened
from ..kernels.passes.moment_sums import moments
from ..kernels.simd.arrays import PADDING
from ..kernels.steps.labels import class_weights
from ..kernels.storage.plan import plan

# Rows that the curvature is measured on, and iterations: its use is a step length, for which a tenth is close enough.
_SAMPLE_ROWS = 1000
# Where one of them alone makes up so much of the curvature, rows that hold so many values are taken instead.
_ALONE = 0.9
_SAMPLE_VALUES = 1_000_000
_POWER_ITERATIONS = 15
_POWER_TOLERANCE = 0.02
_LEAST_BATCH, _USUAL_BATCH, _LARGE_BATCH = 32, 64, 256
_VISITS = 1_000_000
# For so many rows, that are enough for few epochs.
_MANY_ROWS = 20_000
_LEAST_EPOCHS, _MOST_EPOCHS_OF_MANY, _MOST_EPOCHS = 5, 10, 1000
# Momentum adds up ten steps, and so ten times the noise; with more classes, losses are less curved than their bounds.
_MOMENTUM_NOISE, _MOMENTUM_NOISE_OF_CLASSES = 10.0, 3.0
# Rates of optimizers whose steps don't depend on the gradient's size; adam's for one feature.
_ADAGRAD_RATE, _ADAM_RATE = 0.1, 0.45
# Where there are so many, some vary in few rows only, like pixels at the margin: they want steps of their own.
_MANY_FEATURES = 256
# Standard deviations below this part of a column's largest value are rounding errors.
_CONSTANT = {np.dtype(np.float32): 1e-6, np.dtype(np.float64): 1e-14}


def _moments(X: Any, sample_weight: Array | None, n_threads: int | None) -> tuple[Array, Array]:
    """Means and variances of the columns of `X` from `check_X`, float64 (n,); weights are of mean 1.

    Squares are summed of differences from the first row that counts, in the data's own precision for up to 256 rows,
    then in float64. Raises ValueError if X isn't finite, or its squares aren't.
    """
    if is_sparse(X):
        return _sparse_moments(X, sample_weight)
    m, n = X.shape
    dtype = computed_dtype(X)
    shift = np.zeros(n + PADDING, dtype)
    first_row = 0 if sample_weight is None else int(np.argmax(sample_weight > 0))
    shift[:n] = widened(X[first_row : first_row + 1])[0]
    cut = plan(m, X)
    sums = np.empty((cut.n_chunks, 2, n))
    members = members_for(n_threads, cut.n_chunks, X.nbytes)
    blocks = np.zeros((members, 2, n + PADDING), dtype)
    run(moments, members, as_rows(X), sample_weight, shift, blocks, sums)
    with np.errstate(over="ignore", invalid="ignore"):
        first, second = sums.sum(axis=0) / m
        variance = second - first**2
    if not np.isfinite(variance).all():
        _raise_for_squares(X)
    return shift[:n] + first, np.maximum(variance, 0)


def _sparse_moments(X: Any, sample_weight: Array | None) -> tuple[Array, Array]:
    from sklearn.utils.sparsefuncs import mean_variance_axis  # which takes NaN for a gap

    if not np.isfinite(X.data.sum(dtype=np.float64)):
        raise_if_not_finite(X)
    with np.errstate(over="ignore", invalid="ignore"):
        mean, variance = mean_variance_axis(X, axis=0, weights=sample_weight)
    if not np.isfinite(variance).all():
        _raise_for_squares(X)
    return mean.astype(np.float64), np.maximum(variance.astype(np.float64), 0)  # rounding makes constants negative


def _raise_for_squares(X: Any) -> None:
    raise_if_not_finite(X)
    raise ValueError(f"X holds values so large that their squares overflow {computed_dtype(X)}: scale its columns")


class RunningMoments(NamedTuple):
    """Means and variances of the features, and numbers and weights of rows, of all seen so far.

    Combined as in Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances"
    (1979).
    """

    n_rows: int = 0
    weight: float = 0.0
    mean: Any = 0.0
    variance: Any = 0.0
    class_weights: Any = ()  # (n_classes,) sums of the rows' weights
    dtype: np.dtype[Any] = np.dtype(np.float32)

    def after(
        self, X: Any, labels: Array, weights: Array | None, standardize: bool, n_threads: int | None
    ) -> RunningMoments:
        """With more rows; unless they are to be standardised, means stay 0 and scales 1."""
        mean_weight = 1.0 if weights is None else float(np.mean(weights, dtype=np.float64))
        dtype = computed_dtype(X)
        mean, variance = np.zeros(X.shape[1]), np.ones(X.shape[1])
        if standardize:
            mean, variance = _moments(
                X, None if weights is None else np.divide(weights, mean_weight, dtype=dtype), n_threads
            )
        total = self.weight + X.shape[0] * mean_weight
        part = X.shape[0] * mean_weight / total
        difference = mean - self.mean
        return RunningMoments(
            self.n_rows + X.shape[0],
            total,
            self.mean + difference * part,
            self.variance * (1 - part) + variance * part + difference**2 * part * (1 - part),
            self.class_weights + class_weights(labels, weights, np.size(self.class_weights)),
            dtype,
        )

    def mean_and_scale(self) -> tuple[Array, Array]:
        """Means of the features, and standard deviations, 1 for constant ones; float64 (n,)."""
        scale = np.sqrt(self.variance)
        return self.mean, np.where(scale <= _CONSTANT[self.dtype] * np.abs(self.mean), 1.0, scale)


def auto_batch_size(m: int) -> int:
    """Rows of a batch: few for few rows, so that an epoch has several updates."""
    return min(m, max(_LEAST_BATCH, min(_USUAL_BATCH, m // 64), min(_LARGE_BATCH, m // 1024)))


def auto_epochs(m: int, full_batch: bool) -> int:
    """As many epochs as visit a million rows, but few where there are many; the most of batch gradient descent."""
    if full_batch:
        return _MOST_EPOCHS
    most = _MOST_EPOCHS if m < _MANY_ROWS else _MOST_EPOCHS_OF_MANY
    return max(_LEAST_EPOCHS, min(most, -(-_VISITS // m)))


def auto_optimizer(X: Any) -> str:
    """Adam for dense rows of many features, else Nesterov's momentum, which leaves features alone that a row lacks."""
    return "nesterov" if is_sparse(X) or X.shape[1] < _MANY_FEATURES else "adam"


def auto_learning_rate(
    X: Any,
    sample_weight: Array | None,
    offset: Array,
    scale: Array,
    fit_intercept: bool,
    optimizer: str,
    l2: float,
    batch_size: int,
    binary: bool,
    rng: np.random.Generator,
) -> float:
    """A learning rate at which training is stable, and fast.

    Stochastic gradient descent with batches of B rows contracts for rates up to  2 / (L + (T - L) / B),  L the largest
    eigenvalue of the mean Hessian and T that of the mean of the squared Hessians of rows over L, at most the mean of
    their traces (Bottou, Curtis and Nocedal, "Optimization Methods for Large-Scale Machine Learning", 2018, section
    4.2; Ma, Bassily and Belkin, "The power of interpolation", 2018). Half of that is taken, the curvature `l2` of the
    penalty added to L. Momentum adds up ten steps, and so ten times the noise; of softmax's, three times are counted,
    since the probabilities of several classes are mostly far from 1/2, where L and T would be reached. The steps of
    adagrad and adam have the size of the rate, whatever the gradient's, and suit standardised features; one of adam's
    changes all n weights, and so scores by the rate times the square root of n, which is kept.
    """
    if optimizer == "adagrad":
        return _ADAGRAD_RATE
    if optimizer == "adam":
        return _ADAM_RATE / math.sqrt(X.shape[1])
    largest, trace = curvature(X, sample_weight, offset, scale, fit_intercept, rng)
    noise = trace / batch_size if batch_size < X.shape[0] else 0.0
    if optimizer != "sgd":
        noise *= _MOMENTUM_NOISE if binary else _MOMENTUM_NOISE_OF_CLASSES
    bound = largest + l2 + noise
    if not np.isfinite(bound):
        raise_if_not_finite(X)
        raise ValueError("X holds values so large that no learning rate is small enough: scale its columns")
    return 1 / bound if bound > 0 else 1.0


def curvature(
    X: Any, sample_weight: Array | None, offset: Array, scale: Array, fit_intercept: bool, rng: np.random.Generator
) -> tuple[float, float]:
    """Bounds on the largest second derivative of the mean loss, and on its mean over single rows.

    A loss's Hessian is at most x x^T / 4, x with a 1 for the bias (Bohning, "Multinomial logistic regression
    algorithm", 1992). The first bound is the largest eigenvalue of the mean of these, by power iteration, the second
    the mean of their traces; of rows as often as they weigh; both of a random sample of at most 1000 rows. Of rare and
    long rows, a small sample has too many or none: where its longest alone makes up the eigenvalue, as many as hold a
    million values are taken, if these are more.
    """
    m, n_values = X.shape[0], X.nnz if is_sparse(X) else X.size
    largest = trace = 0.0
    for size in sorted({min(m, _SAMPLE_ROWS), min(m, max(_SAMPLE_ROWS, m * _SAMPLE_VALUES // max(1, n_values)))}):
        chosen = np.sort(rng.choice(m, size, replace=False)) if size < m else np.arange(m)
        weights = np.ones(size) if sample_weight is None else sample_weight[chosen].astype(np.float64)
        with np.errstate(over="ignore", invalid="ignore"):
            sample = ScaledRows(X[chosen], offset, scale)
            largest = _largest_eigenvalue(sample, weights, fit_intercept)
            squares = weights * (sample.squares() + fit_intercept)
            trace = float(np.sum(weights * squares) / size)
        if not squares.max() > _ALONE * largest * size:
            break
    return largest / 4, trace / 4


def _largest_eigenvalue(sample: ScaledRows, weights: Array, fit_intercept: bool) -> float:
    """Of the weighted mean of x x^T."""
    vector, of_bias = np.ones(sample.n_features), float(fit_intercept)
    largest = previous = 0.0
    for _ in range(_POWER_ITERATIONS):
        values = weights * (sample.times(vector) + of_bias) / weights.size
        before = np.hypot(np.linalg.norm(vector), of_bias)
        vector, of_bias = sample.transposed_times(values), fit_intercept * values.sum()
        length = np.hypot(np.linalg.norm(vector), of_bias)
        largest = float(length / before)
        if largest == 0:
            break
        vector, of_bias = vector / length, of_bias / length
        if abs(largest - previous) <= _POWER_TOLERANCE * largest:
            break
        previous = largest
    return largest
