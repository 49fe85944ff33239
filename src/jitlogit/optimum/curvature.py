"""Approximate Hessians of the penalised cost, whose inverse multiplies a gradient."""

from __future__ import annotations

import contextlib

import numpy as np
from scipy.linalg.lapack import dpotrs

from ..data.validation import Array, computed_dtype, is_sparse
from ..kernels.storage.sparse_work import COST
from .cost import Cost
from .hessian import PRODUCTS_A_VALUE, dense, mean_hessian
from .samples import Sample, rows_of, spread

# Size of a sample (all thresholds: Zen 4, two cores): rows times features squared are at most the first, and rows the
# second, unless the third number of rows per feature is more.
_SAMPLE_PRODUCTS, _MOST_SAMPLE_ROWS, _SAMPLE_ROWS_A_FEATURE = 5e8, 10_000, 4
# Iterations before the Hessian of a full sample, and between its renewals.
_ITERATIONS_BEFORE_A_HESSIAN, _ITERATIONS_OF_A_HESSIAN = 12, 10
# Two iterations that leave more of the gradient's norm are slow; well-conditioned costs leave a tenth at most.
_SLOW = 0.2
# Rows per feature of the small sample, and the time that its Hessian may take, in reads of X. The third is the time
# that the Hessian of the full sample may take in the first iteration.
_FEW_ROWS_A_FEATURE, _WORTH_READS, _MOST_READS_AT_ONCE = 60, 4, 1
# Time of an iteration beside its read of X, in multiplications of two numbers.
_PRODUCTS_A_CALL = 1e6
_MOST_PRODUCTS = 50  # of the Hessian and a vector in a step by conjugate gradients


class UnitVariance:
    """The diagonal Hessian of independent features of variance 1, at equal probabilities."""

    def __init__(self, cost: Cost) -> None:
        self._diagonal = cost.equal_curvature + np.append(cost.l2, 0.0)

    def at(self, parameters: Array, gradient: Array) -> None:
        """Update the Hessian for these parameters. This one is constant, so nothing is done."""

    def solve(self, gradient: Array) -> Array:
        """Product of the inverse and a gradient (K, n + 1)."""
        return np.asarray(gradient / self._diagonal)


class Preconditioner(UnitVariance):
    """The classes' mean Hessian over the rows of a sample.

    In directions that few rows show, steps would be far too long. The Hessian is therefore drawn towards that of unit
    variance, the more the fewer rows there are per feature (Ledoit and Wolf, "A well-conditioned estimator for
    large-dimensional covariance matrices", 2004). A rare feature may vary less in the sample than over all rows, where
    its variance is 1; the difference is added.
    """

    def __init__(self, cost: Cost, sample: Sample, n_rows: int) -> None:
        """The sample represents `n_rows` rows; further rows have weight zero."""
        super().__init__(cost)
        self._cost = cost
        self._factor: Array | None = None
        self._drawn, self._part = sample.chosen.size < n_rows, n_rows / cost.X.shape[0]
        self._rows = dense(sample.X, computed_dtype(cost.X) if self._drawn else np.float64)
        self._weights = 1.0 if cost.sample_weight is None else cost.sample_weight[sample.chosen]

    def at(self, parameters: Array, gradient: Array) -> None:
        """Take the Hessian at these parameters; the one before stays where it can't be computed."""
        try:
            self._factor = self._factored(parameters, self._rows)
        except np.linalg.LinAlgError:  # products overflow in float32, or need more digits
            self._rows = self._rows.astype(np.float64)
            with contextlib.suppress(np.linalg.LinAlgError):
                self._factor = self._factored(parameters, self._rows)

    def _factored(self, parameters: Array, rows: Array) -> Array:
        """Upper Cholesky factor of the Hessian; raises LinAlgError."""
        hessian, variances = mean_hessian(self._cost, parameters, rows, self._weights)
        if not np.isfinite(hessian).all():
            raise np.linalg.LinAlgError("not finite")
        diagonal = np.diag_indices_from(hessian)
        if self._drawn:
            part, curvature = len(hessian) / (len(hessian) + len(rows)), hessian[-1, -1]
            hessian *= 1 - part
            hessian[diagonal] += curvature * (part + np.append(np.maximum(1 - variances, 0), 0.0))
        hessian *= self._part
        hessian[diagonal] += np.append(self._cost.l2, 0.0) + 1e-12 * max(1e-300, float(np.trace(hessian)))
        if not self._cost.fit_intercept:
            hessian[-1] = np.append(np.zeros(len(hessian) - 1), 1.0)
        return np.asarray(np.linalg.cholesky(hessian).T)

    def solve(self, gradient: Array) -> Array:
        if self._factor is None:
            return super().solve(gradient)
        return np.asarray(dpotrs(self._factor, gradient.T)[0].T)


