"""How training at a given rate ended: an error, a warning or nothing, in the words of all trainers."""

from __future__ import annotations

import math

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from ..training.divergence import divergence, worsening
from ..training.loop import TrainingResult
from ..training.problem import Problem
from .base import warn_user

# Calls of `partial_fit` that are judged together; their mean loss must exceed log K by this factor and so many of its
# standard errors. Calls of single rows whose labels are pure noise hardly ever do.
_CALLS, _WORSE, _ERRORS = 10, 1.05, 2.0


def check_ending(problem: Problem, rate: float, result: TrainingResult, losses: list[float]) -> None:
    """Raise ValueError where a given rate diverged; warn where training made the model worse.

    A stream is worse if the last calls together cost more than guessing. `losses` are those of all calls; each tenth
    call looks back. Weights make the losses of calls incomparable; each call is then judged alone.
    """
    if result.diverged:
        raise ValueError(f'{divergence(problem, rate, result)}; or pass learning_rate="auto"')
    ended, began = result.ended, result.began
    is_worse = result.is_worse
    if not is_worse and losses and len(losses) % _CALLS == 0 and problem.sample_weight is None:
        last = np.array(losses[-_CALLS:])
        ended, began = float(last.mean()), math.log(problem.n_classes or 2)
        is_worse = bool(ended > _WORSE * began + _ERRORS * last.std() / math.sqrt(_CALLS))
    if is_worse:
        warn_user(worsening(problem, rate, ended, began), ConvergenceWarning)
