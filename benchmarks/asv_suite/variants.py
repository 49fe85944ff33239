"""Epochs beyond plain gradient descent on one score: update rules, softmax, sparse rows."""

from __future__ import annotations

import numpy as np
from scipy import sparse

import jitlogit

from .data import IMPLEMENTATIONS, MEGABYTES, Timed, make_data

_VALUES_A_ROW = 20


class Rule(Timed):
    """One epoch by each optimizer, with a penalty and scaled features, in both implementations."""

    params = ([28, 784], [32, 256], ["sgd", "nesterov", "adam"], ["reference", "numba"])
    param_names = ("n", "batch_size", "optimizer", "implementation")

    def setup(self, n, batch_size, optimizer, implementation):
        self.X, self.y = make_data(n, "float32")
        self.train = IMPLEMENTATIONS[implementation].train_logistic_regression
        self.options = {"batch_size": batch_size, "shuffle": False, "optimizer": optimizer, "alpha": 1e-4, "scale": 2.0}
        self.time_epoch()

    def time_epoch(self, *params):
        self.train(self.X, self.y, 0.01, 1, **self.options)


class Softmax(Timed):
    """One epoch of softmax regression."""

    params = ([28, 784], [3, 10, 100], [256])
    param_names = ("n", "classes", "batch_size")

    def setup(self, n, classes, batch_size):
        self.X, _ = make_data(n, "float32")
        self.y = np.random.default_rng(0).integers(classes, size=self.X.shape[0])
        self.options = {"batch_size": batch_size, "shuffle": False, "n_classes": classes}
        self.time_epoch()

    def time_epoch(self, *params):
        jitlogit.train_softmax_regression(self.X, self.y, 0.01, 1, **self.options)


class Sparse(Timed):
    """Three epochs of the estimator over sparse rows, which few or many of the features appear in."""

    params = ([100, 50_000], [2, 10])
    param_names = ("n", "classes")

    def setup(self, n, classes):
        m = max(100, int(MEGABYTES * 1e6 / (8 * _VALUES_A_ROW)))
        rng = np.random.default_rng(0)
        indices = rng.integers(n, size=m * _VALUES_A_ROW, dtype=np.int32)
        indptr = np.arange(0, indices.size + 1, _VALUES_A_ROW, dtype=np.int32)
        self.X = sparse.csr_array((np.ones(indices.size, np.float32), indices, indptr), shape=(m, n))
        self.X.sum_duplicates()
        self.y = np.arange(m) % classes
        self.time_epochs()

    def time_epochs(self, *params):
        jitlogit.MiniBatchLogisticRegression(max_iter=3, random_state=0).fit(self.X, self.y)
