"""From parameters to the minimum of a convex cost with an L1 penalty."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.optimize import Bounds, OptimizeResult, minimize

from ..data.validation import Array
from .lbfgs import Found

_MOST_TRIES = 20  # of a step's length

Smooth = Callable[[Array], tuple[float, Array]]
OnStep = Callable[[int, float, Array], bool]


def minimise_with_l1(
    cost: Smooth,
    parameters: Array,
    l1: Array,
    curvature: float,
    tol: float,
    max_iter: int,
    rounding: float,
    on_step: OnStep | None = None,
) -> Found:
    """Minimise a smooth cost plus  sum_j l1_j |w_j|  over parameters (K, n + 1), the last of which are biases.

    L-BFGS-B takes few steps, but none that lowers the cost by less than its rounding; proximal steps go on from there.
    The gradient of what is found is the change by the last proximal step over its length: zero at the minimum.

    Parameters
    ----------
    cost : callable
        Value and gradient of the smooth part.
    curvature : float
        A guess of the gradient's Lipschitz constant.
    tol, max_iter, rounding, on_step
        As in `descent.minimise`.
    """
    found = _by_parts(cost, parameters, l1, tol, max_iter, on_step)
    done = found.iterations
    if np.abs(found.gradient).max() <= tol or found.stopped or done == max_iter:
        return found

    def further(iteration: int, value: float, now: Array) -> bool:
        return on_step is not None and on_step(done + iteration, value, now)

    found = _by_proximal_steps(cost, found.parameters, l1, curvature, tol, max_iter - done, rounding, further)
    return found._replace(iterations=done + found.iterations)


def _by_parts(
    cost: Smooth,
    parameters: Array,
    l1: Array,
    tol: float,
    max_iter: int,
    on_step: OnStep | None,
) -> Found:
    """By L-BFGS-B on the weights' positive and negative parts, in which the penalty is linear (Schmidt, Fung and
    Rosales, "Fast optimization methods for L1 regularization", 2007)."""
    n_scores, n = parameters.shape[0], l1.size
    size = n_scores * n
    iterations, stopped = 0, False

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
        given = intermediate_result
        if on_step and on_step(iterations - 1, float(given.fun), joined(given.x)):
            stopped = True
            raise StopIteration

    weights = parameters[:, :-1].ravel()
    result = minimize(
        of_parts,
        np.concatenate([np.maximum(weights, 0), np.maximum(-weights, 0), parameters[:, -1]]),
        jac=True,
        method="L-BFGS-B",
        bounds=Bounds(np.append(np.zeros(2 * size), np.full(n_scores, -np.inf))),
        callback=after_step,
        options={"maxiter": max_iter, "maxfun": _MOST_TRIES * max_iter, "gtol": tol, "ftol": 0.0},
    )
    found = joined(result.x)
    value, gradient = cost(found)
    threshold = np.append(l1, 0.0)
    moved = found - gradient
    step = found - np.sign(moved) * np.maximum(np.abs(moved) - threshold, 0)
    return Found(found, value + float(np.sum(threshold * np.abs(found))), step, iterations, stopped)


def _by_proximal_steps(
    cost: Smooth,
    parameters: Array,
    l1: Array,
    curvature: float,
    tol: float,
    max_iter: int,
    rounding: float,
    on_step: OnStep,
) -> Found:
    """By accelerated proximal gradient descent (Beck and Teboulle, "A fast iterative shrinkage-thresholding algorithm
    for linear inverse problems", 2009), begun anew where the momentum points uphill (O'Donoghue and Candes, "Adaptive
    restart for accelerated gradient schemes", 2015). `curvature` is doubled where a step proves it too small."""
    threshold = np.append(l1, 0.0)
    ahead, momentum = parameters, 1.0
    value, gradient = cost(ahead)
    residual = gradient
    for iteration in range(max_iter):
        while True:
            moved = ahead - gradient / curvature
            new = np.sign(moved) * np.maximum(np.abs(moved) - threshold / curvature, 0)
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
        stopped = on_step(iteration, total, new)
        if np.abs(residual).max() <= tol or stopped:
            return Found(new, total, residual, iteration + 1, stopped)
        ahead = new + factor * change
        value, gradient = cost(ahead) if factor else (new_value, new_gradient)
    return Found(parameters, total, residual, max_iter)
