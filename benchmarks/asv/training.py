"""One whole fit: its time, memory, cost, accuracy, share of the read bandwidth, and speed-up over the reference.

Cost and accuracy show whether a change makes training faster but worse.
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

    def track_accuracy(self, *params):
        W, b, _ = self.fit()
        return jitlogit.accuracy(jitlogit.predict(self.X_test, W, b), self.y_test)

    def track_bandwidth_share(self, *params):
        """Rate at which X is read, of the machine's read bandwidth with all threads for an array of that size."""
        bandwidth = read_bandwidth(self.X, repeats=3)
        return _EPOCHS * self.X.nbytes / seconds_in_turn({"fit": self.fit})["fit"] / bandwidth

    track_cost.unit = "nats"
    track_accuracy.unit = track_bandwidth_share.unit = "fraction"


class TrainingSpeedup:
    """How many times faster the fit of `Training` is than the reference's."""

    params = ([28, 784],)
    param_names = ("n",)
    unit = "x"
    timeout = 120

    def setup(self, n):
        self.fits = {}
        for implementation in IMPLEMENTATIONS:
            training = Training()
            training.setup(n, implementation)
            self.fits[implementation] = training.fit

    def track_speedup(self, n):
        seconds = seconds_in_turn(self.fits, rounds=3)
        return seconds["reference"] / seconds["numba"]
