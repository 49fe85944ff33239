"""From data to the minimum of the penalised cost: solvers, and the rule that chooses one."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..data.moments import curvature as curvature_of
from ..data.validation import Array, computed_dtype, is_sparse
from ..training.defaults import auto_batch_size, auto_learning_rate
from ..training.loop import train
from ..training.problem import Problem, Steps
from .blas import one_thread
from .certificate import certify, l1_gap
from .cost import Cost
from .curvature import ConjugateGradients, Preconditioner, SampledCurvature, is_slow
from .lbfgs import Found, Pairs, minimise
from .proximal import minimise_with_l1
from .row_space import RowSpace, is_wide
from .samples import Sample

SOLVERS = ("auto", "gd", "minibatch", "newton-sample", "newton-cholesky", "newton-cg", "lbfgs", "proximal")
# Most features of which a Hessian is made, and most rows times features squared with all rows in it.
_MOST_FEATURES = 1500
_FEW_PRODUCTS = 3e7
_EPOCHS_BEFORE = 3
# The largest element of the gradient at which a sample has told enough, times the square root of its size: an element
# of its gradient is off by half of that or less, the largest of a hundred by 2.5 times as much.
_FIRST_TOLERANCE, _FIRST_ITERATIONS = 0.7, 100
# Relative error of a cost's value, and how many of them are as near to the minimum as can be told.
_FEW_ROUNDINGS = 10
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
    stopped: bool  # because `on_step` said so


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


def find_optimum(
    cost: Cost,
    solver: str,
    tol: float,
    max_iter: int,
    initial: Array | None,
    sample: Sample | None,
    rng: np.random.Generator,
    on_step: Callable[[int, float, Array], bool] | None = None,
) -> Optimum:
    """Minimise the cost, beginning with the sample of its rows; see `jitlogit.LogisticRegression`."""
    with one_thread:
        return _find(cost, solver, tol, max_iter, initial, sample, rng, on_step)


def _find(
    cost: Cost,
    solver: str,
    tol: float,
    max_iter: int,
    initial: Array | None,
    sample: Sample | None,
    rng: np.random.Generator,
    on_step: Callable[[int, float, Array], bool] | None,
) -> Optimum:
    m, rounding = cost.X.shape[0], _ROUNDING[computed_dtype(cost.X)]
    parameters = _without_features(cost) if initial is None else initial
    if solver == "proximal":
        largest, _ = curvature_of(cost.X, cost.sample_weight, cost.offset, cost.scale, cost.fit_intercept, rng)
        guess = largest + cost.l2.max()
        found = minimise_with_l1(cost, parameters, cost.l1, guess, tol, max_iter, rounding, on_step)
        return _ended(cost, found, l1_gap(cost, found.parameters, rounding, rng), tol, rounding)
    pairs, slow, begun = None, False, None
    if initial is None and solver == "minibatch":
        parameters = _start_from_batches(cost, rng)
    elif solver == "lbfgs" and is_wide(cost):
        begun = _start_from_rows(cost, parameters, tol, max_iter, rounding, on_step)
        parameters, max_iter = begun.parameters, 0 if begun.stopped else max_iter - begun.iterations
    elif initial is None and solver != "gd" and sample is not None:
        parameters, pairs, slow = _start_from_sample(cost, parameters, rounding, sample)
    curvature: Any = Preconditioner(cost)
    by_variance = solver in ("lbfgs", "minibatch")
    if solver == "newton-cholesky":
        curvature = Preconditioner(cost, Sample(np.arange(m), cost.X), m)
    elif solver == "newton-cg":
        curvature = ConjugateGradients(cost, curvature)
    elif solver == "newton-sample":
        curvature = SampledCurvature(cost, curvature, sample, slow, rng)
        by_variance = not curvature.at_once
        pairs = pairs if by_variance else None
    at = curvature.at if solver.startswith("newton") else None
    whole_newton = solver == "newton-cg" or (solver == "newton-cholesky" and cost.n_scores == 1)
    memory = 0 if whole_newton or solver == "gd" else 10
    probe = by_variance and pairs is None
    told = on_step if begun is None or on_step is None else _after(on_step, begun.iterations)
    found = minimise(cost, parameters, curvature.solve, tol, max_iter, rounding, memory, told, at, pairs, probe)
    if solver == "newton-cg":  # which reads X for a step
        found = found._replace(next_step=None)
    if begun is not None:
        found = found._replace(iterations=begun.iterations + found.iterations, stopped=begun.stopped or found.stopped)
    return _ended(cost, *certify(cost, found, tol, rounding, rng), tol, rounding)


def _ended(cost: Cost, found: Found, gap: float, tol: float, rounding: float) -> Optimum:
    """Converged is what has a gradient as small as asked for, or a cost within some rounding of the minimum."""
    gap = min(gap, found.cost)  # which is a bound too: losses aren't negative
    converged = bool(np.abs(found.gradient).max() <= tol) or gap <= _FEW_ROUNDINGS * rounding * found.cost
    parameters, value, gradient, iterations, stopped, *_ = found
    return Optimum(parameters, value, gradient, gap, iterations, cost.passes, converged, stopped)


def _without_features(cost: Cost) -> Array:
    """The best parameters with no weights: each class's share of the rows."""
    parameters = np.zeros((cost.n_scores, cost.X.shape[1] + 1))
    if cost.fit_intercept:
        logs = np.log(cost.class_shares())
        parameters[:, -1] = logs[1] - logs[0] if cost.n_scores == 1 else logs - logs.mean()
    return parameters


