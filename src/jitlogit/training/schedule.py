"""The learning rate of each epoch. `jitlogit.reference.scheduled_rate` has formulas and sources."""

from __future__ import annotations

import math
from typing import Any

from ..data.validation import computed_dtype, raise_if_not_finite

SCHEDULES = ("constant", "invscaling", "cosine", "step", "adaptive")
# The "adaptive" rate is divided whenever the cost, in nats, hasn't fallen by the tolerance for so many epochs.
_PLATEAU_EPOCHS, _PLATEAU_TOLERANCE, _PLATEAU_DIVISOR = 2, 1e-4, 5.0
# A rate still too large at 2^-60 of its first value isn't the problem: the features are too large.
_MOST_HALVINGS = 60


class Schedule:
    def __init__(self, name: str, rate: float, n_epochs: int, n_batches: int) -> None:
        self._name, self._rate, self._n_epochs, self._n_batches = name, rate, n_epochs, n_batches
        self.adaptive = name == "adaptive"
        self._lowest_cost, self._epochs_on_plateau, self._halvings = math.inf, 0, 0

    def rates(self, epoch: int) -> tuple[float, float]:
        """Rate of an epoch's first update, and its growth from update to update."""
        last = 1 - 1 / self._n_batches
        start, end = (_part_of_rate(self._name, epoch, part, self._n_epochs) for part in (0.0, last))
        return self._rate * start, self._rate * (end - start) / max(1, self._n_batches - 1)

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


def _part_of_rate(name: str, epoch: int, part: float, n_epochs: int) -> float:
    """Rate after a part of an epoch, as a fraction of the first rate."""
    if name == "invscaling":
        start, end = (1 / math.sqrt(1 + t) for t in (epoch, epoch + 1))
    elif name == "cosine":
        start, end = ((1 + math.cos(math.pi * t / n_epochs)) / 2 for t in (epoch, epoch + 1))
    elif name == "step":
        return float(0.1 ** ((2 * epoch >= n_epochs) + (4 * epoch >= 3 * n_epochs)))
    else:
        return 1.0
    return start + part * (end - start)
