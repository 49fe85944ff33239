"""One whole fit: its time, memory, cost and errors, and its time over that of reading X, and over the reference's.

Cost and errors show whether a change makes training faster but worse.
"""

from __future__ import annotations

import itertools

import numpy as np
from roofline import read_bandwidth

import jitlogit

from .data import IMPLEMENTATIONS, Timed, make_data, seconds_in_turn

_EPOCHS = 5


class Training(Timed):
    """Five epochs of mini-batches, in blocks in random order, on three quarters of the rows; the rest are tested."""

    params = ([28, 784], ["reference", "numba"])
    param_names = ("n", "implementation")

    def setup_cache(self):
        """Compile in a process of its own, whose peak of memory is nobody's."""
        for params in itertools.product(*self.params):
            self.setup(*params)

    def setup(self, n, implementation):
        X, y = make_data(n, "float32")
        train = X.shape[0] * 3 // 4
        self.X, self.y, self.X_test, self.y_test = X[:train], y[:train], X[train:], y[train:]
        self.train = IMPLEMENTATIONS[implementation].train_logistic_regression
        self.options = {"batch_size": 256, "random_state": 0, "shuffle": "blocks", "record_every": _EPOCHS}
        self.train(self.X[:512], self.y[:512], 0.05, 1, **self.options)

    def fit(self):
        return self.train(self.X, self.y, 0.05, _EPOCHS, **self.options)

    def time_fit(self, *params):
        self.fit()

    def peakmem_fit(self, *params):
        self.fit()

    def peakmem_without_fit(self, *params):
        """Of the data, imports and loaded kernels alone: asv's peak counts them."""

    def track_cost(self, *params):
        W, b, _ = self.fit()
        z = self.X @ W[:, 0].astype(np.float64) + b
        return float(np.mean(np.logaddexp(0, z) - self.y * z))

    def track_errors(self, *params):
        W, b, _ = self.fit()
        return 1 - jitlogit.accuracy(jitlogit.predict(self.X_test, W, b), self.y_test)

    def track_times_of_reading(self, *params):
        """Seconds of an epoch, over what all threads need to read X at the machine's read bandwidth."""
        bandwidth = read_bandwidth(self.X, repeats=3)
        return seconds_in_turn({"fit": self.fit})["fit"] / _EPOCHS / (self.X.nbytes / bandwidth)

    track_cost.unit = "nats"
    track_errors.unit = "of the rows"
    track_times_of_reading.unit = "times of reading X"


class TrainingBeside:
    """Time of the fit of `Training` over that of the reference's."""

    params = ([28, 784],)
    param_names = ("n",)
    unit = "of the reference"
    timeout = 120

    def setup(self, n):
        self.fits = {}
        for implementation in IMPLEMENTATIONS:
            training = Training()
            training.setup(n, implementation)
            self.fits[implementation] = training.fit

    def track_part_of_reference(self, n):
        seconds = seconds_in_turn(self.fits, rounds=3)
        return seconds["numba"] / seconds["reference"]