def _start_from_sample(
    cost: Cost, parameters: Array, rounding: float, sample: Sample
) -> tuple[Array, Pairs | None, bool]:
    """Near a sample's optimum, with what its steps show of the Hessian, and whether they were slow.

    The same as subsampled quasi-Newton methods begin with (Byrd, Hansen, Nocedal and Singer, "A stochastic quasi-Newton
    method for large-scale optimization", 2016), since a sample's Hessian differs from that of all rows by little.
    """
    first = cost.of_rows(sample.chosen, sample.X)
    diagonal = Preconditioner(first)
    tol = _FIRST_TOLERANCE / math.sqrt(sample.chosen.size)
    norms: list[float] = []

    def at(parameters: Array, gradient: Array) -> None:
        norms.append(float(np.linalg.norm(gradient)))

    found = minimise(first, parameters, diagonal.solve, tol, _FIRST_ITERATIONS, rounding, at=at, probe=True)
    at(found.parameters, found.gradient)
    cost.passes += first.passes * sample.chosen.size / cost.X.shape[0]
    return found.parameters, found.pairs, is_slow(norms)


def _after(on_step: Callable[[int, float, Array], bool], done: int) -> Callable[[int, float, Array], bool]:
    """The same, told of iterations after so many."""
    return lambda iteration, *others: on_step(done + iteration, *others)


def _start_from_rows(
    cost: Cost,
    parameters: Array,
    tol: float,
    max_iter: int,
    rounding: float,
    on_step: Callable[[int, float, Array], bool] | None,
) -> Found:
    """The minimum, as near as it is found in the space of the rows."""
    space = RowSpace(cost, parameters)
    found = minimise(
        space, space.begin(), space.solve, tol, max_iter, rounding, on_step=on_step, scaled=True, size=space.size
    )
    return found._replace(parameters=space.parameters(found.parameters))


def _start_from_batches(cost: Cost, rng: np.random.Generator) -> Array:
    """Where some epochs of mini-batches end, with the penalty's mean strength for all features."""
    m, l2 = cost.X.shape[0], float(cost.l2.mean())
    batch = auto_batch_size(m)
    problem = Problem(
        cost.X,
        cost.labels,
        batch,
        batch < m,
        cost.sample_weight,
        cost.offset,
        cost.scale,
        Steps("nesterov", "cosine", l2),
        cost.fit_intercept,
        n_classes=cost.n_classes,
    )
    result = train(problem, auto_learning_rate(problem, rng), _EPOCHS_BEFORE, rng, cost.n_threads, retry=True)
    cost.passes += _EPOCHS_BEFORE
    return np.column_stack([result.weights, result.bias]).astype(np.float64)
