"""The loop over epochs: order of the rows, recorded costs, progress, divergence."""

from __future__ import annotations

import math
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..data.scaling import row_squares
from ..data.validation import Array
from .fits import PLAIN, Epoch, Problem, Steps, make_fit
from .order import Order
from .progress import Progress
from .schedule import Schedule


class TrainingResult(NamedTuple):
    """What a training run ends with."""

    weights: Array  # (1, n), or (K, n) for K classes
    bias: Array  # (1,) or (K,) of float64
    costs: list[float]
    n_epochs: int
    diverged: bool
    began: float  # cost at zeros
    ended: float  # cost of the last epoch
    is_worse: bool  # whether it began at zeros, and ended above them without divergence


# Part of the cost with twice the rate.
_AS_HIGH = 0.9
# A mean loss above this, in nats, means that the typical label has a probability that float64 can't hold: e^-745 = 0.
_DIVERGED_COST = 745.0
# Training from zeros has made the model worse if it ends above so many times their cost, log K. One batch a pass never
# exceeds it but by rounding; the noise of mini-batches alone can nearly double it.
_WORSE, _WORSE_OF_BATCHES = 1.01, 2.0
# Part of the cost at zeros, below which no epoch counts as diverged. The best cost of separable data nears zero, and
# sound epochs cost many times as much. Parts from 0.02 to 0.25 did the same on 72 separable sets.
_SMALL = 0.1


