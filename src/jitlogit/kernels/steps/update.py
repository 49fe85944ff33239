"""One update of the parameters from the gradient of a mini-batch."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...compiler.jit import helper, inline
from ..simd import lanes

OPTIMIZERS = ("sgd", "momentum", "nesterov", "adagrad", "adam")
SGD, MOMENTUM, NESTEROV, ADAGRAD = range(4)
# As in `jitlogit.reference`.
KEPT = 0.9
_KEPT_MEAN = 0.9
_KEPT_SQUARE = 0.999
_ROOT_SHIFT = 1e-8


class Rule(NamedTuple):
    """An update that is more than plain gradient descent on features as they are stored.

    Features are x' = (x - offset) / scale. Parameters, weights w and then the bias, belong to these and are float64;
    what x itself is multiplied with, w / scale, follows from them. A member has a row of its own, all of them equal; or
    each class has.
    """

    optimizer: int  # place in OPTIMIZERS
    penalties: NDArray[np.float64]  # (2,) strength of ||w||^2 / 2 and of ||w||_1
    offset: NDArray[np.float64]  # (n,)
    inverse_scale: NDArray[np.float64]  # (n,)
    fit_intercept: bool
    averaging: NDArray[np.bool_]  # (1,) whether parameters are averaged
    parameters: NDArray[np.float64]  # (rows, n + 1 and up to whole cache lines)
    first: NDArray[np.float64]  # likewise: sum or mean of gradients
    second: NDArray[np.float64]  # likewise: sum or mean of squares
    mean: NDArray[np.float64]  # likewise: of parameters after updates
    gradient: NDArray[np.float64]  # likewise: sum of gradients since it was last zero; or empty
    counts: NDArray[np.int64]  # (rows, a cache line) updates; of which averaged


@inline
def descend(step, gradient, n_features, out_weights):
    """Gradient descent: weights_j -= step * gradient_j, in the gradient's precision; the gradient is then zero."""
    rate = lanes.fill(gradient, step)
    nothing = lanes.fill(gradient, 0.0)
    for j in range(0, n_features, lanes.width(gradient)):
        lanes.store(out_weights, j, lanes.load(out_weights, j) - rate * lanes.load(gradient, j))
        lanes.store(gradient, j, nothing)


@helper
def fetch_parameters(rule, member):
    """Make a member's copies equal to the first one's."""
    for source in (rule.parameters, rule.first, rule.second, rule.mean):
        for j in range(source.shape[1]):
            source[member, j] = source[0, j]
    for k in range(2):
        rule.counts[member, k] = rule.counts[0, k]


@helper
def apply(rule, row, rate, size, total, out_weights, out_bias):
    """Update by the sums over a batch's rows, of x (A - Y) and then of A - Y; `total` is worked in.

    `jitlogit.reference` has the formulas.
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
    if rule.gradient.size:
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
    """What features as they are stored are multiplied with."""
    n_features = offset.size
    bias = parameters[n_features]
    for j in range(n_features):
        out_weights[j] = parameters[j] * inverse_scale[j]
        bias -= out_weights[j] * offset[j]  # of the weight as it was rounded
    out_bias[0] = bias


@helper
def _step(optimizer, t, rate, n_features, gradient, first, second, parameters):
    """One step of an optimizer by the gradient (n + 1,)."""
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
    """The proximal step of the L1 norm, by as much as the optimizer's step would take of a gradient of 1 kept up."""
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
    with_gradient: bool = True,
) -> Rule:
    """Parameters and state of an update, zeros; with the sum of gradients if it is wanted."""
    shape = rows, -(-(n_features + 1) // 8) * 8
    return Rule(
        OPTIMIZERS.index(optimizer),
        np.array([l2, l1]),
        np.zeros(n_features) if offset is None else offset,
        np.ones(n_features) if scale is None else 1 / scale,
        fit_intercept,
        np.zeros(1, np.bool_),
        np.zeros(shape),
        np.zeros(shape),
        np.zeros(shape),
        np.zeros(shape),
        np.zeros(shape if with_gradient else (0, 0)),
        np.zeros((rows, 8), np.int64),
    )


def start(rule: Rule, row: int, initial: NDArray[Any], out_weights: NDArray[Any], out_bias: NDArray[Any]) -> None:
    """Begin with other parameters than zero (n + 1,), in a row."""
    n_features = rule.offset.size
    rule.parameters[row, : n_features + 1] = initial
    weights = initial[:-1] * rule.inverse_scale
    out_weights[:n_features] = weights
    out_bias[0] = initial[-1] - float(out_weights[:n_features].astype(np.float64) @ rule.offset)
