"""From data to the minimum of the penalised cost: solvers, the rule that chooses one, and the certificate."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy.linalg import solve_triangular

from .cost import Cost
from .descent import Found, Pair, minimise, minimise_with_l1
from .fits import Steps
from .reference import sigmoid, softmax
from .rows import ScaledRows
from .statistics import auto_batch_size, auto_learning_rate
from .statistics import curvature as curvature_of
from .training import train
from .validation import Array, computed_dtype, is_sparse

SOLVERS = ("auto", "gd", "minibatch", "newton-sample", "newton-cholesky", "newton-cg", "lbfgs", "proximal")
# Most features of which a Hessian is made, and most rows times features squared with all rows in it.
_MOST_FEATURES = 1500
_FEW_PRODUCTS = 3e7
# Rows of a sample: so many products, but so many rows for each feature at least, and in all.
_SAMPLE_PRODUCTS = 5e8
_SAMPLE_ROWS_A_FEATURE = 4
_MOST_SAMPLE_ROWS = 20_000
_ITERATIONS_BEFORE_A_HESSIAN, _ITERATIONS_OF_A_HESSIAN = 12, 10
_MOST_PRODUCTS = 50
_EPOCHS_BEFORE = 3
_BIAS_ROWS = 2000
# Rows of the sample that a search begins with: so many, or so many for each feature, at most so small a part; and the
# largest element of the gradient at which they have told enough.
_FIRST_ROWS, _FIRST_ROWS_A_FEATURE, _LEAST_FIRST_ROWS_A_FEATURE, _FIRST_PART = 10_000, 8, 4, 8
_LEAST_FIRST_ROWS = 1000
_FIRST_TOLERANCE, _FIRST_ITERATIONS = 1e-2, 100
# A loss whose score is large is all but flat; Hessians are not taken to be less curved than this part of it.
_LEAST_CURVATURE = 1e-6
_ROUNDING = {np.dtype(np.float32): 1e-6, np.dtype(np.float64): 1e-13}


class Optimum(NamedTuple):
    """What a solver ended with."""

    parameters: Array  # (K, n + 1), of the features as scaled
    cost: float
    gradient: Array
    gap: float  # bound on how far the cost is above the minimum
    iterations: int
    passes: float
    converged: bool


def choose_solver(X: Any, n_classes: int | None, with_l1: bool) -> str:
    """The solver for "auto".

    Proximal gradient descent for an L1 penalty; Newton's method where the Hessian of all rows is cheap, L-BFGS with
    the Hessian of a sample where that is, else L-BFGS alone.
    """
    m, n = X.shape
    if with_l1:
        return "proximal"
    if n > _MOST_FEATURES:
        return "lbfgs"
    if not is_sparse(X) and n_classes is None and m * n**2 <= _FEW_PRODUCTS:
        return "newton-cholesky"
    return "newton-sample"


class Preconditioner:
    """An approximate Hessian: of the classes' mean curvature, from a sample of rows, or of unit variance alone.

    That of a sample is drawn towards unit variance, the more the fewer rows it has for a feature: in directions that
    its rows don't show, steps would be far too long (Ledoit and Wolf, "A well-conditioned estimator for
    large-dimensional covariance matrices", 2004).
    """

    def __init__(self, cost: Cost, chosen: Array | None) -> None:
        self._cost = cost
        self._features: Array | None = None
        if chosen is not None:
            rows = ScaledRows(cost.X[chosen], cost.offset, cost.scale)
            self._features = rows.with_constant(cost.fit_intercept)
        self._chosen = chosen
        self._factor: Any = None
        self._diagonal: Any = None

    def at(self, parameters: Array) -> None:
        """Take the curvature at these parameters."""
        cost = self._cost
        penalties = np.append(cost.l2, 0.0)
        features = self._features
        if features is None:
            classes = max(2, cost.n_scores)
            curvature = (classes - 1) / classes**2
            self._diagonal = curvature + penalties
            return
        weights = np.ones(features.shape[0]) if cost.sample_weight is None else cost.sample_weight[self._chosen]
        scores = features @ parameters.T
        if cost.n_scores == 1:
            p = sigmoid(scores[:, 0])
            curvature = p * (1 - p)
        else:
            p = softmax(scores.T).T
            curvature = (p * (1 - p)).mean(axis=1)
        curvature = weights * np.maximum(curvature, _LEAST_CURVATURE) / features.shape[0]
        half = features * np.sqrt(curvature)[:, np.newaxis]
        hessian = half.T @ half
        if features.shape[0] < cost.X.shape[0]:
            part = features.shape[1] / sum(features.shape)
            hessian *= 1 - part
            hessian[np.diag_indices_from(hessian)] += part * curvature.sum()
        hessian[np.diag_indices_from(hessian)] += penalties + 1e-12 * max(1e-300, float(np.trace(hessian)))
        if not cost.fit_intercept:
            hessian[-1, -1] = 1.0
        self._factor = np.linalg.cholesky(hessian)

    def solve(self, gradient: Array) -> Array:
        """Product of the inverse and a gradient (K, n + 1)."""
        if self._factor is None:
            return np.asarray(gradient / self._diagonal)
        half = solve_triangular(self._factor, gradient.T, lower=True, check_finite=False)
        return np.asarray(solve_triangular(self._factor, half, lower=True, trans="T", check_finite=False).T)


class LateCurvature:
    """Unit variances for the first iterations, which often suffice; then the Hessian of a sample, at what they found.

    It is taken anew now and then where the sample is most of the rows, and so nearly the Hessian of all.
    """

    def __init__(self, cost: Cost, diagonal: Preconditioner, rng: np.random.Generator) -> None:
        m, n = cost.X.shape
        size = sample_size(m, n)
        self._chosen = np.arange(m) if size == m else np.sort(rng.choice(m, size, replace=False))
        self._anew = 2 * size >= m
        self._cost, self._now, self._iteration = cost, diagonal, 0

    def at(self, parameters: Array) -> None:
        if self._iteration == _ITERATIONS_BEFORE_A_HESSIAN:
            self._now = Preconditioner(self._cost, self._chosen)
        since = self._iteration - _ITERATIONS_BEFORE_A_HESSIAN
        if self._iteration == 0 or since == 0 or (since > 0 and self._anew and since % _ITERATIONS_OF_A_HESSIAN == 0):
            self._now.at(parameters)
        self._iteration += 1

    def solve(self, gradient: Array) -> Array:
        return self._now.solve(gradient)


class ConjugateGradients:
    """The inverse of the exact Hessian, by conjugate gradients, as exactly as steps far from the minimum need it.

    As many iterations as make the residual smaller than the gradient by the square root of its norm (Dembo and
    Steihaug, "Truncated-Newton algorithms for large-scale unconstrained optimization", 1983).
    """

    def __init__(self, cost: Cost, diagonal: Preconditioner) -> None:
        self._cost, self._diagonal = cost, diagonal

    def at(self, parameters: Array) -> None:
        self._diagonal.at(parameters)
        self._times = self._cost.hessian_at(parameters)

    def solve(self, gradient: Array) -> Array:
        norm = float(np.linalg.norm(gradient))
        wanted = norm * min(0.5, norm**0.5)
        solution, residual = np.zeros_like(gradient), gradient.copy()
        direction = self._diagonal.solve(residual)
        product = float(np.sum(residual * direction))
        for _ in range(_MOST_PRODUCTS):
            image = self._times(direction)
            along = float(np.sum(direction * image))
            if not along > 0:  # flat, as exactly as it is computed
                break
            solution += product / along * direction
            residual -= product / along * image
            if np.linalg.norm(residual) <= wanted:
                break
            preconditioned = self._diagonal.solve(residual)
            before, product = product, float(np.sum(residual * preconditioned))
            direction = preconditioned + product / before * direction
        return solution if solution.any() else self._diagonal.solve(gradient)


def sample_size(m: int, n: int) -> int:
    """Rows that stand for all in a Hessian."""
    size = max(_SAMPLE_ROWS_A_FEATURE * n, min(_MOST_SAMPLE_ROWS, int(_SAMPLE_PRODUCTS / n**2)))
    return min(m, size)


def first_size(m: int, n: int) -> int:
    """Rows that a search begins with, so few that it reads them for next to nothing; 0 where they tell too little."""
    size = min(m // _FIRST_PART, max(_FIRST_ROWS, _FIRST_ROWS_A_FEATURE * n))
    return size if size >= max(_LEAST_FIRST_ROWS, _LEAST_FIRST_ROWS_A_FEATURE * n) else 0


def find_optimum(
    cost: Cost,
    solver: str,
    tol: float,
    max_iter: int,
    initial: Array | None,
    rng: np.random.Generator,
    on_step: Callable[[int, float, Array], bool] | None = None,
) -> Optimum:
    """Minimise the cost; see `jitlogit.LogisticRegression`."""
    m, rounding = cost.X.shape[0], _ROUNDING[computed_dtype(cost.X)]
    parameters = _without_features(cost) if initial is None else initial
    if solver == "proximal":
        largest, _ = curvature_of(cost.X, cost.sample_weight, cost.offset, cost.scale, cost.fit_intercept, rng)
        guess = largest + cost.l2.max()
        found = minimise_with_l1(cost, parameters, cost.l1, guess, tol, max_iter, rounding, on_step)
        gap = l1_gap(cost, found.parameters, rounding)
        converged = bool(np.abs(found.gradient).max() <= tol)
        return Optimum(found.parameters, found.cost, found.gradient, gap, found.iterations, cost.passes, converged)
    pairs: tuple[Pair, ...] = ()
    if initial is None and solver == "minibatch":
        parameters = _start_from_batches(cost, rng)
    elif initial is None and solver != "gd":
        parameters, pairs = _start_from_sample(cost, parameters, rounding, rng)
    curvature: Any = Preconditioner(cost, np.arange(m) if solver == "newton-cholesky" else None)
    if solver == "newton-cg":
        curvature = ConjugateGradients(cost, curvature)
    elif solver == "newton-sample":
        curvature = LateCurvature(cost, curvature, rng)
    at = curvature.at if solver.startswith("newton") else None
    if at is None:
        curvature.at(parameters)
    whole_newton = solver == "newton-cg" or (solver == "newton-cholesky" and cost.n_scores == 1)
    memory = 0 if whole_newton or solver == "gd" else 10
    found = minimise(cost, parameters, curvature.solve, tol, max_iter, rounding, memory, on_step, at, pairs)
    converged = bool(np.abs(found.gradient).max() <= tol) or found.stalled
    final, gap = certify(cost, found, rounding, rng)
    return Optimum(final.parameters, final.cost, final.gradient, gap, found.iterations, cost.passes, converged)


def _without_features(cost: Cost) -> Array:
    """The best parameters with no weights: each class's share of the rows."""
    parameters = np.zeros((cost.n_scores, cost.X.shape[1] + 1))
    if cost.fit_intercept:
        logs = np.log(cost.class_shares())
        parameters[:, -1] = logs[1] - logs[0] if cost.n_scores == 1 else logs - logs.mean()
    return parameters


