"""From parameters to the minimum of a convex cost with an L1 penalty."""

from __future__ import annotations

from functools import partial

import numpy as np
from scipy.optimize import Bounds, OptimizeResult, minimize

from ..data.validation import Array
from .lbfgs import Found, Function, Stopping, largest

_MOST_TRIES = 20  # evaluations of the cost per iteration, on average


def minimise_with_l1(cost: Function, parameters: Array, l1: Array, curvature: float, stopping: Stopping) -> Found:
    """Minimise a smooth cost plus  sum_j l1_j |w_j|  over parameters (K, n + 1), the last column of which are biases.

    L-BFGS-B takes few steps, but none that lowers the cost by less than its rounding; proximal steps go on from there.
    The gradient in the result is minus the last proximal step over its length, which is zero at the minimum.

    The penalty l1 is (n,): biases have none. The curvature is a guess of the gradient's Lipschitz constant.
    """
    found = _by_parts(cost, parameters, l1, stopping)
    done = found.iterations
    if largest(found.gradient) <= stopping.tol or found.stopped or done == stopping.max_iter:
        return found
    found = _by_proximal_steps(cost, found.parameters, l1, curvature, stopping.after(done))
    return found._replace(iterations=done + found.iterations)


def _shrunk(weights: Array, by: Array) -> Array:
    """Weights nearer to zero by that much, or zero."""
    return np.asarray(np.sign(weights) * np.maximum(np.abs(weights) - by, 0))


def _by_parts(cost: Function, parameters: Array, l1: Array, stopping: Stopping) -> Found:
    """By L-BFGS-B on the weights' positive and negative parts, in which the penalty is linear.

    Schmidt, Fung and Rosales, "Fast optimization methods for L1 regularization", 2007.
    """
    tol, max_iter, _, on_step = stopping
    n_scores, n = parameters.shape[0], l1.size
    size, iterations, stopped = n_scores * n, 0, False

    def joined(parts: Array) -> Array:
        weights = (parts[:size] - parts[size : 2 * size]).reshape(n_scores, n)
        return np.column_stack([weights, parts[2 * size :]])

    def of_parts(parts: Array) -> tuple[float, Array]:
        value, gradient = cost(joined(parts))
        slopes = gradient[:, :-1]
        penalty = float(np.tile(l1, 2 * n_scores) @ parts[: 2 * size])
        return value + penalty, np.concatenate([(slopes + l1).ravel(), (l1 - slopes).ravel(), gradient[:, -1]])

    def after_step(intermediate_result: OptimizeResult) -> None:
        nonlocal iterations, stopped
        iterations += 1
        state = intermediate_result  # SciPy passes the state to this name only
        if on_step and on_step(iterations - 1, float(state.fun), partial(joined, state.x)):
            stopped = True
            raise StopIteration

    weights = parameters[:, :-1].ravel()
    parts = np.concatenate([np.maximum(weights, 0), np.maximum(-weights, 0), parameters[:, -1]])
    if max_iter > 0:  # else SciPy makes a step all the same
        parts = minimize(
            of_parts,
            parts,
            jac=True,
            method="L-BFGS-B",
            bounds=Bounds(np.append(np.zeros(2 * size), np.full(n_scores, -np.inf))),
            callback=after_step,
            options={"maxiter": max_iter, "maxfun": _MOST_TRIES * max_iter, "gtol": tol, "ftol": 0.0},
        ).x
    found = joined(parts)
    value, gradient = cost(found)
    threshold = np.append(l1, 0.0)
    step = found - _shrunk(found - gradient, threshold)
    return Found(found, value + float(np.sum(threshold * np.abs(found))), step, iterations, stopped)


def _by_proximal_steps(cost: Function, parameters: Array, l1: Array, curvature: float, stopping: Stopping) -> Found:
    """By accelerated proximal gradient descent, restarted where the momentum points uphill.

    Beck and Teboulle, "A fast iterative shrinkage-thresholding algorithm for linear inverse problems", 2009; O'Donoghue
    and Candes, "Adaptive restart for accelerated gradient schemes", 2015. A step that proves `curvature` too small
    doubles it.
    """
    tol, max_iter, rounding, on_step = stopping
    threshold = np.append(l1, 0.0)
    ahead, momentum = parameters, 1.0
    value, gradient = cost(ahead)
    for iteration in range(max_iter):
        while True:
            new = _shrunk(ahead - gradient / curvature, threshold / curvature)
            step = new - ahead
            new_value, new_gradient = cost(new)
            bound = value + float(np.sum(gradient * step)) + curvature / 2 * float(np.sum(step**2))
            if new_value <= bound + rounding * abs(bound) or curvature > 1e100:
                break
            curvature *= 2
        residual = curvature * (ahead - new)
        total = new_value + float(np.sum(threshold * np.abs(new)))
        change = new - parameters
        if np.sum(residual * change) > 0:  # uphill
            momentum, factor = 1.0, 0.0
        else:
            following = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
            momentum, factor = following, (momentum - 1) / following
        parameters = new
        stopped = on_step is not None and on_step(iteration, total, partial(np.copy, new))
        if largest(residual) <= tol or stopped:
            return Found(new, total, residual, iteration + 1, stopped)
        ahead = new + factor * change
        value, gradient = cost(ahead) if factor else (new_value, new_gradient)
    return Found(parameters, total, residual, max_iter)
