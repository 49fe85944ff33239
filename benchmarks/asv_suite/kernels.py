"""The parts of kernels: storages (scores and accumulation), links and updates."""

from __future__ import annotations

import numba
import numpy as np

import jitlogit

from .data import MEGABYTES, Timed, make_data


class Storage(Timed):
    """Scores (`forward_pass`), and scores with accumulation (one update by all rows), of as many bytes in each."""

    params = (
        [
            "float32 C",
            "float64 C",
            "uint8 C",
            "int8 C",
            "float16 C",
            "bfloat16 C",
            "float32 F",
            "float64 F",
            "uint8 F",
            "int8 F",
            "float16 F",
            "bfloat16 F",
        ],
        ["one", "all"],
    )
    param_names = ("storage", "threads")

    def setup(self, storage, threads):
        dtype, order = storage.split()
        self.X, self.y = make_data(200, dtype, order)
        self.scale = 255.0 if dtype.endswith("int8") else None
        self.W = np.linspace(-0.1, 0.1, 200, dtype=np.float64 if dtype == "float64" else np.float32)
        self.n_threads = {"one": 1, "all": None}[threads]
        self.time_scores()
        self.time_scores_and_accumulation()

    def time_scores(self, *params):
        jitlogit.forward_pass(self.X, self.W, 0.1, scale=self.scale)

    def time_scores_and_accumulation(self, *params):
        jitlogit.train_logistic_regression(self.X, self.y, 0.01, 1, scale=self.scale, n_threads=self.n_threads)


class Packed(Timed):
    """Sixteen epochs of five features, packed first or not."""

    params = (["packed", "own layout"],)
    param_names = ("layout",)

    def setup(self, layout):
        self.X, self.y = make_data(5, "float32")
        self.time_epochs(layout)

    def time_epochs(self, layout):
        jitlogit.train_logistic_regression(
            self.X, self.y, 0.01, 16, batch_size=256, shuffle=False, pack=layout == "packed"
        )


class Link(Timed):
    """Probabilities of scores, and the cost of probabilities."""

    params = (["float32", "float64"],)
    param_names = ("dtype",)

    def setup(self, dtype):
        rng = np.random.default_rng(0)
        self.z = rng.uniform(-20, 20, int(MEGABYTES * 1e6) // np.dtype(dtype).itemsize).astype(dtype).reshape(1, -1)
        self.Y = (rng.random(self.z.size) < 0.5).astype(np.uint8).reshape(1, -1)
        self.A = jitlogit.sigmoid(self.z)
        self.time_cost()

    def time_sigmoid(self, *params):
        jitlogit.sigmoid(self.z)

    def time_cost(self, *params):
        jitlogit.compute_cost(self.A, self.Y)


class Update(Timed):
    """A thousand updates of the weights by gradient descent."""

    params = ([100, 2000], ["float32", "float64"])
    param_names = ("n", "dtype")

    def setup(self, n, dtype):
        try:
            from jitlogit.kernels.simd.arrays import PADDING
            from jitlogit.kernels.steps import update
        except ImportError:
            raise NotImplementedError("an older layout of the kernels") from None

        @numba.njit(_nrt=False)  # not cached, since the key of jitlogit's cache doesn't cover this file
        def many_updates(step, gradient, n_features, count, out_weights):
            for _ in range(count):
                update.descend(step, gradient, n_features, out_weights)

        self.gradient = np.zeros(n + PADDING, dtype)
        self.weights = np.zeros(n + PADDING, dtype)
        self.many_updates = many_updates
        self.gradient[:n] = np.arange(n)
        many_updates(0.5, self.gradient, n, 1, self.weights)
        if not np.array_equal(self.weights[:n], -0.5 * np.arange(n)):
            raise AssertionError("an update is not -rate * gradient")

    def time_descend(self, n, *params):
        self.many_updates(0.01, self.gradient, n, 1000, self.weights)
