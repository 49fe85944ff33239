"""What is trained: the data, the cost to be minimised, and how gradients become updates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..data import validation as check
from ..data.validation import Array
from ..kernels.steps.labels import Weighted
from ..kernels.steps.update import OPTIMIZERS
from .schedule import SCHEDULES


class Steps(NamedTuple):
    """How gradients become updates; see `jitlogit.train_logistic_regression`."""

    optimizer: str = "sgd"
    schedule: str = "constant"
    alpha: float = 0.0
    l1_ratio: float = 0.0
    average: bool = False

    @property
    def penalties(self) -> tuple[float, float]:
        """Factors of ||w||^2 / 2 and of ||w||_1 in the cost."""
        return self.alpha * (1 - self.l1_ratio), self.alpha * self.l1_ratio


def check_steps(optimizer: str, schedule: str, alpha: float, l1_ratio: float, average: bool) -> Steps:
    """Return the arguments as `Steps`; the error for a wrong one names it."""
    return Steps(
        check.check_choice(optimizer, "optimizer", OPTIMIZERS),
        check.check_choice(schedule, "schedule", SCHEDULES),
        check.check_not_negative(alpha, "alpha"),
        check.check_fraction(l1_ratio, "l1_ratio"),
        check.check_bool(average, "average"),
    )


class Problem(NamedTuple):
    """Validated data, and how to train on them; see `jitlogit.train_logistic_regression`."""

    X: Any  # (m, n), from `check_rows`
    labels: Array  # (m,) of uint8, 0 and 1; of uint32, 0 ... K - 1 for softmax
    batch_size: int  # at most m
    shuffle: bool | str = True
    sample_weight: Array | None = None  # (m,) of mean 1, in the precision that kernels compute in
    offset: Array | None = None  # (n,) of float64; None, like scale, for features as they are
    scale: Array | None = None
    steps: Steps = Steps()
    fit_intercept: bool = True
    initial: Array | None = None  # (1, n + 1) or (K, n + 1): weights and bias of the scaled features; None for zeros
    n_classes: int | None = None  # K for softmax; None for labels 0 and 1 and one score
    pack: bool = True  # whether rows may be packed

    @property
    def n_scores(self) -> int:
        return self.n_classes or 1

    @property
    def n_batches(self) -> int:
        return int(-(-self.X.shape[0] // self.batch_size))

    @property
    def weighted_labels(self) -> Any:
        return self.labels if self.sample_weight is None else Weighted(self.labels, self.sample_weight)

    @property
    def scaling(self) -> tuple[Array, Array]:
        """Offset and scale, zeros and ones for features as they are."""
        n = self.X.shape[1]
        return np.zeros(n) if self.offset is None else self.offset, np.ones(n) if self.scale is None else self.scale


class Epoch(NamedTuple):
    """What is known after an epoch."""

    number: int  # from 0 on
    undone: int  # epochs that were computed and undone since the one before
    cost: float  # mean of the losses during the epoch, without the penalty
    objective: float  # cost and penalty, where training ends `until_done`; else NaN
    learning_rate: float  # of the first update
    gradient_norm: float  # of the mean of the batches' gradients, with the penalty's; NaN for plain gradient descent
    seconds: float
    parameters: Callable[[], Array]  # weights and bias of the scaled features after the epoch, as `Problem.initial`
