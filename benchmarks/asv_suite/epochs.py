"""Epochs over the grid, reference and compiled, and passes without an update over every storage."""

from __future__ import annotations

import cases
import numba
import numpy as np

from .data import IMPLEMENTATIONS, Timed, make_data, seconds_in_turn

_THREADS = {"one": 1, "all": None}


class Epoch(Timed):
    """One epoch of mini-batches; batch size 0 stands for all rows. NumPy takes the threads that BLAS takes: "all"."""

    params = ([10, 100, 784], [32, 256, 4096, 0], ["float32", "float64"], ["one", "all"], ["reference", "numba"])
    param_names = ("n", "batch_size", "dtype", "threads", "implementation")

    def setup(self, n, batch_size, dtype, threads, implementation):
        if implementation == "reference" and threads == "one":
            raise NotImplementedError("NumPy's threads are set before it is loaded")
        self.X, self.y = make_data(n, dtype)
        self.options = {
            "num_iterations": 1,
            "batch_size": min(batch_size, self.X.shape[0]) or None,
            "shuffle": False,
        }
        if implementation == "numba":
            self.options["n_threads"] = _THREADS[threads]
        self.train = IMPLEMENTATIONS[implementation].train_logistic_regression
        cases.check_equal(self.X, self.y.reshape(1, -1), self.options["batch_size"], shuffle=False)
        self.epoch()  # compiles the variant for this dtype, layout and number of threads

    def epoch(self):
        return self.train(self.X, self.y, 0.01, **self.options)

    def time_epoch(self, n, batch_size, dtype, threads, implementation):
        self.epoch()


class Order(Timed):
    """One compiled epoch of 256 rows a batch in each memory order and shuffle, and of single rows (batch size 1)."""

    params = ([28, 784], [1, 256], ["C", "F"], ["none", "rows", "blocks"])
    param_names = ("n", "batch_size", "order", "shuffle")

    def setup(self, n, batch_size, order, shuffle):
        self.X, self.y = make_data(n, "float32", order)
        self.options = {
            "num_iterations": 1,
            "batch_size": batch_size,
            "shuffle": {"none": False, "rows": True, "blocks": "blocks"}[shuffle],
            "random_state": 0,
        }
        self.time_epoch()

    def time_epoch(self, *params):
        IMPLEMENTATIONS["numba"].train_logistic_regression(self.X, self.y, 0.01, **self.options)


class Beside:
    """Time of the compiled epoch over that of the reference, medians of interleaved runs."""

    params = ([10, 100, 784], [32, 256, 0], ["float32", "float64"])
    param_names = ("n", "batch_size", "dtype")
    unit = "of the reference"
    timeout = 120

    def setup(self, n, batch_size, dtype):
        self.epochs = {}
        for implementation in IMPLEMENTATIONS:
            epoch = Epoch()
            epoch.setup(n, batch_size, dtype, "all", implementation)
            self.epochs[implementation] = epoch.epoch

    def track_part_of_reference(self, n, batch_size, dtype):
        seconds = seconds_in_turn(self.epochs)
        return seconds["numba"] / seconds["reference"]


class Threads:
    """Time of an epoch with all threads over that with one."""

    params = ([28, 784], [256, 4096, 0])
    param_names = ("n", "batch_size")
    unit = "of one thread"
    timeout = 120

    def setup(self, n, batch_size):
        self.epochs = {}
        for threads in _THREADS:
            epoch = Epoch()
            epoch.setup(n, batch_size, "float32", threads, "numba")
            self.epochs[threads] = epoch.epoch

    def track_part_of_one_thread(self, n, batch_size):
        if numba.get_num_threads() == 1:
            return 1.0
        seconds = seconds_in_turn(self.epochs)
        return seconds["all"] / seconds["one"]


class Pass(Timed):
    """One pass over all rows without an update."""

    params = ([10, 100, 784], ["float32", "float64"], ["reference", "numba"])
    param_names = ("n", "dtype", "implementation")

    def setup(self, n, dtype, implementation):
        self.X, self.y = make_data(n, dtype)
        self.W = np.linspace(-1, 1, n, dtype=dtype).reshape(-1, 1)
        self.module = IMPLEMENTATIONS[implementation]
        self.A = self.module.forward_pass(self.X, self.W, 0.1)
        self.time_gradients()

    def time_forward(self, *params):
        self.module.forward_pass(self.X, self.W, 0.1)

    def time_gradients(self, *params):
        self.module.compute_gradients(self.X, self.y, self.A)
