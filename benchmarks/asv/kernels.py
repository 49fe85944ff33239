"""What kernels are made of: storages (scores and accumulation), links and updates."""

from __future__ import annotations

import numpy as np

import jitlogit
from jitlogit._jit import kernel
from jitlogit.kernels import update
from jitlogit.kernels.plan import PADDING

from .data import MEGABYTES, make_data


class _Timed:
    warmup_time = 0
    rounds = 1
    repeat = (3, 10, 0.5)
    number = 1


class Storage(_Timed):
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
        ],
    )
    param_names = ("storage",)

    def setup(self, storage):
        dtype, order = storage.split()
        self.X, self.y = make_data(200, dtype, order)
        self.scale = 255.0 if dtype.endswith("int8") else None
        self.W = np.zeros(200, np.float64 if dtype == "float64" else np.float32)
        self.time_scores()
        self.time_scores_and_accumulation()

    def time_scores(self, *params):
        jitlogit.forward_pass(self.X, self.W, 0.1)

    def time_scores_and_accumulation(self, *params):
        jitlogit.train_logistic_regression(self.X, self.y, 0.01, 1, scale=self.scale)


class Packed(_Timed):
    """Sixteen epochs of five features, packed first or not."""

    params = (["packed", "own layout"], ["C"])
    param_names = ("layout", "order")

    def setup(self, layout, order):
        self.X, self.y = make_data(5, "float32", order)
        self.time_epochs(layout, order)

    def time_epochs(self, layout, order):
        jitlogit.train_logistic_regression(
            self.X, self.y, 0.01, 16, batch_size=256, shuffle=False, pack=layout == "packed"
        )


class Link(_Timed):
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


@kernel
def many_updates(step, gradient, n_features, count, out_weights):
    for _ in range(count):
        update.descend(step, gradient, n_features, out_weights)


class Update(_Timed):
    """A thousand updates of the weights by gradient descent."""

    params = ([100, 2000], ["float32", "float64"])
    param_names = ("n", "dtype")

    def setup(self, n, dtype):
        self.gradient = np.zeros(n + PADDING, dtype)
        self.weights = np.zeros(n + PADDING, dtype)
        self.time_descend(n)

    def time_descend(self, n, *params):
        many_updates(0.01, self.gradient, n, 1000, self.weights)
