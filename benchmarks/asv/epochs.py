"""Epochs, passes and gradients, reference and compiled."""

from __future__ import annotations

import os
import time

import numpy as np

import jitlogit
from jitlogit import reference

MEGABYTES = float(os.environ.get("JITLOGIT_BENCHMARK_MEGABYTES", "32"))
IMPLEMENTATIONS = {"reference": reference, "numba": jitlogit}


def make_data(n, dtype, megabytes=MEGABYTES):
    m = int(megabytes * 1e6) // (n * np.dtype(dtype).itemsize)
    rng = np.random.default_rng(0)
    X = rng.standard_normal((m, n), dtype=dtype)
    return X, (X[:, :1].T + rng.standard_normal((1, m)) > 0).astype(np.uint8)


class Epoch:
    """One epoch of mini-batches; batch size 0 stands for all rows."""

    params = ([10, 100, 784], [32, 256, 4096, 0], ["float32", "float64"], ["reference", "numba"])
    param_names = ("n", "batch_size", "dtype", "implementation")
    timeout = 300

    def setup(self, n, batch_size, dtype, implementation):
        self.data = make_data(n, dtype)
        self.options = {
            "num_iterations": 1,
            "batch_size": min(batch_size, self.data[0].shape[0]) or None,
            "shuffle": False,
        }
        self.train = IMPLEMENTATIONS[implementation].train_logistic_regression
        self.train(*self.data, 0.01, **self.options)  # compiles for this very dtype, layout and variant

    def time_epoch(self, n, batch_size, dtype, implementation):
        self.train(*self.data, 0.01, **self.options)


class Speedup:
    """How many times faster the compiled epoch is than the reference, medians of interleaved runs."""

    params = ([10, 100, 784], [256, 0], ["float32", "float64"])
    param_names = ("n", "batch_size", "dtype")
    unit = "x"
    timeout = 300

    def setup(self, n, batch_size, dtype):
        self.epochs = {}
        for implementation in IMPLEMENTATIONS:
            epoch = Epoch()
            epoch.setup(n, batch_size, dtype, implementation)
            self.epochs[implementation] = epoch

    def track_speedup(self, n, batch_size, dtype):
        seconds = {implementation: [] for implementation in self.epochs}
        for _ in range(5):
            for implementation, epoch in self.epochs.items():
                time.sleep(0.1)  # NumPy's BLAS threads spin for a while after their last product
                start = time.perf_counter()
                epoch.time_epoch(n, batch_size, dtype, implementation)
                seconds[implementation].append(time.perf_counter() - start)
        return float(np.median(seconds["reference"]) / np.median(seconds["numba"]))


class Pass:
    """One pass over all rows without an update."""

    params = ([10, 100, 784], ["float32", "float64"], ["reference", "numba"])
    param_names = ("n", "dtype", "implementation")

    def setup(self, n, dtype, implementation):
        self.X, self.Y = make_data(n, dtype)
        self.W = np.linspace(-1, 1, n, dtype=dtype).reshape(-1, 1)
        self.module = IMPLEMENTATIONS[implementation]
        self.A = self.module.forward_pass(self.X, self.W, 0.1)
        self.module.compute_gradients(self.X, self.Y, self.A)

    def time_forward(self, n, dtype, implementation):
        self.module.forward_pass(self.X, self.W, 0.1)

    def time_gradients(self, n, dtype, implementation):
        self.module.compute_gradients(self.X, self.Y, self.A)


class Memory:
    """Peak memory of a process that makes its data and trains; asv counts the set-up too."""

    params = ([100], ["float32", "float64"], ["reference", "numba"])
    param_names = ("n", "dtype", "implementation")

    def setup(self, n, dtype, implementation):
        Epoch.setup(self, n, 256, dtype, implementation)

    def peakmem_train(self, n, dtype, implementation):
        self.train(*self.data, 0.01, **self.options)
