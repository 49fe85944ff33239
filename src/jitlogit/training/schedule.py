"""The learning rate of each epoch. `jitlogit.reference.scheduled_rate` has formulas and sources."""

from __future__ import annotations

import math
from typing import Any

from ..data.validation import computed_dtype, raise_if_not_finite

SCHEDULES = ("constant", "invscaling", "cosine", "step", "adaptive")
# The "adaptive" rate is divided whenever the cost, in nats, hasn't fallen by the tolerance for so many epochs.
_PLATEAU_EPOCHS, _PLATEAU_TOLERANCE, _PLATEAU_DIVISOR = 2, 1e-4, 5.0
# Schedules whose rate falls over time, and in how many epochs it falls where training is done early: the least number,
# and in multiples of the epochs until then. On separable data of 617 features, the penalty went on shrinking the
# weights for a hundred epochs after the loss had become negligible. Accuracy on other samples rose with that.
_FALLING = ("invscaling", "cosine", "step")
_LEAST_FALLING_EPOCHS, _FALLING_PART = 100, 3.0
# A rate still too large at 2^-60 of its first value isn't the problem: the features are too large.
_MOST_HALVINGS = 60


class Schedule:
    def __init__(self, name: str, rate: float, n_epochs: int, n_batches: int) -> None:
        self._name, self._rate, self._n_epochs, self._n_batches = name, rate, n_epochs, n_batches
        self._early, self._speed = n_epochs, 1.0
        self.adaptive = name == "adaptive"
        self._lowest_cost, self._epochs_on_plateau, self._halvings = math.inf, 0, 0

    def rates(self, epoch: int) -> tuple[float, float]:
        """Rate of an epoch's first update, and its growth from update to update."""
        times = (self._time(epoch), self._time(epoch + 1))
        last = 1 - 1 / self._n_batches
        start, end = (_part_of_rate(self._name, times, part, self._n_epochs) for part in (0.0, last))
        return self._rate * start, self._rate * (end - start) / max(1, self._n_batches - 1)

    def finish_early(self, epoch: int) -> int:
        """Pass through the rest of the schedule in few epochs, `epoch` being the next; return the number of all."""
        if self._name not in _FALLING:
            return epoch
        n_epochs = min(self._n_epochs, epoch + max(_LEAST_FALLING_EPOCHS, int(_FALLING_PART * epoch)))
        if n_epochs > epoch:
            self._early, self._speed = epoch, (self._n_epochs - epoch) / (n_epochs - epoch)
        return n_epochs

    def _time(self, epoch: int) -> float:
        """Epochs of the schedule that have passed before an epoch."""
        return epoch if epoch <= self._early else self._early + (epoch - self._early) * self._speed

    def note(self, cost: float) -> None:
        """Take note of an epoch's cost, which decides on the "adaptive" rate."""
        falls = cost < self._lowest_cost - _PLATEAU_TOLERANCE
        self._epochs_on_plateau = 0 if falls else self._epochs_on_plateau + 1
        self._lowest_cost = min(self._lowest_cost, cost)
        if self.adaptive and self._epochs_on_plateau == _PLATEAU_EPOCHS:
            self._rate /= _PLATEAU_DIVISOR
            self._epochs_on_plateau = 0

    def halve(self, X: Any) -> None:
        """Halve all later rates; raises ValueError if that has been done too often."""
        self._rate /= 2
        self._halvings += 1
        if self._halvings > _MOST_HALVINGS:
            raise_if_not_finite(X)
            raise ValueError(
                f"training diverges at any learning rate, down to {self._rate:g}: the features are too large for "
                f"{computed_dtype(X)}; scale the columns of X"
            )


def _part_of_rate(name: str, times: tuple[float, float], part: float, n_epochs: int) -> float:
    """Rate after a part of an epoch, as a fraction of the first rate; `times` are of the epoch's start and end."""
    if name == "invscaling":
        start, end = (1 / math.sqrt(1 + t) for t in times)
    elif name == "cosine":
        start, end = ((1 + math.cos(math.pi * t / n_epochs)) / 2 for t in times)
    elif name == "step":
        return float(0.1 ** ((2 * times[0] >= n_epochs) + (4 * times[0] >= 3 * n_epochs)))
    else:
        return 1.0
    return start + part * (end - start)
