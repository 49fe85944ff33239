"""The loop over epochs: recorded costs, progress, divergence, stopping."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ..data.validation import Array, is_sparse
from .dense import DenseFit
from .divergence import DIVERGED_COST, Ending, judge_ending
from .fit import Fit
from .order import Order
from .plateau import Plateau
from .problem import Epoch, Problem
from .progress import Progress
from .schedule import Schedule
from .sparse import SparseFit


class TrainingResult(NamedTuple):
    """What a training run ends with."""

    weights: Array  # (1, n), or (K, n) for K classes; of the scaled features
    bias: Array  # (1,) or (K,) of float64
    costs: list[float]
    n_epochs: int
    best_epoch: int  # number of the epoch whose parameters these are: the best one, or the last
    n_undone: int  # epochs beside these that were computed and undone
    diverged: bool
    began: float  # cost at zeros, or of given parameters if that is more
    ended: float  # cost of these parameters, or of the last epoch, see `judge_ending`
    is_worse: bool  # whether training ended above where it began, without divergence; never with `retry`


# Epochs below this part of the cost at zeros never count as diverged. The best cost of separable data nears zero, and
# sound epochs cost many times as much. Parts from 0.02 to 0.25 did the same on 72 separable data sets.
_SMALL_COST = 0.1
# An earlier epoch is better than the last if its score is below this part of the last one's. Smaller differences count
# as noise.
_BETTER = 0.99
# Half of the rate should lower the cost of a diverged epoch to this part. Otherwise the rate is not the cause.
_LOWERED_COST = 0.9


def train(
    problem: Problem,
    learning_rate: float,
    n_epochs: int,
    rng: np.random.Generator,
    n_threads: int | None,
    *,
    record_every: int = 1,
    verbose: bool = False,
    retry: bool = False,
    until_done: bool = False,
    on_epoch: Callable[[Epoch], tuple[bool, float]] | None = None,
) -> TrainingResult:
    """Train by gradient descent; see `jitlogit.train_logistic_regression`.

    Parameters
    ----------
    retry : bool
        Whether to go on after divergence, with half of the learning rate, from the parameters with the lowest cost. An
        epoch diverges here whose cost exceeds twice the lowest one, and a tenth of the cost at zeros. The first epoch
        from `problem.initial` is kept if half of the rate leaves its cost as high: the parameters don't suit the data.
        Needs `record_every` of 1.
    until_done : bool
        Whether to end soon once a `Plateau` is reached. The rest of a schedule of falling rates then takes few epochs.
    on_epoch : callable or None
        Called after each epoch; the losses are then computed in each, which takes time. It returns whether training
        should stop, and a score. The parameters with the lowest score are returned, if the last one's is higher by a
        per cent. After a return to earlier parameters, it is called with the numbers of these epochs again.

    Raises
    ------
    ValueError
        If X isn't finite, or with `retry` training diverges at any learning rate.
    """
    m, steps = problem.X.shape[0], problem.steps
    began = math.log(problem.n_classes or 2)
    order = Order(m, problem.batch_size, problem.shuffle, rng)
    schedule = Schedule(steps.schedule, learning_rate, n_epochs, problem.n_batches)
    make_fit = SparseFit if is_sparse(problem.X) else DenseFit
    fit = make_fit(problem, order, n_epochs, n_threads, watched=on_epoch is not None)
    judge = _Judge(began, problem.initial is not None)
    plateau = Plateau(began, n_epochs) if until_done else None
    undone, best = _Undone(), _Best()
    progress = Progress(n_epochs) if verbose else None
    costs: list[float] = []
    done, diverged = 0, False
    while done < n_epochs:
        i = done
        recorded = i % record_every == 0
        with_loss = recorded or i == n_epochs - 1 or schedule.adaptive or retry or until_done or on_epoch is not None
        order.draw()
        fit.start_epoch(schedule.rates(i), with_loss, steps.average and (i > 0 or n_epochs == 1))
        start = time.perf_counter()
        cost = fit.run() / m
        seconds = time.perf_counter() - start
        diverged = not fit.is_sound(cost, sys.float_info.max if retry else DIVERGED_COST)
        if retry and judge.rejects(i, cost, diverged):
            schedule.halve(problem.X)
            fit.go_back()
            done, diverged = judge.good, False
            undone.go_back(done)
            del costs[done:]
            continue
        done += 1
        if judge.is_best(i, cost):
            fit.keep()
        if recorded and math.isfinite(cost):
            costs.append(cost)
        if progress:
            shown = f"{cost:.6f}"
            progress.update(i, *((f"cost {shown}", f"Cost at iteration {i}: {shown}") if recorded else (None, None)))
        if diverged:
            fit.undo_if_not_finite()
            break
        objective = fit.objective(cost) if plateau and plateau.looks else math.nan
        known = undone.before_next(), cost, objective, schedule.rates(i)[0], seconds
        stop, score = on_epoch(fit.epoch(i, *known)) if on_epoch else (False, math.nan)
        best.note(i, score, fit)
        if stop:
            break
        schedule.note(cost)
        if plateau and plateau.is_reached(i, cost, objective):
            n_epochs = schedule.finish_early(done)
    if progress:
        progress.close()
    kept = best.end(done, fit)
    weights, bias = fit.result()
    judged = not (diverged or retry)
    ending = judge_ending(problem, weights, bias, cost) if judged else Ending(began, cost, False)
    return TrainingResult(weights, bias, costs, done, kept, undone.total, diverged, *ending)


class _Best:
    """The epoch with the lowest score; a score that is NaN is no lower."""

    def __init__(self) -> None:
        self._number, self._score, self._last = -1, math.inf, math.nan

    def note(self, i: int, score: float, fit: Fit) -> None:
        self._last = score
        if i <= self._number:  # computed anew
            self._score = math.inf
        if score < self._score:
            self._number, self._score = i, score
            fit.keep_best()

    def end(self, n_epochs: int, fit: Fit) -> int:
        """Return to the best epoch, if the last isn't as good; return the number of the one that is kept."""
        if not self._score < _BETTER * self._last:
            return n_epochs - 1
        fit.return_to_best()
        return self._number


