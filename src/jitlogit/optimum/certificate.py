"""A bound on how far the cost of a solver's result is above the minimum."""

from __future__ import annotations

import numpy as np

from ..data.prediction import probabilities_of
from ..data.validation import Array
from .cost import LEAST_CURVATURE, Cost
from .lbfgs import Found, largest
from .samples import spread

# Better biases come from the curvature of a sample: of 2000 rows, or of all rows over 50 if these are more.
_BIAS_ROWS, _BIAS_PART = 2000, 50
# Better biases are computed if their part of the bound exceeds the weights' part by this factor: they cost a read of X.
# A judgement, not tuned.
_WORTH_A_READ = 10
_L1_STEPS = 3  # on the biases with an L1 penalty; each reads X
_BLOCK = 1 << 14  # rows that are computed with at a time, so that temporaries stay small


def certify(cost: Cost, found: Found, tol: float, rng: np.random.Generator) -> tuple[Found, float]:
    """The result, perhaps with better biases, and a bound on how far its cost is above the minimum.

    With residuals r that sum to zero for each class, Fenchel's dual of the cost at r is the cost less sum_j g_j^2 / (2
    l2_j), g the gradient (Boyd and Vandenberghe, "Convex Optimization", 2004, section 5.7). That sum is the gap. Two
    terms are added: rounding; and the sums of residuals times the distance of a bias from its optimum, which is assumed
    to be the largest bias plus 20 at most.

    Better biases cost a read of X. They are computed where biases make the bound many times as large. They are also
    computed where the gradient is above tol, so that only the bound can tell that the minimum was reached. Elsewhere
    the read also serves the search's next step.
    """
    if not cost.l2.all():
        return found, found.cost if largest(found.gradient) > 0 else 0.0
    of_weights, of_biases = _gap(cost, found)
    near = max(of_weights, cost.rounding * found.cost)
    if of_biases > _WORTH_A_READ * near or (largest(found.gradient) > tol and of_biases > near):
        found = _with_better_biases(cost, found, tol, rng)
    return found, sum(_gap(cost, found)) + cost.rounding * found.cost


def _gap(cost: Cost, found: Found) -> tuple[float, float]:
    return float(np.sum(found.gradient[:, :-1] ** 2 / (2 * cost.l2))), _of_biases(found)


def _of_biases(found: Found) -> float:
    return float(np.abs(found.gradient[:, -1]).sum() * (20 + np.abs(found.parameters[:, -1]).max()))


def certify_l1(cost: Cost, found: Found, _tol: float, rng: np.random.Generator) -> tuple[Found, float]:
    """The result and its bound, with an L1 penalty: Fenchel's dual at the residuals, scaled down until it is finite.

    The residuals belong to better biases, which aren't returned: the bound includes what they would gain.
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
    """Minus the mean of the losses' conjugates at `part` times A - Y: the entropy of A drawn towards the labels."""
    m, scores, total = cost.X.shape[0], cost.scores(parameters), 0.0
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
    """A step of Newton's method on the biases alone, with the curvature of a sample's losses; or the same result.

    Where the gradient is at most tol, the search's next step is taken before; the sample tells how that changes the
    residuals. The result changes only if the biases' slopes get lower, the cost no higher, and the largest element of
    the gradient no larger than before or than tol.
    """
    m = cost.X.shape[0]
    sample = cost.of_rows(spread(m, max(_BIAS_ROWS, m // _BIAS_PART), rng))
    parameters, slopes = found.parameters.copy(), found.gradient[:, -1]

    def probabilities() -> Array:
        return probabilities_of(sample.scores(parameters).astype(np.float64))

    p = probabilities()
    weights = np.ones((len(p), 1)) if sample.sample_weight is None else sample.sample_weight[:, np.newaxis]
    if found.next_step is not None and largest(found.gradient) <= tol:
        before, parameters = p, parameters + found.next_step()
        p = probabilities()
        slopes = slopes + (weights * (p - before)).mean(axis=0)
    hessian = (np.diag((weights * p).sum(axis=0)) - (weights * p).T @ p) / len(p)
    hessian[np.diag_indices_from(hessian)] += LEAST_CURVATURE
    parameters[:, -1] -= np.linalg.solve(hessian, slopes)
    value, gradient = cost(parameters)
    no_higher = value <= found.cost + cost.rounding * found.cost
    no_steeper = largest(gradient) <= max(tol, largest(found.gradient))
    if no_higher and no_steeper and np.abs(gradient[:, -1]).sum() < np.abs(found.gradient[:, -1]).sum():
        return found._replace(parameters=parameters, cost=value, gradient=gradient)
    return found