def train(
    X: Any,
    labels: Array,
    *,
    learning_rate: float,
    n_epochs: int,
    batch_size: int,
    rng: np.random.Generator,
    shuffle: bool | str,
    record_every: int,
    n_threads: int | None,
    pack: bool = True,
    verbose: bool = False,
    offset: Array | None = None,
    scale: Array | None = None,
    sample_weight: Array | None = None,
    steps: Steps = PLAIN,
    initial: Array | None = None,
    fit_intercept: bool = True,
    n_classes: int | None = None,
    retry: bool = False,
    name: str = "X_train",
    on_epoch: Callable[[Epoch], bool] | None = None,
) -> TrainingResult:
    """Gradient descent on validated arguments; see `jitlogit.train_logistic_regression`.

    Parameters
    ----------
    initial : (1, n + 1), (K, n + 1) or None
        Weights and bias to start from, those of the features as trained on; None for zeros.
    n_classes : int or None
        K for labels 0 ... K - 1 and softmax; None for labels 0 and 1 and one score.
    retry : bool
        Whether to go on, when training diverges (the cost of an epoch is twice as high as one before, and above a tenth
        of the cost at zeros), with half of the learning rate from the parameters that had the lowest cost, however
        high. A first epoch from `initial` whose cost half of the rate leaves as high has begun at parameters that don't
        suit the data, and is none.
    name : str
        Of X, in errors.
    on_epoch : callable or None
        Called after each epoch, which then costs the time to compute the losses; training stops when it returns True.
        After such a return, with a number that it has been called with before.
    """
    m = X.shape[0]
    began = math.log(n_classes or 2)
    problem = Problem(
        X,
        labels,
        batch_size,
        shuffle,
        sample_weight,
        offset,
        scale,
        steps,
        fit_intercept,
        initial,
        n_classes,
        on_epoch is not None,
        name,
    )
    fit = make_fit(problem, n_epochs, pack, n_threads)
    order = Order(m, batch_size, shuffle, rng)
    schedule = Schedule(steps.schedule, learning_rate, n_epochs, -(-m // batch_size))
    costs: list[float] = []
    diverged = False
    progress = Progress(n_epochs) if verbose else None
    judge = _Judge(began, initial is not None)
    i = -1
    fit.prepare(order, n_threads, n_epochs)
    while not diverged and i + 1 < n_epochs:
        i += 1
        record = i % record_every == 0
        # whether to look at the cost, which takes time
        look = record or i == n_epochs - 1 or schedule.adaptive or retry or on_epoch is not None
        order.draw()
        fit.start_epoch(schedule.rates(i), look, steps.average and (i > 0 or n_epochs == 1))
        start = time.perf_counter()
        cost = fit.run() / m
        seconds = time.perf_counter() - start
        diverged = not fit.is_sound(cost, sys.float_info.max if retry else _DIVERGED_COST)
        if retry and judge.rejects(i, cost, diverged):
            schedule.halve(X)
            fit.go_back()
            i, diverged = judge.good - 1, False
            del costs[judge.good :]
            continue
        if judge.is_best(i, cost):
            fit.keep()
        if record and math.isfinite(cost):
            costs.append(cost)
        if progress:
            progress.update(i, cost if record else None)
        if diverged:
            fit.undo_if_not_finite()
        elif on_epoch and on_epoch(fit.epoch(i, cost, schedule.rates(i)[0], seconds)):
            break
        schedule.note(cost)
    if progress:
        progress.close()
    weights, bias = fit.result()
    worse = _WORSE_OF_BATCHES if batch_size < m else _WORSE
    is_worse = initial is None and not diverged and cost > worse * began
    return TrainingResult(weights, bias, costs, i + 1, diverged, began, cost, is_worse)


class _Judge:
    """Tells epochs that diverged by their costs; `good` is the number of the one to go back to."""

    def __init__(self, cost: float, was_given: bool) -> None:
        """From parameters of zeros, which have that cost, or from some that were given."""
        self.good = 0
        self._was_given = was_given
        self._small = _SMALL * cost
        self._best = self._before = self._previous = cost  # of the good epoch, before that one, and of the last
        self._tried = math.inf  # cost of the first epoch with twice the rate

    def rejects(self, i: int, cost: float, diverged: bool) -> bool:
        """Whether an epoch is to be done again with half of the rate."""
        # Parameters to begin with that don't suit the data: the rate isn't why the cost is high.
        unsuited = self._was_given and i == 0 and cost > _AS_HIGH * self._tried
        if not diverged and (cost <= max(2 * self._best, self._small) or unsuited):
            return False
        if i == 0 and math.isfinite(cost):
            self._tried = cost
        self._best = self._previous = self._before
        return True

    def is_best(self, i: int, cost: float) -> bool:
        """Take note of an epoch that is kept; whether no other cost as little."""
        best = cost <= self._best or i == 0
        if best:
            self._best, self.good, self._before = cost, i, self._previous
        self._previous = cost
        return best


def divergence(X: Any, offset: Array | None, scale: Array | None, learning_rate: float, result: TrainingResult) -> str:
    """Say that training diverged, and which rate would not."""
    safe = _safe_rate(X, offset, scale)
    advice = f"about {safe:.1g} is safe for these features" if safe > 0 else "these features are too large for any"
    return (
        f"training diverged in iteration {result.n_epochs - 1} and was stopped: learning_rate={learning_rate:g} is too "
        f"large; {advice}, and scaling them (to mean 0 and variance 1, say) allows larger ones"
    )


def worsening(X: Any, offset: Array | None, scale: Array | None, learning_rate: float, result: TrainingResult) -> str:
    """Say that training ended above where it began, and what would help.

    The rate that is safe for the mean row is no help where the given one is lower still: batches have noise as well.
    """
    safe = _safe_rate(X, offset, scale)
    lower = f"a rate of about {safe:.1g}, which is safe for them" if 0 < safe < learning_rate else "a lower rate"
    return (
        f"training ended at a cost of {result.ended:.3g}, above the {result.began:.3g} that it began with: "
        f"learning_rate={learning_rate:g} is too large; scale the features (to mean 0 and variance 1, say), or "
        f"choose {lower}"
    )


def warn_if_it_failed(
    X: Any, offset: Array | None, scale: Array | None, learning_rate: float, result: TrainingResult
) -> None:
    """Warn, where the caller was called, of training that diverged or ended above where it began."""
    words = divergence if result.diverged else worsening if result.is_worse else None
    if words:
        warnings.warn(words(X, offset, scale, learning_rate, result), RuntimeWarning, stacklevel=3)


def _safe_rate(X: Any, offset: Array | None, scale: Array | None) -> float:
    """Half of the rates at which batch gradient descent can diverge; 0 for features whose squares overflow.

    The cost's curvature is at most a quarter of the mean squared length of a row, the 1 of the bias included (Bohning,
    "Multinomial logistic regression algorithm", 1992): batch gradient descent can't diverge below 2 / curvature.
    """
    with np.errstate(over="ignore"):
        squares = row_squares(X[:: max(1, X.shape[0] // 1000)], offset, scale)
        return 1 / (0.25 * (1 + float(np.mean(squares))))
