"""How far what was found is above the minimum, at most."""

from __future__ import annotations

import numpy as np

from ..data.prediction import probabilities_of
from ..data.validation import Array
from .cost import LEAST_CURVATURE, Cost
from .lbfgs import Found
from .samples import spread

# Rows that stand for all, at least and as a part of them; and steps on the biases with an L1 penalty, a read of X each.
_BIAS_ROWS, _BIAS_PART = 2000, 50
# How much larger than the weights' part of the bound the biases' must be for better ones to be worth a read of X.
_WORTH_A_READ = 10
_L1_STEPS = 3
_BLOCK = 1 << 14


def certify(cost: Cost, found: Found, tol: float, rng: np.random.Generator) -> tuple[Found, float]:
    """A bound on how far what was found is above the minimum, and that, with better biases where it wants them.

    That costs a read of X, and is for bounds that biases make several times as large, or that alone can tell that the
    minimum was reached, since the gradient doesn't. Where it does, the read is that of the search's next step.

    With residuals r that sum to zero for each class, Fenchel's dual of the cost at r is the cost less
    sum_j g_j^2 / (2 l2_j), g the gradient (Boyd and Vandenberghe, "Convex Optimization", 2004, section 5.7): that
    is the gap between the two. Added are rounding, and what is left of the sums of residuals, times how far a bias is
    taken to be from its best: its size and 20 at most.
    """
    if not cost.l2.all():
        return found, found.cost if np.abs(found.gradient).max() > 0 else 0.0
    of_weights, of_biases = _gap(cost, found)
    near = max(of_weights, cost.rounding * found.cost)
    if of_biases > _WORTH_A_READ * near or (np.abs(found.gradient).max() > tol and of_biases > near):
        found = _with_better_biases(cost, found, tol, rng)
    return found, sum(_gap(cost, found)) + cost.rounding * found.cost


def _gap(cost: Cost, found: Found) -> tuple[float, float]:
    """The parts of the bound that weights and biases make."""
    return float(np.sum(found.gradient[:, :-1] ** 2 / (2 * cost.l2))), _of_biases(found)


def _of_biases(found: Found) -> float:
    reach = 20 + np.abs(found.parameters[:, -1]).max()
    return float(np.abs(found.gradient[:, -1]).sum() * reach)


def certify_l1(cost: Cost, found: Found, _tol: float, rng: np.random.Generator) -> tuple[Found, float]:
    """As `certify`, with an L1 penalty: Fenchel's dual at the residuals, scaled down so far that it is finite.

    They are those with better biases, which are not returned: where the given ones are far off, the gap includes what
    that gains.
    """
    parameters = found.parameters
    at = Found(parameters, *cost(parameters), 0)
    primal = at.cost + float(np.sum(cost.l1 * np.abs(parameters[:, :-1])))
    for _ in range(_L1_STEPS):
        better = _with_better_biases(cost, at, np.inf, rng) if _of_biases(at) else at
        if better is at:
            break
        at = better
    slopes = np.abs(at.gradient[:, :-1] - cost.l2 * parameters[:, :-1])
    part = 1.0 if cost.l2.all() else min(1.0, float((cost.l1 / np.maximum(slopes, 1e-300)).min()))
    excess = np.maximum(part * slopes - cost.l1, 0)
    conjugate = float(np.sum(excess**2 / (2 * cost.l2))) if cost.l2.all() else 0.0
    dual = _mean_entropy(cost, at.parameters, part) - conjugate - part * _of_biases(at)
    return found, max(primal - dual, 0.0) + cost.rounding * primal


def _mean_entropy(cost: Cost, parameters: Array, part: float) -> float:
    """Of the rows' probabilities, drawn towards the labels: minus the losses' conjugates at part times A - Y."""
    m = cost.X.shape[0]
    scores = cost.scores(parameters).reshape(m, -1)
    total = 0.0
    for start in range(0, m, _BLOCK):
        rows = slice(start, min(start + _BLOCK, m))
        block = scores[rows].astype(np.float64)
        if block.shape[1] == 1:
            block = np.column_stack([np.zeros(len(block)), block])
        p = part * probabilities_of(block)
        p[np.arange(len(p)), cost.labels[rows]] += 1 - part
        entropies = -np.sum(p * np.log(np.maximum(p, 1e-300)), axis=1)
        total += float(entropies.sum() if cost.sample_weight is None else cost.sample_weight[rows] @ entropies)
    return float(total / m)


def _with_better_biases(cost: Cost, found: Found, tol: float, rng: np.random.Generator) -> Found:
    """A step of Newton's method on the biases alone, with the curvature of a sample's losses; or what was found.

    Where the gradient is as small as tol, it comes after the search's next step, of which the sample tells how it
    changes the residuals. Both are taken if they lower the biases' slopes, the cost is no higher, and no slope gets
    larger than the largest or than tol.
    """
    m = cost.X.shape[0]
    sample = cost.of_rows(spread(m, max(_BIAS_ROWS, m // _BIAS_PART), rng))
    parameters, slopes = found.parameters.copy(), found.gradient[:, -1]
    p = _probabilities(sample, parameters)
    weights = np.ones((len(p), 1)) if sample.sample_weight is None else sample.sample_weight[:, np.newaxis]
    if found.next_step is not None and np.abs(found.gradient).max() <= tol:
        before, parameters = p, parameters + found.next_step()
        p = _probabilities(sample, parameters)
        slopes = slopes + (weights * (p - before)).mean(axis=0)
    hessian = (np.diag((weights * p).sum(axis=0)) - (weights * p).T @ p) / len(p)
    hessian[np.diag_indices_from(hessian)] += LEAST_CURVATURE
    parameters[:, -1] -= np.linalg.solve(hessian, slopes)
    value, gradient = cost(parameters)
    no_higher = value <= found.cost + cost.rounding * found.cost
    no_steeper = np.abs(gradient).max() <= max(tol, np.abs(found.gradient).max())
    if no_higher and no_steeper and np.abs(gradient[:, -1]).sum() < np.abs(found.gradient[:, -1]).sum():
        return found._replace(parameters=parameters, cost=value, gradient=gradient)
    return found


def _probabilities(cost: Cost, parameters: Array) -> Array:
    """Of the rows, (m, K)."""
    return probabilities_of(cost.scores(parameters).astype(np.float64).reshape(cost.X.shape[0], -1))
