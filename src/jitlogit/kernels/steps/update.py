"""One update of the parameters by the gradient of a mini-batch; `jitlogit.reference` has the formulas."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...compiler.jit import helper, inline
from ..simd import lanes

OPTIMIZERS = ("sgd", "momentum", "nesterov", "adagrad", "adam")
SGD, MOMENTUM, NESTEROV, ADAGRAD = range(4)
# Decay per update of momentum's and Nesterov's sum, and of Adam's two means. `jitlogit.reference` has the same.
KEPT = 0.9
_KEPT_MEAN, _KEPT_SQUARE = 0.9, 0.999
# Added to the roots that Adagrad and Adam divide by, in units of the gradient.
_ROOT_SHIFT = 1e-8


class Rule(NamedTuple):
    """An optimizer, penalties and scaled features, for updates beyond plain gradient descent on features as stored.

    Features are x' = (x - offset) / scale. The float64 parameters, weights w and then the bias, belong to x'. Kernels
    multiply x by w / scale, which follows from them. The arrays have a row for each member, all equal, or for each
    class.
    """

    optimizer: int  # place in OPTIMIZERS
    penalties: NDArray[np.float64]  # (2,) factors of ||w||^2 / 2 and of ||w||_1 beside the mean loss
    offset: NDArray[np.float64]  # (n,)
    inverse_scale: NDArray[np.float64]  # (n,)
    fit_intercept: bool
    sums_gradients: bool
    averaging: NDArray[np.bool_]  # (1,) whether parameters are averaged
    parameters: NDArray[np.float64]  # (rows, n + 1, rounded up to whole cache lines)
    first: NDArray[np.float64]  # same shape: sum or mean of gradients
    second: NDArray[np.float64]  # same shape: sum or mean of squared gradients
    mean: NDArray[np.float64]  # same shape: mean of the parameters after each update
    gradient: NDArray[np.float64]  # same shape: sum of the gradients of an epoch, if `sums_gradients`
    counts: NDArray[np.int64]  # (rows, 8): updates, updates in `mean`, and the rest of a cache line


@inline
def descend(step, gradient, n_features, out_weights):
    """Gradient descent: weights_j -= step * gradient_j in the gradient's precision; clears the gradient."""
    rate = lanes.fill(gradient, step)
    zeros = lanes.fill(gradient, 0.0)
    for j in range(0, n_features, lanes.width(gradient)):
        lanes.store(out_weights, j, lanes.load(out_weights, j) - rate * lanes.load(gradient, j))
        lanes.store(gradient, j, zeros)


@helper
def apply(rule, row, rate, size, total, out_weights, out_bias):
    """Update a row of the rule by `total` (n + 1,), which is overwritten.

    It holds the sums of x (A - Y) over the `size` samples of a batch, and then of A - Y.
    """
    offset, inverse_scale = rule.offset, rule.inverse_scale
    parameters, first, second = rule.parameters[row], rule.first[row], rule.second[row]
    n_features = offset.size
    residual_sum = total[n_features]
    l2, l1 = rule.penalties[0], rule.penalties[1]
    counts = rule.counts[row]
    counts[0] += 1
    for j in range(n_features):
        gradient = (total[j] - offset[j] * residual_sum) * inverse_scale[j]
        total[j] = gradient / size + l2 * parameters[j]
    total[n_features] = residual_sum / size if rule.fit_intercept else 0.0
    if rule.sums_gradients:
        gradient_sum = rule.gradient[row]
        for j in range(n_features + 1):
            gradient_sum[j] += total[j]
    _step(rule.optimizer, counts[0], rate, n_features, total, first, second, parameters)
    if l1 > 0:
        _shrink(rule.optimizer, counts[0], rate * l1, n_features, second, parameters)
    _fold(offset, inverse_scale, parameters, out_weights, out_bias)
    if rule.averaging[0]:
        counts[1] += 1
        mean = rule.mean[row]
        for j in range(n_features + 1):
            mean[j] += (parameters[j] - mean[j]) / counts[1]


