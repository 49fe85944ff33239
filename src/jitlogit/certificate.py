"""How far what was found is above the minimum, at most."""

from __future__ import annotations

import numpy as np

from .cost import LEAST_CURVATURE, Cost
from .descent import Found
from .reference import sigmoid, softmax
from .validation import Array

# Whose curvature stands for that of all.
_BIAS_ROWS = 2000


def certify(cost: Cost, found: Found, rounding: float, rng: np.random.Generator) -> tuple[Found, float]:
    """A bound on how far what was found is above the minimum, and that, with better biases where they make most of it.

    With residuals r that sum to zero for each class, Fenchel's dual of the cost at r is the cost less
    sum_j g_j^2 / (2 l2_j), g the gradient (Boyd and Vandenberghe, "Convex Optimization", 2004, section 5.7): that
    is the gap between the two. Added are rounding, and what is left of the sums of residuals, times how far a bias is
    taken to be from its best: its size and 20 at most.
    """
    if not cost.l2.all():
        return found, float("inf") if np.abs(found.gradient).max() > 0 else 0.0
    of_weights, of_biases = _gap(cost, found)
    if of_biases > of_weights:
        better = _with_best_bias if cost.n_scores == 1 else _with_best_biases
        found = better(cost, found, rounding, rng)
        of_weights, of_biases = _gap(cost, found)
    return found, of_weights + of_biases + rounding * abs(found.cost)


def _gap(cost: Cost, found: Found) -> tuple[float, float]:
    """The parts of the bound that weights and biases make."""
    reach = 20 + np.abs(found.parameters[:, -1]).max()
    of_weights = float(np.sum(found.gradient[:, :-1] ** 2 / (2 * cost.l2)))
    return of_weights, float(np.abs(found.gradient[:, -1]).sum() * reach)


def l1_gap(cost: Cost, parameters: Array, rounding: float) -> float:
    """As `certify`, with an L1 penalty: Fenchel's dual at the residuals, scaled down so far that it is finite.

    For that the biases are made the best ones, which does not change the parameters that are returned: where the given
    ones are not, the gap includes what that gains.
    """
    best = parameters.copy()
    if cost.fit_intercept:
        _best_biases(cost, best)
    scores = cost.scores(best).astype(np.float64).reshape(cost.X.shape[0], -1)
    value, gradient = cost(parameters)
    slopes = gradient[:, :-1] if not cost.fit_intercept else cost(best)[1][:, :-1]
    slopes = np.abs(slopes - cost.l2 * parameters[:, :-1])
    part = 1.0 if cost.l2.all() else min(1.0, float((cost.l1 / np.maximum(slopes, 1e-300)).min()))
    excess = np.maximum(part * slopes - cost.l1, 0)
    conjugate = float(np.sum(excess**2 / (2 * cost.l2))) if cost.l2.all() else 0.0
    counts = np.ones(scores.shape[0]) if cost.sample_weight is None else cost.sample_weight.astype(np.float64)
    rows, labels = np.arange(scores.shape[0]), cost.labels.astype(np.intp)
    if scores.shape[1] == 1:
        scores = np.column_stack([np.zeros(scores.shape[0]), scores])
    p = softmax(scores.T).T
    p *= part
    p[rows, labels] += 1 - part
    entropy = -np.sum(p * np.log(np.maximum(p, 1e-300)), axis=1)
    dual = float(np.sum(counts * entropy)) / scores.shape[0] - conjugate
    primal = value + float(np.sum(cost.l1 * np.abs(parameters[:, :-1])))
    return max(primal - dual, 0.0) + rounding * abs(primal)


def _if_no_worse(found: Found, parameters: Array, value: float, gradient: Array, rounding: float) -> Found:
    """Other parameters if the cost is as low there, and the biases' slopes are lower."""
    no_higher = value <= found.cost + rounding * abs(found.cost)
    if no_higher and np.abs(gradient[:, -1]).sum() <= np.abs(found.gradient[:, -1]).sum():
        return found._replace(parameters=parameters, cost=value, gradient=gradient)
    return found


def _with_best_bias(cost: Cost, found: Found, rounding: float, rng: np.random.Generator) -> Found:
    """A step of Newton's method, with the curvature of a sample's losses."""
    m = cost.X.shape[0]
    sample = cost.of_rows(np.sort(rng.choice(m, min(m, _BIAS_ROWS), replace=False)))
    p = sigmoid(sample.scores(found.parameters).astype(np.float64))
    curvature = p * (1 - p) if sample.sample_weight is None else sample.sample_weight * p * (1 - p)
    parameters = found.parameters.copy()
    parameters[0, -1] -= found.gradient[0, -1] / max(LEAST_CURVATURE, float(curvature.mean()))
    return _if_no_worse(found, parameters, *cost(parameters), rounding)


def _with_best_biases(cost: Cost, found: Found, rounding: float, rng: np.random.Generator) -> Found:
    parameters = found.parameters.copy()
    _best_biases(cost, parameters)
    return _if_no_worse(found, parameters, *cost(parameters), rounding)


def _best_biases(cost: Cost, parameters: Array) -> None:
    """Newton's method on the biases alone, from scores that are computed once."""
    scores = cost.scores(parameters).astype(np.float64).reshape(cost.X.shape[0], -1)
    counts = np.ones(scores.shape[0]) if cost.sample_weight is None else cost.sample_weight.astype(np.float64)
    binary = scores.shape[1] == 1
    labels = cost.labels.astype(np.intp)
    for _ in range(20):
        p = sigmoid(scores) if binary else softmax(scores.T).T
        target = counts @ p
        wanted = np.array([counts @ labels]) if binary else np.bincount(labels, counts, scores.shape[1])
        gradient = target - wanted
        if np.abs(gradient).max() <= 1e-14 * counts.sum():
            break
        hessian = np.diag(target) - (p * counts[:, np.newaxis]).T @ p
        shift = np.linalg.lstsq(hessian, -gradient, rcond=1e-12)[0]
        if not np.abs(shift).max() < 5:
            break
        scores += shift
        parameters[:, -1] += shift
