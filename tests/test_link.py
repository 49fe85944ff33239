"""Probabilities, residuals and losses against 60-digit arithmetic, in both tails."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from conftest import JIT_OFF, assert_close

import jitlogit
from jitlogit.compiler.jit import kernel
from jitlogit.kernels.simd.arrays import PADDING
from jitlogit.kernels.steps import link


# Kernels call these, Python can't: an entry point for each.
@kernel
def _probabilities(z, count, out):
    link.probabilities(z, count, out)


@kernel
def _residuals(z, sign, count, out):
    link.residuals(z, sign, count, out)


@kernel
def _losses(z, sign, count, out):
    link.losses(z, sign, count, out)


@kernel
def clipped_losses(a, labels, first, count, eps, out):
    link.clipped_losses(a, labels, first, count, eps, out)


def padded(values):
    return np.concatenate([values, np.zeros(PADDING, values.dtype)])


def in_lanes(entry):
    """Call with room for whole lanes behind the arrays."""

    def call(*arguments):
        *given, count, out = arguments
        room = padded(out)
        entry(*map(padded, given), count, room)
        out[:] = room[: out.size]

    return call


probabilities, residuals, losses = map(in_lanes, (_probabilities, _residuals, _losses))

# Largest relative error of a result that is a normal number: a few units in the last place.
TOLERANCE = {np.float32: 3e-7, np.float64: 6e-16}

SCORES = np.concatenate(
    [
        np.linspace(-12, 12, 25 if JIT_OFF else 1201),
        np.geomspace(1e-30, 800, 20 if JIT_OFF else 400),
        -np.geomspace(1e-30, 800, 20 if JIT_OFF else 400),
        [0.0, 37, -37, 1000, -1000, 1e20, -1e20],
    ]
)


def exact(function, values):
    with mpmath.workdps(60):
        return [function(mpmath.mpf(float(value))) for value in values]


def assert_relative(actual, expected, dtype):
    """Within the tolerance where the result is normal, within the smallest normal number below."""
    tiny = float(np.finfo(dtype).tiny)
    for got, want in zip(actual.tolist(), expected, strict=True):
        if not abs(got - want) <= TOLERANCE[dtype] * abs(want) + (tiny if abs(want) < tiny else 0):
            raise AssertionError(f"{got} instead of {mpmath.nstr(want, 20)}")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_probabilities(dtype):
    z = SCORES.astype(dtype)
    out = np.empty_like(z)
    probabilities(z, z.size, out)
    assert_relative(out, exact(lambda v: 1 / (1 + mpmath.exp(-v)), z), dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("label", [0, 1])
def test_residuals_and_losses(dtype, label):
    z = SCORES.astype(dtype)
    sign = np.full(z.size, 1 - 2 * label, dtype)
    out = np.empty_like(z)
    residuals(z, sign, z.size, out)
    # A - Y, and not A rounded and then Y taken away
    assert_relative(out, exact(lambda v: -1 / (1 + mpmath.exp(v)) if label else 1 / (1 + mpmath.exp(-v)), z), dtype)
    losses(z, sign, z.size, out)
    assert_relative(out, exact(lambda v: mpmath.log1p(mpmath.exp(-v if label else v)), z), dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_not_a_number_is_carried_through(dtype):
    z = np.array([0.0, np.nan, 1.0], dtype)
    sign = np.ones(3, dtype)
    for function in (residuals, losses):
        out = np.zeros(3, dtype)
        with np.errstate(invalid="ignore"):
            function(z, sign, 3, out)
        assert np.isnan(out).tolist() == [False, True, False]
    assert np.isnan(jitlogit.sigmoid(z)).tolist() == [False, True, False]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_clipped_losses(dtype):
    eps = np.finfo(dtype).eps
    p = np.array([0.0, 1e-3, 0.25, 0.5, 0.75, 0.999, 1 - eps, 1.0] * 2, dtype)
    labels = np.repeat([0, 1], 8).astype(np.uint8)
    out = np.empty_like(p)
    clipped_losses(p, labels, 0, p.size, eps, out)
    clipped = np.clip(p, eps, 1 - eps)
    right = np.where(labels == 1, clipped, 1 - clipped)
    assert_relative(out, exact(lambda v: -mpmath.log(v), right), dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sigmoid_of_any_shape(dtype):
    z = SCORES[:24].astype(dtype).reshape(2, 3, 4)
    out = jitlogit.sigmoid(z[:, ::-1])
    assert out.dtype == dtype
    assert_close(out, jitlogit.reference.sigmoid(z[:, ::-1]), TOLERANCE[dtype])
    assert jitlogit.sigmoid(0) == 0.5
    assert np.ndim(jitlogit.sigmoid(0.0)) == 0
    assert jitlogit.sigmoid([]).shape == (0,)
