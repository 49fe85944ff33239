"""From parameters to the minimum of a smooth convex cost: preconditioned L-BFGS."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.linalg.lapack import dtrtrs

from ..data.validation import Array

# Parts of the slope along a step: by how much of it the cost must fall, and how much of it may be left (Nocedal and
# Wright, "Numerical Optimization", 2006, section 3.1).
_SUFFICIENT = 1e-4
_LEFT = 0.9
_MOST_TRIES = 30
# Part of the first step that tells how long that may be.
_PROBE = 0.01
# With so many pairs, steps that are too long show that the given approximation of the Hessian is too small.
_PAIRS_THAT_TELL = 3


class Pairs:
    """Steps and by how much the gradient changed in each, the last so many: what L-BFGS knows of the Hessian.

    Their products are kept too, so that of four reads of all pairs two are left (Byrd, Nocedal and Schnabel,
    "Representations of quasi-Newton matrices and their use in limited memory methods", 1994, section 3).
    """

    def __init__(self, memory: int) -> None:
        self._memory = memory
        self._places: list[int] = []  # of pairs in the arrays, the oldest first
        self._steps = self._changes = np.empty((0, 0))
        self._products = np.empty((memory, memory))  # of a step and a change, where the step is no newer

    def __len__(self) -> int:
        return len(self._places)

    def add(self, step: Array, change: Array) -> None:
        """Keep a pair whose product is positive."""
        product = float(np.vdot(step, change))
        if not self._memory or not product > 0:
            return
        if not self._steps.size:
            self._steps, self._changes = np.empty((2, self._memory, step.size))
        full = len(self) == self._memory
        place = self._places.pop(0) if full else len(self)
        self._places.append(place)
        self._steps[place], self._changes[place] = step.reshape(-1), change.reshape(-1)
        self._products[: len(self), place] = self._steps[: len(self)] @ self._changes[place]
        self._products[place, place] = product  # summed in another order, it might not be positive

    def clear(self) -> None:
        self._places.clear()

    def inverse_times(self, gradient: Array, solve: Callable[[Array], Array], scaled: bool) -> Array:
        """The approximate inverse Hessian times the gradient; `solve` is the one without the pairs.

        `scaled`: that one times what it missed in the last step (Nocedal and Wright, equation 7.20).
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
    """Where a minimisation ended."""

    parameters: Array
    cost: float
    gradient: Array
    iterations: int
    stopped: bool = False  # because `on_step` said so
    pairs: Pairs | None = None  # that approximate the Hessian
    next_step: Callable[[], Array] | None = None  # as long as without a search


def largest(gradient: Array) -> float:
    """Size of the largest element."""
    return float(np.abs(gradient).max())


def minimise(
    cost: Callable[[Array], tuple[float, Array]],
    parameters: Array,
    solve: Callable[[Array], Array],
    tol: float,
    max_iter: int,
    rounding: float,
    memory: int = 10,
    on_step: Callable[[int, float, Array], bool] | None = None,
    at: Callable[[Array, Array], None] | None = None,
    pairs: Pairs | None = None,
    probe: bool = False,
    scaled: bool = False,
    size: Callable[[Array], float] = largest,
) -> Found:
    """Minimise by L-BFGS (Nocedal and Wright, algorithm 7.4), whose first approximation of the Hessian is given.

    Parameters
    ----------
    cost : callable
        Value and gradient.
    solve : callable
        Product of the approximate inverse Hessian and an array like the parameters.
    tol : float
        Size of the gradient at which to stop.
    rounding : float
        Relative error of a cost's value: steps may raise it by that much where the slope says that they are good
        (Hager and Zhang, "A new conjugate gradient method with guaranteed descent", 2005).
    memory : int
        Pairs of steps and changes of the gradient that are kept, unless `pairs` are given; 0 for steps by `solve`
        alone.
    on_step : callable or None
        Called with the iteration, the cost and the parameters; stops when it returns True.
    at : callable or None
        Called with the parameters and the gradient before `solve` is in each iteration, which may be another one there.
    pairs : Pairs or None
        Of a cost that is nearly the same, to begin with and go on with, in place of new ones.
    probe : bool
        Whether to begin with the pair of a short step: without, the first step along correlated features would be far
        too long for a `solve` that takes them apart.
    scaled : bool
        Whether the approximation is taken times what it missed in the last step, at once; else where steps show that
        they are too long.
    size : callable
        Of a gradient; the largest of its elements unless given.
    """
    value, gradient = cost(parameters)
    kept = pairs if pairs is not None and memory else Pairs(memory)
    if probe and size(gradient) > tol:
        kept.add(*_probe(cost, parameters, gradient, solve))

    def here(iterations: int, stopped: bool = False) -> Found:
        def step(at: Array = gradient, scaled: bool = scaled) -> Array:
            return -kept.inverse_times(at, solve, scaled)

        return Found(parameters, value, gradient, iterations, stopped, kept, step)

    for iteration in range(max_iter):
        if size(gradient) <= tol:
            return here(iteration)
        if at is not None:
            at(parameters, gradient)
        direction = -kept.inverse_times(gradient, solve, scaled)
        slope = float(np.vdot(direction, gradient))
        if not slope < 0:
            kept.clear()
            direction = -solve(gradient)
            slope = float(np.vdot(direction, gradient))
        found = _search(cost, parameters, value, direction, slope, rounding)
        if found is None:
            return here(iteration)
        length, value, new_gradient = found
        step = length * direction
        scaled = scaled or (length < 1 and len(kept) >= _PAIRS_THAT_TELL)
        kept.add(step, new_gradient - gradient)
        parameters, gradient = parameters + step, new_gradient
        if on_step and on_step(iteration, value, parameters):
            return here(iteration + 1, stopped=True)
    return here(max_iter)


def _probe(
    cost: Callable[[Array], tuple[float, Array]],
    parameters: Array,
    gradient: Array,
    solve: Callable[[Array], Array],
) -> tuple[Array, Array]:
    """A short first step, and by how much the gradient changed in it."""
    step = -_PROBE * solve(gradient)
    return step, cost(parameters + step)[1] - gradient


def _search(
    cost: Callable[[Array], tuple[float, Array]],
    parameters: Array,
    value: float,
    direction: Array,
    slope: float,
    rounding: float,
) -> tuple[float, float, Array] | None:
    """A step's length along the direction, with the cost and the gradient there; None where no step helps.

    The whole step is tried first; then twice as much, or the minimum of the parabola with the slopes at both ends. A
    cost that is nearly straight behind a bend has its minimum far before the parabola's: after one that was too long,
    steps get four times shorter at least.
    """
    length, low, high = 1.0, 0.0, np.inf
    low_slope, high_slope = slope, np.inf
    too_long = 0  # tries in succession
    for _ in range(_MOST_TRIES):
        new_value, gradient = cost(parameters + length * direction)
        new_slope = float(np.vdot(gradient, direction))
        sound = np.isfinite(new_value) and np.isfinite(new_slope)
        lower = sound and new_value <= value + _SUFFICIENT * length * slope
        flat = sound and new_value <= value + rounding * abs(value) and abs(new_slope) <= _LEFT * abs(slope)
        if (lower and new_slope >= _LEFT * slope) or flat:
            return length, new_value, gradient
        if lower and new_slope < 0:  # still steep: on
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
