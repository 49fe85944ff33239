"""When training has failed, and the words that say so: one rule and one advice for every trainer.

- Divergence: parameters that aren't finite, or a cost that no probability in float64 explains. Training stops.
- Worsening: the parameters that are returned cost more than guessing, and than the initial ones. The
  cost of the last epoch doesn't count: it is of other parameters, and a sound fit's may be high in its first epochs.
- Oscillation: plain batch gradient descent at a sound rate never raises its cost. A last epoch above the beginning is
  reported as worsening, even if the last step landed low. Cycles below the beginning are not reported.
- Tolerance: a few per cent for mini-batches, and two standard errors if only a sample of the rows is looked at.
- Few huge losses make the mean of a sample uncertain. Losses cut off at a cap have a mean that is never above the true
  one, and mostly more certain. Training is worse if one of several caps says so, each less its own two errors.
"""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..data.prediction import losses_of
from ..data.scaling import ScaledRows
from ..data.validation import Array
from .problem import Problem

if TYPE_CHECKING:
    from .loop import TrainingResult

# Mean loss in nats. One above this means that the typical label has a probability below what float64 holds: e^-745 = 0.
DIVERGED_COST = 745.0
# Training has made the model worse if its loss ends above this multiple of the one it began with. Batch gradient
# descent exceeds 1 by rounding alone. Batches of 16 leave up to 1.007 at rate 0.1 where labels are pure noise, single
# rows 1.02 to 1.3: that is worse than guessing, and a lower rate helps.
_WORSE, _WORSE_OF_BATCHES = 1.01, 1.05
# Standard errors that count as noise where the loss is that of some rows.
_ERRORS = 2.0
# Multiples of the first loss at which the losses of some rows are cut off; the last cuts off none.
_CAPS = (10.0, 100.0, 1000.0, math.inf)
# The most rows, and values of rows, that the model's loss and the safe rate are computed from.
_MOST_ROWS, _MOST_VALUES = 1000, 1 << 18
# Least mean weight that is divided by.
_TINY = float(np.finfo(np.float32).tiny)
# Optimizers whose steps have the size of the rate, whatever the curvature: no rate is known to be safe for them.
_OF_RATE_SIZE = ("adagrad", "adam")


class Ending(NamedTuple):
    """How training ended; costs are mean losses in nats."""

    began: float  # of guessing, log K, or of the given parameters if that is more
    ended: float  # of the parameters that are returned; of the last epoch if that tells of oscillation
    is_worse: bool


def judge_ending(problem: Problem, weights: Array, bias: Array, last_cost: float) -> Ending:
    """Compare the parameters that training returns, and the cost of its last epoch, with its beginning."""
    rows = _SomeRows(problem)
    began = math.log(problem.n_classes or 2)
    if problem.initial is not None:
        began = max(began, rows.loss(problem.initial[:, :-1], problem.initial[:, -1], began)[0])
    ended, least = rows.loss(weights, bias, began)
    if problem.n_batches > 1:
        return Ending(began, ended, not least <= _WORSE_OF_BATCHES * began)
    last_cost = per_weight(problem, last_cost)
    oscillates = problem.steps.optimizer == "sgd" and last_cost > _WORSE * began
    is_worse = oscillates or not least <= _WORSE * began
    return Ending(began, max(ended, last_cost) if oscillates else ended, is_worse)


def per_weight(problem: Problem, cost: float) -> float:
    """A mean of weighted losses, divided by the mean weight, which is 1 over a stream, not over each call."""
    if problem.sample_weight is None:
        return cost
    return cost / max(float(np.mean(problem.sample_weight, dtype=np.float64)), _TINY)


def divergence(problem: Problem, learning_rate: float, result: TrainingResult) -> str:
    """Say that training diverged, and what would help."""
    advice = _advice(problem, learning_rate)
    return f"training diverged in iteration {result.n_epochs - 1} and was stopped: {advice}"


def worsening(problem: Problem, learning_rate: float, ended: float, began: float) -> str:
    """Say that training ended above the cost at which it began, and what would help."""
    advice = _advice(problem, learning_rate)
    return f"training ended at a cost of {ended:.3g}, above the {began:.3g} that it began with: {advice}"


def warn_if_it_failed(problem: Problem, learning_rate: float, result: TrainingResult) -> None:
    """Warn of divergence or worsening, at the line that called the caller."""
    if result.diverged:
        warnings.warn(divergence(problem, learning_rate, result), RuntimeWarning, stacklevel=3)
    elif result.is_worse:
        words = worsening(problem, learning_rate, result.ended, result.began)
        warnings.warn(words, RuntimeWarning, stacklevel=3)


def _advice(problem: Problem, learning_rate: float) -> str:
    """What to do. The safe rate is no advice to a rate below it, which the noise of batches makes too large."""
    scale = f"learning_rate={learning_rate:g} is too large; scale the features (to mean 0 and variance 1, say)"
    safe = _safe_rate(problem)
    if safe == 0:
        return f"{scale}: as they are, they are too large for any rate"
    known = safe < learning_rate and problem.steps.optimizer not in _OF_RATE_SIZE
    return f"{scale}, or choose {f'a rate of about {safe:.1g}, which is safe for them' if known else 'a lower rate'}"


def _safe_rate(problem: Problem) -> float:
    """Half of the least rate at which batch gradient descent can diverge; 0 for features whose squares overflow.

    That rate is 2 / curvature. The curvature of the mean loss is at most a quarter of the mean squared length of a
    sample, with a 1 for the bias (Bohning, "Multinomial logistic regression algorithm", 1992). An L2 penalty adds its
    strength.
    """
    with np.errstate(over="ignore"):
        return 1 / (0.25 * (1 + _SomeRows(problem).mean_square()) + problem.steps.penalties[0])


class _SomeRows:
    """All rows of a small problem, else some at random, always the same; their neighbours may be of one class."""

    def __init__(self, problem: Problem) -> None:
        m, n = problem.X.shape
        count = max(1, min(_MOST_ROWS, _MOST_VALUES // n))
        self._are_all = m <= count
        rows = slice(None) if self._are_all else np.sort(np.random.default_rng(0).integers(0, m, count))
        self._rows = ScaledRows(problem.X[rows], *problem.scaling)
        self._labels = problem.labels[rows]
        weights = np.ones(self._labels.size) if problem.sample_weight is None else problem.sample_weight[rows]
        self._weights = weights / max(float(np.mean(weights, dtype=np.float64)), _TINY)

    def mean_square(self) -> float:
        """Weighted mean of the squared lengths."""
        return float(np.mean(self._weights * self._rows.squares()))

    def loss(self, weights: Array, bias: Array, began: float) -> tuple[float, float]:
        """Weighted mean loss of parameters (K, n) and (K,), and what the loss of all rows is at least, beyond noise."""
        with np.errstate(over="ignore", invalid="ignore", under="ignore"):
            scores = np.stack([self._rows.times(w) + b for w, b in zip(weights, bias, strict=True)], axis=1)
            losses = self._weights * losses_of(scores, self._labels)
            mean = float(np.mean(losses))
            if self._are_all:
                return mean, mean
            cut = np.minimum(losses, began * np.array(_CAPS)[:, None])
            least = cut.mean(axis=1) - _ERRORS * cut.std(axis=1) / math.sqrt(losses.size)
            return mean, float(np.max(least))  # NaN if one is, for a loss that isn't finite
