"""What is measured of the data: means and variances of the features, and bounds on the curvature of the cost."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..compiler.threads import members_for, run
from ..kernels.passes.moment_sums import moments
from ..kernels.simd.arrays import PADDING
from ..kernels.steps.labels import class_weights
from ..kernels.storage.plan import plan
from .scaling import ScaledRows
from .validation import Array, as_rows, computed_dtype, is_sparse, raise_if_not_finite, widened

# Standard deviations of at most this part of a feature's mean are rounding errors: the feature counts as constant.
_CONSTANT = {np.dtype(np.float32): 1e-6, np.dtype(np.float64): 1e-14}
# Samples from which the curvature is estimated.
_USUAL_SAMPLES = 1000
# A sample whose squared length exceeds this part of the subset's curvature dominates it. Then the subset has as many
# samples as hold so many values.
_DOMINANT, _MANY_VALUES = 0.9, 1_000_000
# Power iterations end at this relative change. The curvature sets a step length, and a tenth is accurate enough for it.
_POWER_ITERATIONS, _POWER_TOLERANCE = 15, 0.02


def _moments(X: Any, sample_weight: Array | None, n_threads: int | None) -> tuple[Array, Array]:
    """Means and variances of the features of `X` from `check_X`, float64 (n,); the weights have mean 1.

    The first sample with a weight is subtracted before squares are summed, which keeps their digits. Sums of up to 256
    samples are in the data's own precision, sums of these in float64.

    Raises ValueError if X isn't finite, or its squares aren't.
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
    from sklearn.utils.sparsefuncs import mean_variance_axis

    if not np.isfinite(X.data.sum(dtype=np.float64)):  # scikit-learn would skip NaN
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
    """Means and variances of the features, and number and weights of the samples, over all samples seen so far.

    The formulas are from Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing sample
    variances" (1979).
    """

    n_rows: int = 0
    weight: float = 0.0
    mean: Any = 0.0
    variance: Any = 0.0
    class_weights: Any = ()  # (n_classes,) sums of the samples' weights
    dtype: np.dtype[Any] = np.dtype(np.float32)

    def after(
        self, X: Any, labels: Array, weights: Array | None, standardize: bool, n_threads: int | None
    ) -> RunningMoments:
        """The moments with more samples; without `standardize`, means are 0 and variances 1."""
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
        """Means and standard deviations of the features, float64 (n,); the deviation of constant features is 1."""
        scale = np.sqrt(self.variance)
        return self.mean, np.where(scale <= _CONSTANT[self.dtype] * np.abs(self.mean), 1.0, scale)


def curvature(
    X: Any, sample_weight: Array | None, offset: Array, scale: Array, fit_intercept: bool, rng: np.random.Generator
) -> tuple[float, float]:
    """Bounds on the largest eigenvalue of the cost's Hessian, and on the mean trace of the Hessians of single losses.

    The Hessian of a loss is at most x x^T / 4, where x has a 1 for the bias (Bohning, "Multinomial logistic regression
    algorithm", 1992). The first bound is the largest eigenvalue of the mean of these matrices, by power iteration. The
    second is the mean of their traces, in which weights are squared, as in the variance of a batch's gradient.

    Both come from a random subset of at most 1000 samples. That is too few where a few samples are much longer than the
    others: it may hold none of these, or too many. If one sample dominates the eigenvalue, a subset of a million values
    is taken.
    """
    m, n_values = X.shape[0], X.nnz if is_sparse(X) else X.size
    largest = trace = 0.0
    for size in sorted({min(m, _USUAL_SAMPLES), min(m, max(_USUAL_SAMPLES, m * _MANY_VALUES // max(1, n_values)))}):
        chosen = np.sort(rng.choice(m, size, replace=False)) if size < m else np.arange(m)
        weights = np.ones(size) if sample_weight is None else sample_weight[chosen].astype(np.float64)
        with np.errstate(over="ignore", invalid="ignore"):
            subset = ScaledRows(X[chosen], offset, scale)
            largest = _largest_eigenvalue(subset, weights, fit_intercept)
            squares = weights * (subset.squares() + fit_intercept)
            trace = float(np.sum(weights * squares) / size)
        if not squares.max() > _DOMINANT * largest * size:
            break
    return largest / 4, trace / 4


def _largest_eigenvalue(rows: ScaledRows, weights: Array, fit_intercept: bool) -> float:
    """Largest eigenvalue of the weighted mean of x x^T."""
    vector, of_bias = np.ones(rows.n_features), float(fit_intercept)
    largest = previous = 0.0
    for _ in range(_POWER_ITERATIONS):
        values = weights * (rows.times(vector) + of_bias) / weights.size
        before = np.hypot(np.linalg.norm(vector), of_bias)
        vector, of_bias = rows.transposed_times(values), fit_intercept * values.sum()
        length = np.hypot(np.linalg.norm(vector), of_bias)
        largest = float(length / before)
        if largest == 0:
            break
        vector, of_bias = vector / length, of_bias / length
        if abs(largest - previous) <= _POWER_TOLERANCE * largest:
            break
        previous = largest
    return largest