class _Undone:
    """Counts epochs that were computed and undone."""

    def __init__(self) -> None:
        self.total = 0
        self._kept: list[int] = []  # for each epoch that stands, the epochs undone since the one before
        self._now = 0

    def go_back(self, good: int) -> None:
        """Take note that the last epoch is undone, and all from `good` on."""
        lost = 1 + len(self._kept) - good
        self.total += lost
        self._now += lost + sum(self._kept[good:])
        del self._kept[good:]

    def before_next(self) -> int:
        """Epochs undone since the one before the last, which stands."""
        self._kept.append(self._now)
        self._now = 0
        return self._kept[-1]


class _Judge:
    """Tells by their costs which epochs diverged; `good` is the number of the best epoch, to return to."""

    def __init__(self, cost_at_zeros: float, was_given: bool) -> None:
        self.good = 0
        self._was_given = was_given  # whether training began at given parameters, not at zeros
        self._small = _SMALL_COST * cost_at_zeros
        self._best = self._before_best = self._last = cost_at_zeros  # costs of these epochs
        self._cost_at_twice_the_rate = math.inf  # of the first epoch

    def rejects(self, i: int, cost: float, diverged: bool) -> bool:
        """Whether to return to the best epoch, with half of the rate."""
        rate_matters = cost <= _LOWERED_COST * self._cost_at_twice_the_rate
        unsuited = self._was_given and i == 0 and not rate_matters
        if not diverged and (cost <= max(2 * self._best, self._small) or unsuited):
            return False
        if i == 0 and math.isfinite(cost):
            self._cost_at_twice_the_rate = cost
        self._best = self._last = self._before_best
        return True

    def is_best(self, i: int, cost: float) -> bool:
        """Take note of an epoch that is kept; return whether none has a lower cost."""
        best = cost <= self._best or i == 0
        if best:
            self._best, self.good, self._before_best = cost, i, self._last
        self._last = cost
        return best
