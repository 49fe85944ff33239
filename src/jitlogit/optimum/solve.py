"""From data to the minimum of the penalised cost: the table of solvers, and the rule that chooses one."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from ..data.moments import curvature as curvature_of
from ..data.validation import Array, is_sparse
from ..training.defaults import auto_batch_size, auto_learning_rate
from ..training.loop import train
from ..training.problem import Problem, Steps
from .blas import one_thread
from .certificate import certify, certify_l1
from .cost import Cost
from .curvature import ConjugateGradients, Preconditioner, SampledCurvature, UnitVariance, is_slow
from .lbfgs import Found, OnStep, Pairs, Stopping, largest, minimise
from .proximal import minimise_with_l1
from .row_space import RowSpace, is_wide
from .samples import Sample

# Most features for which "auto" makes a Hessian; most rows times features squared for which all rows count in it (Zen
# 4, two cores).
_MOST_FEATURES, _FEW_PRODUCTS = 1500, 3e7
# Most rows times scores for which "auto" makes matrices (m, m): they take 32 MB for each score.
_MOST_ROWS = 2000
# Rows times scores up to which the Gram matrix is made at once. With more, L-BFGS comes first, which is faster where
# features are nearly independent. It has one iteration for each seven of them: about the time of Newton's method, which
# then goes on (Zen 4, two cores; 200 to 1000 rows).
_ROWS_AT_ONCE, _ROWS_AN_ITERATION = 250, 7
_EPOCHS_BEFORE = 3  # of mini-batches
# The search on a sample stops at this tolerance over the square root of the sample's size. Sampling changes an element
# of the gradient by half of 1 / sqrt(size) at most, and the largest of a hundred by 2.5 times as much.
_FIRST_TOLERANCE, _FIRST_ITERATIONS = 0.7, 100
_FEW_ROUNDINGS = 10  # a cost that is at most so many rounding errors above the minimum has converged


class Optimum(NamedTuple):
    parameters: Array  # (K, n + 1), of the scaled features
    cost: float
    gradient: Array
    gap: float  # bound on how far the cost is above the minimum
    iterations: int
    passes: float
    converged: bool
    stopped: bool  # by `on_step`


class Search(NamedTuple):
    cost: Cost
    stopping: Stopping
    initial: Array | None
    sample: Sample | None
    rng: np.random.Generator


class Start(NamedTuple):
    """Where the search over all rows begins."""

    parameters: Array
    pairs: Pairs | None = None  # of the search on a sample
    slow: bool = False  # whether that search was slow
    iterations: int = 0  # that the start took
    stopped: bool = False
    ended: bool = False  # whether nothing more is to be done before the last search


def choose_solver(X: Any, n_classes: int | None, with_l1: bool, with_l2: bool) -> str:
    """The solver for "auto": with a Hessian of all rows where that is cheap, else with that of a sample, or none."""
    m, n = X.shape
    if with_l1:
        return "proximal"
    if with_l2 and not is_sparse(X) and m < n and m * (n_classes or 1) <= _MOST_ROWS:
        return "newton-cholesky"
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
    on_step: OnStep | None = None,
) -> Optimum:
    """Minimise the cost by a solver of the table, which may begin on the sample; see `jitlogit.LogisticRegression`.

    Raises ValueError if X isn't finite.
    """
    find, certified = _SOLVERS[solver]
    with one_thread:
        found = find(Search(cost, Stopping(tol, max_iter, cost.rounding, on_step), initial, sample, rng))
        found, gap = certified(cost, found, tol, rng)
    gap = min(gap, found.cost)  # losses aren't negative
    converged = largest(found.gradient) <= tol or gap <= _FEW_ROUNDINGS * cost.rounding * found.cost
    return Optimum(*found[:3], gap, found.iterations, cost.passes, converged, found.stopped)


def _gd(search: Search) -> Found:
    return _descend(search, Start(_first_parameters(search)), UnitVariance(search.cost), Pairs(0))


def _minibatch(search: Search) -> Found:
    start = Start(_after_batches(search) if search.initial is None else search.initial)
    return _descend(search, start, UnitVariance(search.cost), probe=True)


def _newton_sample(search: Search) -> Found:
    start = _near_sample(search)
    curvature = SampledCurvature(search.cost, search.sample, start.slow, search.rng)
    if curvature.at_once:
        return _descend(search, start, curvature)
    return _descend(search, start, curvature, start.pairs, probe=start.pairs is None)


def _newton_cholesky(search: Search) -> Found:
    """The Hessian is exact for two classes; for more it is their mean, and pairs correct it."""
    cost, m = search.cost, search.cost.X.shape[0]
    if is_wide(cost):
        return _descend(search, _from_row_space(search, _begun_wide(search)), UnitVariance(cost), probe=True)
    start = _near_sample(search)
    pairs = Pairs(0) if cost.n_scores == 1 else start.pairs
    return _descend(search, start, Preconditioner(cost, Sample(np.arange(m), cost.X), m), pairs)


def _newton_cg(search: Search) -> Found:
    found = _descend(search, _near_sample(search), ConjugateGradients(search.cost), Pairs(0))
    return found._replace(next_step=None)  # the step would read X


def _lbfgs(search: Search) -> Found:
    start, wide = Start(_first_parameters(search)), is_wide(search.cost)
    if wide and not is_sparse(search.cost.X):
        return _scaled_lbfgs(search, start, search.stopping)
    start = _from_row_space(search, start) if wide else _near_sample(search)
    return _descend(search, start, UnitVariance(search.cost), start.pairs, probe=start.pairs is None)


def _proximal(search: Search) -> Found:
    cost = search.cost
    curvature, _ = curvature_of(cost.X, cost.sample_weight, cost.offset, cost.scale, cost.fit_intercept, search.rng)
    return minimise_with_l1(cost, _first_parameters(search), cost.l1, curvature + cost.l2.max(), search.stopping)


# For each solver: how it finds the minimum, and what bounds the distance of its result from the minimum.
_SOLVERS: dict[str, tuple[Callable[[Search], Found], Callable[..., tuple[Found, float]]]] = {
    "gd": (_gd, certify),
    "minibatch": (_minibatch, certify),
    "newton-sample": (_newton_sample, certify),
    "newton-cholesky": (_newton_cholesky, certify),
    "newton-cg": (_newton_cg, certify),
    "lbfgs": (_lbfgs, certify),
    "proximal": (_proximal, certify_l1),
}
SOLVERS = ("auto", *_SOLVERS)


def _descend(
    search: Search, start: Start, curvature: UnitVariance, pairs: Pairs | None = None, probe: bool = False
) -> Found:
    """Go on from the start by L-BFGS, for the iterations that are left."""
    rest = search.stopping.after(start.iterations)
    if start.stopped:
        rest = rest._replace(max_iter=0)
    found = minimise(search.cost, start.parameters, curvature.solve, rest, curvature.at, pairs, probe)
    return found._replace(iterations=start.iterations + found.iterations, stopped=start.stopped or found.stopped)


def _first_parameters(search: Search) -> Array:
    """The initial parameters. Without any: weights of zero, and the biases that are optimal for these."""
    if search.initial is not None:
        return search.initial
    cost = search.cost
    parameters = np.zeros((cost.n_scores, cost.X.shape[1] + 1))
    if cost.fit_intercept:
        logs = np.log(cost.class_shares())
        parameters[:, -1] = logs[1] - logs[0] if cost.n_scores == 1 else logs - logs.mean()
    return parameters


def _near_sample(search: Search) -> Start:
    """The optimum of the sample, unless there is none, or initial parameters are given.

    A sample's Hessian is near that of all rows, so the search over all rows goes on with its pairs (Byrd, Hansen,
    Nocedal and Singer, "A stochastic quasi-Newton method for large-scale optimization", 2016).
    """
    cost, sample, parameters = search.cost, search.sample, _first_parameters(search)
    if search.initial is not None or sample is None:
        return Start(parameters)
    first, size = cost.of_rows(sample.chosen, sample.X), sample.chosen.size
    stopping = Stopping(_FIRST_TOLERANCE / math.sqrt(size), _FIRST_ITERATIONS, cost.rounding)
    norms: list[float] = []

    def at(_parameters: Array, gradient: Array) -> None:
        norms.append(float(np.linalg.norm(gradient)))

    found = minimise(first, parameters, UnitVariance(first).solve, stopping, at, probe=True)
    at(found.parameters, found.gradient)
    cost.passes += first.passes * size / cost.X.shape[0]
    return Start(found.parameters, found.pairs, is_slow(norms))


def _scaled_lbfgs(search: Search, start: Start, stopping: Stopping) -> Found:
    """L-BFGS whose first Hessian is scaled from the first pair on: that of unit variance is far off for few rows."""
    return minimise(search.cost, start.parameters, UnitVariance(search.cost).solve, stopping, scaled=True)


def _begun_wide(search: Search) -> Start:
    """Where some iterations of L-BFGS end; not yet any if there are few rows."""
    cost, start = search.cost, Start(_first_parameters(search))
    size = cost.X.shape[0] * cost.n_scores
    if size <= _ROWS_AT_ONCE:
        return start
    some = search.stopping._replace(max_iter=min(search.stopping.max_iter, int(size / _ROWS_AN_ITERATION)))
    found = _scaled_lbfgs(search, start, some)
    ended = found.stopped or found.iterations < some.max_iter or largest(found.gradient) <= search.stopping.tol
    return Start(found.parameters, iterations=found.iterations, stopped=found.stopped, ended=ended)


def _from_row_space(search: Search, start: Start) -> Start:
    """The minimum that is found in the space of the rows."""
    if start.ended:
        return start
    cost, stopping = search.cost, search.stopping.after(start.iterations)
    space, told = RowSpace(cost, start.parameters), stopping.on_step

    def on_step(iteration: int, value: float, found: Callable[[], Array]) -> bool:
        return told is not None and told(iteration, value, lambda: space.parameters(found()))

    stopping = stopping._replace(on_step=on_step)
    minimised = partial(minimise, space, space.begin(), space.solve, stopping, size=space.size)
    if is_sparse(cost.X):
        found = minimised(scaled=True)
    else:
        found = minimised(space.at, Pairs(0), length=space.length)
    return Start(space.parameters(found.parameters), None, False, start.iterations + found.iterations, found.stopped)


def _after_batches(search: Search) -> Array:
    """Parameters after some epochs of mini-batches, with the penalty's mean strength for all features."""
    cost, rng, m = search.cost, search.rng, search.cost.X.shape[0]
    l2, batch = float(cost.l2.mean()), auto_batch_size(m)
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