def _start_from_sample(
    cost: Cost, parameters: Array, rounding: float, rng: np.random.Generator
) -> tuple[Array, tuple[Pair, ...]]:
    """Near a sample's optimum, with what its steps show of the Hessian.

    The same as subsampled quasi-Newton methods begin with (Byrd, Hansen, Nocedal and Singer, "A stochastic quasi-Newton
    method for large-scale optimization", 2016), since a sample's Hessian differs from that of all rows by little.
    """
    m, n = cost.X.shape
    size = first_size(m, n)
    if not size:
        return parameters, ()
    first = cost.of_rows(np.sort(rng.choice(m, size, replace=False)))
    diagonal = Preconditioner(first, None)
    diagonal.at(parameters)
    found = minimise(first, parameters, diagonal.solve, _FIRST_TOLERANCE, _FIRST_ITERATIONS, rounding)
    cost.passes += first.passes * size / m
    return found.parameters, found.pairs


def _start_from_batches(cost: Cost, rng: np.random.Generator) -> Array:
    """Where some epochs of mini-batches end, with the penalty's mean strength for all features."""
    m = cost.X.shape[0]
    weights, l2 = cost.sample_weight, float(cost.l2.mean())
    batch = auto_batch_size(m)
    rate = auto_learning_rate(cost.X, weights, cost.offset, cost.scale, cost.fit_intercept, "nesterov", l2, batch, rng)
    result = train(
        cost.X,
        cost.labels,
        learning_rate=rate,
        n_epochs=_EPOCHS_BEFORE,
        batch_size=batch,
        rng=rng,
        shuffle=batch < m,
        record_every=1,
        n_threads=cost.n_threads,
        offset=cost.offset,
        scale=cost.scale,
        sample_weight=weights,
        steps=Steps("nesterov", "cosine", l2),
        fit_intercept=cost.fit_intercept,
        n_classes=cost.n_classes,
        retry=True,
    )
    cost.passes += _EPOCHS_BEFORE
    return np.column_stack([result.weights, result.bias]).astype(np.float64)


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
    parameters[0, -1] -= found.gradient[0, -1] / max(_LEAST_CURVATURE, float(curvature.mean()))
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
