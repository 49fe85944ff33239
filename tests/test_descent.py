"""L-BFGS alone: line searches, and steps by what earlier ones showed."""

from __future__ import annotations

import numpy as np
import pytest

from jitlogit.optimum.lbfgs import Pairs, Stopping, minimise
from jitlogit.optimum.proximal import minimise_with_l1


def test_the_line_search_handles_steps_that_are_far_too_short_or_long():
    for factor in (1e-3, 1e3):
        found = minimise(
            lambda p: (float(np.sum(np.logaddexp(p - 3, 3 - p))), np.tanh(p - 3)),
            np.zeros((1, 2)),
            lambda g, factor=factor: factor * g,
            Stopping(1e-8, 100, 1e-14),
        )
        np.testing.assert_allclose(found.parameters, 3, atol=1e-7)


def test_steps_that_were_too_long_are_scaled():
    curvature = np.linspace(1, 3, 40).reshape(1, -1) ** 3
    tries = []

    def cost(p):
        tries.append(1)
        return float(np.sum(curvature * np.log(np.cosh(p)))), curvature * np.tanh(p)

    start = np.full((1, 40), 2.0)
    found = minimise(cost, start, lambda g: 2 * g, Stopping(1e-8, 200, 1e-13), pairs=Pairs(5))
    assert np.abs(found.gradient).max() <= 1e-8
    assert len(tries) < 1.3 * found.iterations + 5


def test_a_probe_tells_how_long_the_first_step_may_be():
    hessian = np.eye(50) + 1.0  # one direction is 51 times as curved as the others
    evaluations = []

    def cost(p):
        evaluations.append(1)
        return float(np.sum(p @ hessian * p)) / 2 - p.sum(), p @ hessian - 1

    taken = []
    for probe in (False, True):
        evaluations.clear()
        found = minimise(cost, np.zeros((1, 50)), lambda g: g, Stopping(1e-8, 50, 1e-14), probe=probe)
        np.testing.assert_allclose(found.parameters, 1 / 51, atol=1e-8)
        taken.append(len(evaluations))
    assert taken[1] == 3 < taken[0]


def test_pairs_of_a_cost_that_is_nearly_the_same_save_steps():
    curvature = np.linspace(1, 30, 8).reshape(1, -1)

    def steps(centre, pairs):
        return minimise(
            lambda p: (float(np.sum(curvature * (p - centre) ** 2)) / 2, curvature * (p - centre)),
            np.zeros((1, 8)),
            lambda g: g / 30,
            Stopping(1e-8, 200, 1e-14),
            pairs=pairs,
        )

    alone = steps(1.1, Pairs(20))
    np.testing.assert_allclose(alone.parameters, 1.1, atol=1e-7)
    assert steps(1.1, steps(1.0, Pairs(20)).pairs).iterations < 0.75 * alone.iterations


def two_loops(gradient, pairs, solve, scaled):
    """Nocedal and Wright, algorithm 7.4."""
    q, factors = gradient.copy(), []
    for step, change in reversed(pairs):
        factors.append(np.vdot(step, q) / np.vdot(step, change))
        q -= factors[-1] * change
    q = solve(q)
    if scaled:
        step, change = pairs[-1]
        q *= np.vdot(step, change) / np.vdot(change, solve(change))
    for (step, change), factor in zip(pairs, reversed(factors), strict=True):
        q += step * (factor - np.vdot(change, q) / np.vdot(step, change))
    return q


def test_products_of_pairs_give_what_two_loops_over_them_give():
    rng = np.random.default_rng(0)
    curvature, gradient = np.linspace(1, 9, 12).reshape(2, 6), rng.standard_normal((2, 6))
    kept, pairs = Pairs(4), []
    kept._products[:] = np.nan

    def solve(g):
        return g / np.linspace(2, 4, 12).reshape(2, 6)

    for _ in range(2):
        np.testing.assert_allclose(kept.inverse_times(gradient, solve, True), solve(gradient))
        for count in range(1, 8):
            step = rng.standard_normal((2, 6))
            pairs.append((step, curvature * step + 0.1 * rng.standard_normal((2, 6))))
            kept.add(*pairs[-1])
            assert len(kept) == min(count, 4)
            for scaled in (False, True):
                found = kept.inverse_times(gradient, solve, scaled)
                np.testing.assert_allclose(found, two_loops(gradient, pairs[-4:], solve, scaled), rtol=1e-10)
        kept.add(step, -step)
        assert len(kept) == 4
        kept.clear()
        pairs.clear()


def test_pairs_that_are_orthogonal_but_for_rounding_leave_a_direction():
    rng = np.random.default_rng(0)
    for _ in range(300):
        step, change = rng.standard_normal((2, 1, 50))
        change -= step * (np.vdot(step, change) / np.vdot(step, step))
        kept = Pairs(2)
        kept.add(step, change)
        direction = kept.inverse_times(change, lambda g: g, False)
        assert direction.shape == (1, 50)
        assert np.vdot(direction, change) > 0


@pytest.mark.parametrize("rounding", [0.0, 1e-3])
def test_l1_penalties_end_at_the_closed_form_also_where_values_are_rounded(rounding):
    """Separable parabolas: soft thresholds of their minima. Rounded values stop the quasi-Newton steps early."""
    curvature = np.linspace(0.5, 4, 8).reshape(1, -1)
    centre, l1 = np.linspace(-1, 1, 8).reshape(1, -1), np.full(7, 0.4)
    told = []

    def cost(p):
        value = 3 + float(np.sum(curvature * (p - centre) ** 2)) / 2
        return round(value / rounding) * rounding if rounding else value, curvature * (p - centre)

    stopping = Stopping(1e-6, 500, rounding, lambda *state: told.append(state[0]) or False)
    found = minimise_with_l1(cost, np.ones((1, 8)), l1, 1.0, stopping)
    threshold = np.append(l1, 0.0) / curvature
    expected = np.sign(centre) * np.maximum(np.abs(centre) - threshold, 0)
    np.testing.assert_allclose(found.parameters, expected, atol=1e-5)
    assert np.array_equal(found.parameters == 0, expected == 0)
    assert np.abs(found.gradient).max() <= 1e-6
    assert told == list(range(found.iterations))
    stopping = stopping._replace(on_step=lambda *state: state[0] == 1)
    stopped = minimise_with_l1(cost, np.ones((1, 8)), l1, 1.0, stopping)
    assert stopped.stopped
    assert stopped.iterations == 2
