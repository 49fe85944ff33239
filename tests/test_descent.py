"""L-BFGS alone: line searches, and steps by what earlier ones showed."""

from __future__ import annotations

import numpy as np
import pytest

from jitlogit.descent import minimise
from jitlogit.l1 import minimise_with_l1


def test_the_line_search_handles_steps_that_are_far_too_short_or_long():
    for factor in (1e-3, 1e3):
        found = minimise(
            lambda p: (float(np.sum(np.logaddexp(p - 3, 3 - p))), np.tanh(p - 3)),
            np.zeros((1, 2)),
            lambda g, factor=factor: factor * g,
            tol=1e-8,
            max_iter=100,
            rounding=1e-14,
        )
        np.testing.assert_allclose(found.parameters, 3, atol=1e-7)


def test_steps_that_were_too_long_are_scaled():
    curvature = np.linspace(1, 3, 40).reshape(1, -1) ** 3
    tries = []

    def cost(p):
        tries.append(1)
        return float(np.sum(curvature * np.log(np.cosh(p)))), curvature * np.tanh(p)

    start = np.full((1, 40), 2.0)
    found = minimise(cost, start, lambda g: 2 * g, tol=1e-8, max_iter=200, rounding=1e-13, memory=5)
    assert np.abs(found.gradient).max() <= 1e-8
    assert len(tries) < 1.3 * found.iterations + 5


def test_pairs_of_a_cost_that_is_nearly_the_same_save_steps():
    curvature = np.linspace(1, 30, 8).reshape(1, -1)

    def steps(centre, **begin):
        return minimise(
            lambda p: (float(np.sum(curvature * (p - centre) ** 2)) / 2, curvature * (p - centre)),
            np.zeros((1, 8)),
            lambda g: g / 30,
            tol=1e-8,
            max_iter=200,
            rounding=1e-14,
            memory=20,
            **begin,
        )

    alone = steps(1.1)
    np.testing.assert_allclose(alone.parameters, 1.1, atol=1e-7)
    assert steps(1.1, pairs=steps(1.0).pairs).iterations < 0.75 * alone.iterations


@pytest.mark.parametrize("rounding", [0.0, 1e-3])
def test_l1_penalties_end_at_the_closed_form_also_where_values_are_rounded(rounding):
    """Separable parabolas: soft thresholds of their minima. Rounded values stop the quasi-Newton steps early."""
    curvature = np.linspace(0.5, 4, 8).reshape(1, -1)
    centre, l1 = np.linspace(-1, 1, 8).reshape(1, -1), np.full(7, 0.4)
    told = []

    def cost(p):
        value = 3 + float(np.sum(curvature * (p - centre) ** 2)) / 2
        return round(value / rounding) * rounding if rounding else value, curvature * (p - centre)

    found = minimise_with_l1(
        cost, np.ones((1, 8)), l1, 1.0, 1e-6, 500, rounding, lambda *state: told.append(state[0]) or False
    )
    threshold = np.append(l1, 0.0) / curvature
    expected = np.sign(centre) * np.maximum(np.abs(centre) - threshold, 0)
    np.testing.assert_allclose(found.parameters, expected, atol=1e-5)
    assert np.array_equal(found.parameters == 0, expected == 0)
    assert np.abs(found.gradient).max() <= 1e-6
    assert told == list(range(found.iterations))
    stopped = minimise_with_l1(cost, np.ones((1, 8)), l1, 1.0, 1e-6, 500, rounding, lambda *state: state[0] == 1)
    assert stopped.stopped
    assert stopped.iterations == 2
