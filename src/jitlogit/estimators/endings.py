"""How training at a given rate ended: an error, a warning or nothing, in the words of all trainers."""

from __future__ import annotations

import math

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from ..training.divergence import divergence, per_weight, worsening
from ..training.loop import TrainingResult
from ..training.problem import Problem
from .base import warn_user

# Calls of `partial_fit` that are judged together; their mean loss must exceed log K by this factor and so many of its
# standard errors. Calls of single rows whose labels are pure noise hardly ever do.
_CALLS, _WORSE, _ERRORS = 10, 1.05, 2.0


def check_ending(
    problem: Problem, rate: float, result: TrainingResult, calls: tuple[float, ...] | None = None
) -> tuple[float, ...]:
    """Raise ValueError where a given rate diverged; warn where training made the model worse.

    A stream is worse if ten calls together cost more than guessing. `calls` are the losses of earlier calls that aren't
    judged yet, None if this is no stream. Return them with that of this call; () if they are judged now. They are
    divided by the mean weight of their call, since weights make the losses of calls incomparable.
    """
    if result.diverged:
        raise ValueError(f'{divergence(problem, rate, result)}; or pass learning_rate="auto"')
    calls = () if calls is None else (*calls, per_weight(problem, result.costs[-1]))
    ended, began, is_worse = result.ended, result.began, result.is_worse
    is_full = len(calls) >= _CALLS
    if is_full and not is_worse:
        ended, began = float(np.mean(calls)), math.log(problem.n_classes or 2)
        is_worse = bool(ended > _WORSE * began + _ERRORS * np.std(calls) / math.sqrt(_CALLS))
    if is_worse:
        warn_user(worsening(problem, rate, ended, began), ConvergenceWarning)
    return () if is_full else calls


def warn_of_interrupt(n_epochs: int, planned: int) -> None:
    warn_user(
        f"training was interrupted after {n_epochs} of {planned} epochs; the model is that of the last",
        ConvergenceWarning,
    )
