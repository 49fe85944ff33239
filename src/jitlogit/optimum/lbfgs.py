"""From parameters to the minimum of a smooth convex cost: preconditioned L-BFGS."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
from scipy.linalg.lapack import dtrtrs

from ..data.validation import Array

Function = Callable[[Array], tuple[float, Array]]  # value and gradient
OnStep = Callable[[int, float, Callable[[], Array]], bool]

# Wolfe's conditions, in fractions of the slope at the start of a step: the least decrease of the cost per length, and
# the largest slope that is left (Nocedal and Wright, "Numerical Optimization", 2006, section 3.1).
_SUFFICIENT_DECREASE, _SLOPE_LEFT = 1e-4, 0.9
_MOST_TRIES = 30
_PROBE = 0.01  # length of the probe over that of the first step
_PAIRS_BEFORE_SCALING = 3  # from so many on, a step that is too long shows that the given Hessian is too small


class Stopping(NamedTuple):
    """When a search ends."""

    tol: float  # size of the gradient at which it stops
    max_iter: int
    rounding: float  # relative error of the cost's values
    on_step: OnStep | None = None  # gets iteration, cost and a function for the parameters; a true result stops

    def after(self, done: int) -> Stopping:
        """The rest of a search that has made `done` iterations."""

        def on_step(iteration: int, value: float, parameters: Callable[[], Array]) -> bool:
            return self.on_step is not None and self.on_step(done + iteration, value, parameters)

        return self._replace(max_iter=self.max_iter - done, on_step=on_step)


class Pairs:
    """The last `memory` steps and the changes of the gradient along them, which approximate the Hessian.

    Products of steps and changes are kept too: `inverse_times` then reads all pairs twice, not four times (Byrd,
    Nocedal and Schnabel, "Representations of quasi-Newton matrices and their use in limited memory methods", 1994,
    section 3).
    """

    def __init__(self, memory: int = 10) -> None:
        self._memory = memory
        self._places: list[int] = []  # rows of the arrays that hold the pairs, the oldest pair first
        self._steps = self._changes = np.empty((0, 0))
        self._products = np.empty((memory, memory))  # [i, j]: step i times change j, of a pair not older

    def __len__(self) -> int:
        return len(self._places)

    def add(self, step: Array, change: Array) -> None:
        """Keep a pair, unless its product isn't positive: the approximation stays positive definite."""
        product = float(np.vdot(step, change))
        if not self._memory or not product > 0:
            return
        if not self._steps.size:
            self._steps, self._changes = np.empty((2, self._memory, step.size))
        place = self._places.pop(0) if len(self) == self._memory else len(self)
        self._places.append(place)
        self._steps[place], self._changes[place] = step.reshape(-1), change.reshape(-1)
        self._products[: len(self), place] = self._steps[: len(self)] @ self._changes[place]
        self._products[place, place] = product  # the product above, summed in another order, may not be positive

    def clear(self) -> None:
        self._places.clear()

    def inverse_times(self, gradient: Array, solve: Callable[[Array], Array], scaled: bool) -> Array:
        """Product of the approximate inverse Hessian and the gradient.

        `solve` multiplies by the inverse that the pairs correct. If `scaled`, it is first multiplied by a factor that
        fits the last step (Nocedal and Wright, equation 7.20).
        """
        if not self._places:
            return solve(gradient)
        places, count = self._places, len(self)
        steps, changes, g = self._steps[:count], self._changes[:count], gradient.reshape(-1)
        products = self._products[np.ix_(places, places)]

        def total(factors: Array, of: Array) -> Array:
            placed = np.empty(count)
            placed[places] = factors
            return np.asarray(placed @ of)

        factors, _ = dtrtrs(products, (steps @ g)[places])
        q = np.array(solve((g - total(factors, changes)).reshape(gradient.shape)), order="C").reshape(-1)
        if scaled:
            last = changes[places[-1]]
            q *= products[-1, -1] / float(np.vdot(last, solve(last.reshape(gradient.shape))))
        factors = np.diag(products) * factors - (changes @ q)[places]
        q += total(dtrtrs(products, factors, trans=1)[0], steps)
        return np.asarray(q.reshape(gradient.shape))


class Found(NamedTuple):
    """Where a search ended."""

    parameters: Array
    cost: float
    gradient: Array
    iterations: int
    stopped: bool = False  # by `on_step`
    pairs: Pairs | None = None
    next_step: Callable[[], Array] | None = None  # makes the step of the next iteration, before its line search


def largest(gradient: Array) -> float:
    return float(np.abs(gradient).max())


