"""When training is done: the loss is negligible, or the cost has stopped moving by more than its own noise."""

from __future__ import annotations

import numpy as np

# The numbers below were chosen on the sets of `python -m benchmarks daily` and `defaults`, by loss and by epochs.
# A loss of at most this part of the cost at zeros is negligible.
_NEGLIGIBLE = 2e-3
# Least epochs of a window, and windows in all epochs until now: slow progress is seen in longer ones.
_LEAST_WINDOW, _WINDOW = 10, 3
# Tests for a plateau in the course of a window. Each costs time, and may be a false alarm.
_LOOKS = 5
# Standard errors by which the means of two windows must differ, and the part of the cost that is no progress at all.
_ERRORS, _NO_PROGRESS = 1.0, 1e-4


class Plateau:
    """Judges by the costs of the epochs until now; `cost_at_zeros` is log K."""

    def __init__(self, cost_at_zeros: float, n_epochs: int) -> None:
        self._negligible = _NEGLIGIBLE * cost_at_zeros
        #: Whether there are epochs enough to see a plateau. The objectives of fewer aren't needed.
        self.looks = n_epochs > 2 * _LEAST_WINDOW
        self._is_reached = False
        self._objectives: list[float] = []

    def is_reached(self, epoch: int, loss: float, objective: float) -> bool:
        """Take note of an epoch; return whether training is done, for the first time.

        The number of the epoch may have gone back. `objective` is the loss and the penalty.
        """
        del self._objectives[epoch:]
        self._objectives.append(objective)
        if self._is_reached or not (loss <= self._negligible or (self.looks and self._stands())):
            return False
        self._is_reached = True
        return True

    def _stands(self) -> bool:
        count = len(self._objectives)
        window = max(_LEAST_WINDOW, count // _WINDOW)
        if count < 2 * window or count % (window // _LOOKS):
            return False
        costs = np.array(self._objectives[-2 * window :])
        before, now = costs[:window].mean(), costs[window:].mean()
        # Differences of neighbours have twice the variance of the noise, and hardly any of the trend.
        noise = np.sqrt(np.mean(np.diff(costs) ** 2) / 2)
        return bool(before - now <= max(_ERRORS * noise * np.sqrt(2 / window), _NO_PROGRESS * now))
