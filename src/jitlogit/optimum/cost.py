"""The penalised cost as a function of the parameters: value and gradient from one read of X."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np

from ..data.prediction import probabilities_of, scores_of
from ..data.scaling import raw_parameters, scaled_gradient
from ..data.validation import Array, computed_dtype, raise_if_not_finite
from ..kernels.steps.labels import class_weights, with_padding
from .passes import Passes, make_passes

#: Least curvature that Hessians take a loss to have: losses of large scores are all but flat.
LEAST_CURVATURE = 1e-6
_LEAST_SHARE = 1e-6  # least share of a class in the total weight; its logarithm is taken
# Relative error of a cost, by the precision of its rows.
_ROUNDING = {np.dtype(np.float32): 1e-6, np.dtype(np.float64): 1e-13}


class Cost:
    """Mean of the weighted losses plus  sum_j l2_j w_j^2 / 2, as a function of parameters (K, n + 1).

    The parameters belong to features (x - offset) / scale. K is 1 for two classes. The bias isn't penalised, and its
    gradient is zero without an intercept. Solvers, not the cost, add the penalty  sum_j l1_j |w_j|.
    """

    def __init__(
        self,
        X: Any,
        labels: Array,
        n_classes: int | None,
        sample_weight: Array | None,
        offset: Array,
        scale: Array,
        l2: Array,
        fit_intercept: bool,
        n_threads: int | None,
        l1: Array | None = None,
    ) -> None:
        self.X, self.offset, self.scale, self.l2 = X, offset, scale, l2
        self.inverse_scale = 1 / scale
        self.l1 = np.zeros(l2.size) if l1 is None else l1
        self.fit_intercept = fit_intercept
        self.n_classes, self.n_scores = n_classes, n_classes or 1
        # Second derivative of a loss by a score where all classes are equally probable.
        self.equal_curvature = (max(2, self.n_scores) - 1) / max(2, self.n_scores) ** 2
        self.labels, self.sample_weight = labels, sample_weight
        self.n_threads = n_threads
        self.rounding = _ROUNDING[computed_dtype(X)]
        self.passes = 0.0  # reads of X so far
        self._known_to_be_finite = False

    @cached_property
    def _passes(self) -> Passes:
        return make_passes(self.X, self.labels, self.n_classes, self.sample_weight, self.offset, self.n_threads)

    def of_rows(self, chosen: Array, rows: Any = None) -> Cost:
        """The cost of the chosen rows alone; `rows` are X[chosen], if that has been computed."""
        X = self.X[chosen] if rows is None else rows
        weights = None if self.sample_weight is None else self.sample_weight[chosen]
        shared = self.offset, self.scale, self.l2, self.fit_intercept, self.n_threads, self.l1
        return Cost(X, with_padding(self.labels[chosen]), self.n_classes, weights, *shared)

    def class_shares(self) -> Array:
        """Share of each class in the weight of all rows, (2,) or (K,); all are positive."""
        counts = class_weights(self.labels, self.sample_weight, max(2, self.n_scores))
        return np.asarray(np.maximum(counts / counts.sum(), _LEAST_SHARE))

    def raw(self, parameters: Array) -> tuple[Array, Array]:
        """Weights (K, n) and biases (K,) of the unscaled features."""
        return raw_parameters(parameters[:, :-1], parameters[:, -1], self.offset, self.scale)

    def __call__(self, parameters: Array) -> tuple[float, Array]:
        """Cost, and its gradient (K, n + 1); raises ValueError if X isn't finite."""
        self.passes += 1
        sums = self._passes.losses(*self.raw(parameters))
        if not (self._known_to_be_finite or np.isfinite(sums).all()):
            raise_if_not_finite(self.X)
            self._known_to_be_finite = True
        penalty = float(sum(np.vdot(self.l2 * row, row) for row in parameters[:, :-1])) / 2
        return float(sums[0, -1]) / self.X.shape[0] + penalty, self._scaled(sums, parameters)

    def _scaled(self, sums: Array, parameters: Array) -> Array:
        """Gradient for scaled features, with that of the penalty, from the sums over the rows of x r and r."""
        m, n = self.X.shape
        residuals = sums[:, n : n + 1] / m
        gradient = np.empty_like(parameters)
        for k in range(self.n_scores):  # class by class: a row stays in the cache
            np.multiply(self.l2, parameters[k, :-1], out=gradient[k, :-1])
            gradient[k, :-1] += scaled_gradient(sums[k, :n] * (1 / m), residuals[k], self.offset, self.scale)
        gradient[:, -1:] = residuals if self.fit_intercept else 0.0
        return gradient

    def scores(self, parameters: Array) -> Array:
        """Scores (m, K), from a read of X."""
        self.passes += 1
        return scores_of(self.X, *self.raw(parameters), self.n_threads).reshape(self.X.shape[0], -1)

    def hessian_at(self, parameters: Array) -> Callable[[Array], Array]:
        """Function that multiplies the Hessian at the parameters by an array like these; each call reads X once."""
        scores = self.scores(parameters)
        counts = np.ones(scores.shape[0], scores.dtype) if self.sample_weight is None else self.sample_weight
        p = np.ascontiguousarray(probabilities_of(scores), scores.dtype)

        def times(direction: Array) -> Array:
            self.passes += 1
            return self._scaled(self._passes.curvature_times(p, counts, *self.raw(direction)), direction)

        return times