@helper
def _fold(offset, inverse_scale, parameters, out_weights, out_bias):
    """Weights and bias for features as they are stored."""
    n_features = offset.size
    bias = parameters[n_features]
    for j in range(n_features):
        out_weights[j] = parameters[j] * inverse_scale[j]
        bias -= out_weights[j] * offset[j]  # the rounded weight, so that scores fit
    out_bias[0] = bias


@helper
def _step(optimizer, t, rate, n_features, gradient, first, second, parameters):
    if optimizer == SGD:
        for j in range(n_features + 1):
            parameters[j] -= rate * gradient[j]
    elif optimizer == MOMENTUM:
        for j in range(n_features + 1):
            first[j] = KEPT * first[j] + gradient[j]
            parameters[j] -= rate * first[j]
    elif optimizer == NESTEROV:
        for j in range(n_features + 1):
            first[j] = KEPT * first[j] + gradient[j]
            parameters[j] -= rate * (gradient[j] + KEPT * first[j])
    elif optimizer == ADAGRAD:
        for j in range(n_features + 1):
            second[j] += gradient[j] * gradient[j]
            parameters[j] -= rate * gradient[j] / (math.sqrt(second[j]) + _ROOT_SHIFT)
    else:
        correction = 1 / (1 - _KEPT_SQUARE**t)
        corrected = rate / (1 - _KEPT_MEAN**t)
        for j in range(n_features + 1):
            first[j] = _KEPT_MEAN * first[j] + (1 - _KEPT_MEAN) * gradient[j]
            second[j] = _KEPT_SQUARE * second[j] + (1 - _KEPT_SQUARE) * gradient[j] * gradient[j]
            parameters[j] -= corrected * first[j] / (math.sqrt(second[j] * correction) + _ROOT_SHIFT)


@helper
def _shrink(optimizer, t, rate_times_l1, n_features, second, parameters):
    """The proximal step of the L1 norm. Its threshold is the optimizer's step for a constant gradient l1."""
    kept = (1 - KEPT**t) / (1 - KEPT)
    correction = 1 / (1 - _KEPT_SQUARE**t)
    for j in range(n_features):
        if optimizer == SGD:
            factor = 1.0
        elif optimizer == MOMENTUM:
            factor = kept
        elif optimizer == NESTEROV:
            factor = 1 + KEPT * kept
        elif optimizer == ADAGRAD:
            factor = 1 / (math.sqrt(second[j]) + _ROOT_SHIFT)
        else:
            factor = 1 / (math.sqrt(second[j] * correction) + _ROOT_SHIFT)
        threshold = rate_times_l1 * factor
        parameters[j] -= min(max(parameters[j], -threshold), threshold)


def make_rule(
    optimizer: str,
    l2: float,
    l1: float,
    offset: NDArray[Any] | None,
    scale: NDArray[Any] | None,
    n_features: int,
    rows: int,
    fit_intercept: bool = True,
    sums_gradients: bool = True,
) -> Rule:
    """A rule whose parameters and state are zeros."""
    shape = rows, -(-(n_features + 1) // 8) * 8
    return Rule(
        OPTIMIZERS.index(optimizer),
        np.array([l2, l1]),
        np.zeros(n_features) if offset is None else offset,
        np.ones(n_features) if scale is None else 1 / scale,
        fit_intercept,
        sums_gradients,
        np.zeros(1, np.bool_),
        np.zeros(shape),
        np.zeros(shape),
        np.zeros(shape),
        np.zeros(shape),
        np.zeros(shape if sums_gradients else (0, 0)),
        np.zeros((rows, 8), np.int64),
    )


def start(rule: Rule, row: int, initial: NDArray[Any], out_weights: NDArray[Any], out_bias: NDArray[Any]) -> None:
    """Set a row's parameters to `initial` (n + 1,), before the first update."""
    n_features = rule.offset.size
    rule.parameters[row, : n_features + 1] = initial
    weights = initial[:-1] * rule.inverse_scale
    out_weights[:n_features] = weights
    out_bias[0] = initial[-1] - float(out_weights[:n_features].astype(np.float64) @ rule.offset)