def minimise(
    cost: Function,
    parameters: Array,
    solve: Callable[[Array], Array],
    stopping: Stopping,
    at: Callable[[Array, Array], None] | None = None,
    pairs: Pairs | None = None,
    probe: bool = False,
    scaled: bool = False,
    size: Callable[[Array], float] = largest,
    length: Callable[[Array, Array], float] | None = None,
) -> Found:
    """Minimise by L-BFGS (Nocedal and Wright, algorithm 7.4) from a given approximation of the Hessian.

    Parameters
    ----------
    solve : callable
        Product of the inverse of the given Hessian and an array like the parameters.
    stopping : Stopping
        Steps may raise the cost by its rounding where the slope says that they are good (Hager and Zhang, "A new
        conjugate gradient method with guaranteed descent", 2005).
    at : callable or None
        Called with the parameters and the gradient before each iteration; `solve` may change with it.
    pairs : Pairs or None
        The search adds to these; None: to new ones. `Pairs(0)` keep none, so that all steps are by `solve`.
    probe : bool
        Whether a short step makes the first pair. Without one, the first step is far too long where features are
        correlated and `solve` takes them to be independent.
    scaled : bool
        Whether `solve` is scaled by the last pair from the start; else it is once a step proves too long.
    size : callable
        Norm of a gradient, to compare with `tol`.
    length : callable or None
        First length to try along a direction from some parameters; None: 1.
    """
    tol, max_iter, rounding, on_step = stopping
    value, gradient = cost(parameters)
    kept = Pairs() if pairs is None else pairs
    if probe and size(gradient) > tol:
        step = -_PROBE * solve(gradient)
        kept.add(step, cost(parameters + step)[1] - gradient)

    def here(iterations: int, stopped: bool = False) -> Found:
        def step() -> Array:
            return -kept.inverse_times(gradient, solve, scaled)

        return Found(parameters, value, gradient, iterations, stopped, kept, step)

    for iteration in range(max_iter):
        if size(gradient) <= tol:
            return here(iteration)
        if at is not None:
            at(parameters, gradient)
        direction = -kept.inverse_times(gradient, solve, scaled)
        if not np.vdot(direction, gradient) < 0:
            kept.clear()
            direction = -solve(gradient)
        if length is not None:
            direction = length(parameters, direction) * direction
        found = _search(cost, parameters, value, gradient, direction, rounding)
        if found is None:
            return here(iteration)
        part, value, new_gradient = found
        step = part * direction
        scaled = scaled or (part < 1 and len(kept) >= _PAIRS_BEFORE_SCALING)
        kept.add(step, new_gradient - gradient)
        parameters, gradient = parameters + step, new_gradient
        if on_step and on_step(iteration, value, partial(np.copy, parameters)):
            return here(iteration + 1, stopped=True)
    return here(max_iter)


def _search(
    cost: Function, parameters: Array, value: float, gradient: Array, direction: Array, rounding: float
) -> tuple[float, float, Array] | None:
    """Length of a step along the direction, with the cost and the gradient there; None where no step helps.

    The whole step is tried first. Next comes its double, or the minimum of the parabola with the slopes at both ends.
    A cost that is nearly straight behind a bend has its minimum far before the parabola's. After two tries in
    succession that were too long, the next one therefore goes into the bracket by a quarter of its length at most.
    """
    length, low, high = 1.0, 0.0, np.inf
    slope = float(np.vdot(direction, gradient))
    low_slope, high_slope, too_long = slope, np.inf, 0
    for _ in range(_MOST_TRIES):
        new_value, gradient = cost(parameters + length * direction)
        new_slope = float(np.vdot(gradient, direction))
        sound = np.isfinite(new_value) and np.isfinite(new_slope)
        lower = sound and new_value <= value + _SUFFICIENT_DECREASE * length * slope
        flat = sound and new_value <= value + rounding * abs(value) and abs(new_slope) <= _SLOPE_LEFT * abs(slope)
        if (lower and new_slope >= _SLOPE_LEFT * slope) or flat:
            return length, new_value, gradient
        if lower and new_slope < 0:  # the minimum lies further on
            low, low_slope, too_long = length, new_slope, 0
            if np.isinf(high):
                length *= 2
                continue
        else:
            high, high_slope, too_long = length, new_slope if sound else np.inf, too_long + 1
        if not high - low > 1e-12:
            break
        part = low_slope / (low_slope - high_slope) if low_slope < high_slope < np.inf else 0.1
        length = low + min(max(part, 0.05), 0.95 if too_long < 2 else 0.25) * (high - low)
    return None