class SampledCurvature(UnitVariance):
    """Unit variances while they suffice, then the Hessian of a sample of rows.

    As soon as the gradient shrinks slowly, the Hessian of a small sample is taken, if it costs few reads of X. That of
    the full sample follows after some iterations, or in the first if it costs no more than a read. It is renewed at
    intervals if the sample is at least half of the rows, and so nearly as good as all.
    """

    def __init__(self, cost: Cost, first: Sample | None, slow: bool, rng: np.random.Generator) -> None:
        """Rows are taken from the sample `first` if it has enough; `slow` tells how the search on it went."""
        super().__init__(cost)
        m, n = cost.X.shape
        values = cost.n_scores * (COST * cost.X.nnz if is_sparse(cost.X) else m * n)
        rows_a_read = (PRODUCTS_A_VALUE * values + _PRODUCTS_A_CALL) / n**2
        size = sample_size(m, n)
        few = min(size, _FEW_ROWS_A_FEATURE * n, int(_WORTH_READS * rows_a_read))
        self._few = few if few >= _SAMPLE_ROWS_A_FEATURE * n else 0
        self._size, self._anew = size, 2 * size >= m
        self._late = 0 if size <= _MOST_READS_AT_ONCE * rows_a_read else _ITERATIONS_BEFORE_A_HESSIAN
        self.at_once = self._late == 0 or (slow and self._few > 0)  # a Hessian is taken in the first iteration
        self._cost, self._first, self._rng = cost, first, rng
        self._now: Preconditioner | None = None
        self._norms: list[float] = []

    def at(self, parameters: Array, gradient: Array) -> None:
        """Take a Hessian at these parameters if it is time."""
        self._norms.append(float(np.linalg.norm(gradient)))
        since = len(self._norms) - 1 - self._late
        if since == 0:
            self._now = self._of_rows(self._size)
        elif since < 0 and self._few and (self.at_once or is_slow(self._norms)):
            self._now, self._few = self._of_rows(self._few), 0
        elif self._now is None or since < 0 or not self._anew or since % _ITERATIONS_OF_A_HESSIAN:
            return
        self._now.at(parameters, gradient)

    def solve(self, gradient: Array) -> Array:
        return super().solve(gradient) if self._now is None else self._now.solve(gradient)

    def _of_rows(self, size: int) -> Preconditioner:
        """The Hessian of `size` random rows whose weight isn't zero, or of all of these if they are fewer."""
        cost, first, weights, m = self._cost, self._first, self._cost.sample_weight, self._cost.X.shape[0]
        if first is not None and weights is None and size <= first.chosen.size:
            some = spread(first.chosen.size, size, self._rng)
            return Preconditioner(cost, Sample(first.chosen[some], first.X[some]), m)
        rows = np.arange(m) if weights is None else np.flatnonzero(weights)
        chosen = rows[spread(rows.size, size, self._rng)]
        return Preconditioner(cost, Sample(chosen, rows_of(cost.X, chosen, cost.n_threads)), rows.size)


class ConjugateGradients(UnitVariance):
    """The inverse of the exact Hessian, by preconditioned conjugate gradients.

    They end when the residual's norm is the gradient's times the square root of the gradient's norm, or half of it
    (Dembo and Steihaug, "Truncated-Newton algorithms for large-scale unconstrained optimization", 1983): steps far from
    the minimum need no exact inverse.
    """

    def __init__(self, cost: Cost) -> None:
        super().__init__(cost)
        self._cost = cost

    def at(self, parameters: Array, gradient: Array) -> None:
        self._times = self._cost.hessian_at(parameters)

    def solve(self, gradient: Array) -> Array:
        norm = float(np.linalg.norm(gradient))
        wanted = norm * min(0.5, norm**0.5)
        solution, residual = np.zeros_like(gradient), gradient.copy()
        direction = super().solve(residual)
        product = float(np.sum(residual * direction))
        for _ in range(_MOST_PRODUCTS):
            image = self._times(direction)
            along = float(np.sum(direction * image))
            if not along > 0:  # flat to rounding
                break
            solution += product / along * direction
            residual -= product / along * image
            if np.linalg.norm(residual) <= wanted:
                break
            preconditioned = super().solve(residual)
            before, product = product, float(np.sum(residual * preconditioned))
            direction = preconditioned + product / before * direction
        return solution if solution.any() else super().solve(gradient)


def is_slow(norms: list[float]) -> bool:
    """Whether gradients of these norms, one per iteration, shrink so slowly that a Hessian pays."""
    return len(norms) > 2 and norms[-1] > _SLOW * norms[-3]


def sample_size(m: int, n: int) -> int:
    """Rows that a Hessian is made of."""
    return min(m, max(_SAMPLE_ROWS_A_FEATURE * n, min(_MOST_SAMPLE_ROWS, int(_SAMPLE_PRODUCTS / n**2))))
