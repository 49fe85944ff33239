"""Score to probability, residual and loss, exact in both tails.

Residual and loss follow from ``u = exp(-|q|)`` in [0, 1]. Here q is the score of the class that the sample does *not*
belong to: q = z for y = 0, q = -z for y = 1. With s = +1 for y = 0 and -1 for y = 1,

* residual  A - Y = s sigmoid(q), and
* loss      L = log(1 + exp(q)) = max(q, 0) + log1p(u),

so neither subtracts two nearly equal numbers. The functions are branch-free arithmetic on lanes, because calling the C
library's ``exp`` for each score takes ten times as long.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from ...compiler.jit import STRICT, by_type, inline, strict
from ...compiler.types import is_single
from ..simd import lanes

strict_by_type = partial(by_type, fastmath=STRICT)

_INV_LOG2 = 1.4426950408889634
# log 2 = HIGH + LOW. HIGH has so few digits that its product with a small whole number is exact.
_LOG2_HIGH_32 = 0.693359375
_LOG2_LOW_32 = -2.12194440e-4
_LOG2_HIGH_64 = 0.6931471803691238
_LOG2_LOW_64 = 1.9082149292705877e-10

_ONE_32 = np.float32(1.0)
_TWO_32 = np.float32(2.0)
_SQRT_HALF_BITS_32 = 0x3F3504F3
_SQRT_HALF_BITS_64 = 0x3FE6A09E667F3BCD
_LOG2_32 = np.float32(0.6931471805599453)
_LOG2_64 = 0.6931471805599453
_ATANH_32 = tuple(np.float32(1.0 / d) for d in (9, 7, 5, 3))


def _exp_nonpositive_32(x):
    """exp(x) of lanes x <= 0 as 2^k exp(r), |r| <= log(2) / 2, by a Taylor polynomial; NaN stays NaN.

    Source of the reduction to r: Cody and Waite, Software Manual for the Elementary Functions, 1980.
    """
    x = lanes.where(x < -104.0, -104.0, x)  # below, exp rounds to zero
    k = lanes.rounded(x * _INV_LOG2)
    r = (x - k * _LOG2_HIGH_32) - k * _LOG2_LOW_32
    p = (r * (1.0 / 5040.0) + 1.0 / 720.0) * r + 1.0 / 120.0
    p = ((p * r + 1.0 / 24.0) * r + 1.0 / 6.0) * r + 0.5
    p = (p * r + 1.0) * r + 1.0
    # 2^k may be too small for a normal number, so 2^(k + 64) is built and scaled back.
    return p * lanes.power_of_two(k + 64.0) * 2.0**-64


def _exp_nonpositive_64(x):
    """As `_exp_nonpositive_32`, with a polynomial of degree 13."""
    x = lanes.where(x < -746.0, -746.0, x)
    k = lanes.rounded(x * _INV_LOG2)
    r = (x - k * _LOG2_HIGH_64) - k * _LOG2_LOW_64
    p = (r * (1.0 / 6227020800.0) + 1.0 / 479001600.0) * r + 1.0 / 39916800.0
    p = ((p * r + 1.0 / 3628800.0) * r + 1.0 / 362880.0) * r + 1.0 / 40320.0
    p = ((p * r + 1.0 / 5040.0) * r + 1.0 / 720.0) * r + 1.0 / 120.0
    p = ((p * r + 1.0 / 24.0) * r + 1.0 / 6.0) * r + 0.5
    p = (p * r + 1.0) * r + 1.0
    return p * lanes.power_of_two(k + 512.0) * 2.0**-512


def _log1p_unit_32(u):
    """log(1 + u) of lanes 0 <= u <= 1 as 2 atanh(s), s = u / (2 + u) <= 1/3, by its Taylor series."""
    s = u / (u + 2.0)
    w = s * s
    p = (w * (1.0 / 13.0) + 1.0 / 11.0) * w + 1.0 / 9.0
    p = (((p * w + 1.0 / 7.0) * w + 1.0 / 5.0) * w + 1.0 / 3.0) * w + 1.0
    return s * p * 2.0


def _log1p_unit_64(u):
    """As `_log1p_unit_32`, with sixteen terms."""
    s = u / (u + 2.0)
    w = s * s
    p = ((w * (1.0 / 31.0) + 1.0 / 29.0) * w + 1.0 / 27.0) * w + 1.0 / 25.0
    p = (((p * w + 1.0 / 23.0) * w + 1.0 / 21.0) * w + 1.0 / 19.0) * w + 1.0 / 17.0
    p = (((p * w + 1.0 / 15.0) * w + 1.0 / 13.0) * w + 1.0 / 11.0) * w + 1.0 / 9.0
    p = (((p * w + 1.0 / 7.0) * w + 1.0 / 5.0) * w + 1.0 / 3.0) * w + 1.0
    return s * p * 2.0


def _log_32(x):
    """log(x) of a positive normal x = 2^k f, 1/sqrt(2) <= f < sqrt(2), as k log 2 + 2 atanh((f - 1) / (f + 1))."""
    bits = np.float32(x).view(np.int32)
    k = np.int32(np.int32(bits - _SQRT_HALF_BITS_32) >> 23)
    f = np.int32(bits - (k << 23)).view(np.float32)
    s = (f - _ONE_32) / (f + _ONE_32)
    w = s * s
    p = ((_ATANH_32[0] * w + _ATANH_32[1]) * w + _ATANH_32[2]) * w + _ATANH_32[3]
    p = p * w + _ONE_32
    return np.float32(k) * _LOG2_32 + _TWO_32 * s * p


def _log_64(x):
    """As `_log_32`, with eleven terms."""
    bits = np.float64(x).view(np.int64)
    k = (bits - _SQRT_HALF_BITS_64) >> 52
    f = np.int64(bits - (k << 52)).view(np.float64)
    s = (f - 1.0) / (f + 1.0)
    w = s * s
    p = ((1.0 / 21.0) * w + 1.0 / 19.0) * w + 1.0 / 17.0
    p = (((p * w + 1.0 / 15.0) * w + 1.0 / 13.0) * w + 1.0 / 11.0) * w + 1.0 / 9.0
    p = (((p * w + 1.0 / 7.0) * w + 1.0 / 5.0) * w + 1.0 / 3.0) * w + 1.0
    return np.float64(k) * _LOG2_64 + 2.0 * s * p


@strict_by_type
def exp_nonpositive(x):
    """exp(x) of lanes x <= 0, relative error below 1e-7 (float32) and 3e-16 (float64)."""
    return _exp_nonpositive_32 if is_single(x) else _exp_nonpositive_64


@strict_by_type
def log1p_unit(u):
    """log(1 + u) of lanes 0 <= u <= 1."""
    return _log1p_unit_32 if is_single(u) else _log1p_unit_64


@strict_by_type
def log(x):
    """log(x) of a positive normal number."""
    return _log_32 if is_single(x) else _log_64


@inline
def sigmoid(z):
    """1 / (1 + exp(-z)) of lanes."""
    u = exp_nonpositive(lanes.absolute(z) * -1.0)
    return lanes.where(z >= 0.0, 1.0, u) / (u + 1.0)


@inline
def loss(q):
    """log(1 + exp(q)) of lanes."""
    return lanes.where(q < 0.0, 0.0, q) + log1p_unit(exp_nonpositive(lanes.absolute(q) * -1.0))


@inline
def residual(z, sign):
    """Residual A - Y of lanes, from the score and sign +1 for y = 0, -1 for y = 1."""
    return sign * sigmoid(sign * z)


# The functions below read and write whole lanes, beyond `count` too. No result depends on the numbers there.


@strict
def probabilities(z, count, out_probability):
    """Sigmoid of the first `count` scores, at least; `out_probability` may be `z`."""
    for t in range(0, count, lanes.width(z)):
        lanes.store(out_probability, t, sigmoid(lanes.load(z, t)))


@strict
def residuals(z, sign, count, out_residual):
    """Residuals A - Y of the first `count` scores; returns their sum over whole lanes.

    `sign` is +1 for y = 0 and -1 for y = 1. A sign of 0 makes the residual 0.
    """
    total = lanes.fill(z, 0.0)
    for t in range(0, count, lanes.width(z)):
        r = residual(lanes.load(z, t), lanes.load(sign, t))
        lanes.store(out_residual, t, r)
        total += r
    return lanes.total(total)


@strict
def losses(z, sign, count, out_loss):
    """Losses log(1 + exp(q)) of the first `count` scores, sign +1 for y = 0 and -1 for y = 1."""
    for t in range(0, count, lanes.width(z)):
        lanes.store(out_loss, t, loss(lanes.load(sign, t) * lanes.load(z, t)))


@strict
def clipped_losses(probability, labels, first, count, eps, out_loss):
    """Losses -log(a) for y = 1 and -log(1 - a) for y = 0, of `count` samples from `first` on.

    The probability a is clipped to [eps, 1 - eps].
    """
    one = probability.dtype.type(1)
    for t in range(count):
        a = probability[first + t]
        p = a if labels[first + t] else one - a
        p = p if p > eps else eps
        out_loss[t] = -log(p if p < one - eps else one - eps)
