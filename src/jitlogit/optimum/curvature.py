"""Approximate Hessians of the penalised cost, as the product of their inverse and a gradient."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
from scipy.linalg.lapack import dpotrs

from ..data.validation import Array, computed_dtype, is_sparse
from ..kernels.storage.sparse_work import COST
from .cost import Cost
from .hessian import PRODUCTS_A_VALUE, dense, mean_hessian
from .samples import Sample, rows_of, spread

# Rows of a sample: so many products, but so many rows for each feature at least, and in all.
_SAMPLE_PRODUCTS = 5e8
_SAMPLE_ROWS_A_FEATURE = 4
_MOST_SAMPLE_ROWS = 10_000
_ITERATIONS_BEFORE_A_HESSIAN, _ITERATIONS_OF_A_HESSIAN = 12, 10
# What part of the gradient's norm is left after two slow iterations: that of well-conditioned costs is a tenth at most.
_SLOW = 0.2
# Rows of a sample for each feature where that is so, and how many reads of X its Hessian may take then, and at once.
_FEW_ROWS_A_FEATURE, _WORTH_READS, _MOST_READS_AT_ONCE = 60, 4, 1
# Products that take as long as what there is to do beside a read.
_PRODUCTS_A_CALL = 1e6
_MOST_PRODUCTS = 50


class Preconditioner:
    """An approximate Hessian: of the classes' mean curvature, from a sample of rows, or of unit variance alone.

    That of a sample is drawn towards unit variance, the more the fewer rows it has for a feature: in directions that
    its rows don't show, steps would be far too long (Ledoit and Wolf, "A well-conditioned estimator for
    large-dimensional covariance matrices", 2004). What the sample lacks of a feature's variance, that of a rare one's
    mostly, is taken to be as curved as the others.
    """

    def __init__(self, cost: Cost, sample: Sample | None = None, n_rows: int = 0) -> None:
        """Of a sample, which stands for so many rows; the others weigh nothing."""
        self._cost = cost
        classes = max(2, cost.n_scores)
        self._penalties = np.append(cost.l2, 0.0)
        self._diagonal = (classes - 1) / classes**2 + self._penalties
        self._factor: Any = None
        self._rows: Array | None = None
        if sample is not None:
            self._drawn, self._part = sample.chosen.size < n_rows, n_rows / cost.X.shape[0]
            self._rows = dense(sample.X, computed_dtype(cost.X) if self._drawn else np.float64)
            self._weights = 1.0 if cost.sample_weight is None else cost.sample_weight[sample.chosen]

    def at(self, parameters: Array, _gradient: Array) -> None:
        """Take the curvature at these parameters; what was before stays where it can't be had."""
        if self._rows is None:
            return
        try:
            self._factor = self._factored(parameters, self._rows)
        except np.linalg.LinAlgError:  # float32 hasn't room, or digits enough, for the products
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
        hessian[diagonal] += self._penalties + 1e-12 * max(1e-300, float(np.trace(hessian)))
        if not self._cost.fit_intercept:
            hessian[-1] = np.append(np.zeros(len(hessian) - 1), 1.0)
        return np.asarray(np.linalg.cholesky(hessian).T)

    def solve(self, gradient: Array) -> Array:
        """Product of the inverse and a gradient (K, n + 1)."""
        if self._factor is None:
            return np.asarray(gradient / self._diagonal)
        return np.asarray(dpotrs(self._factor, gradient.T)[0].T)


class SampledCurvature:
    """Unit variances while they suffice, then the Hessian of a sample of rows.

    That of few rows is taken as soon as the gradient shrinks slowly, as that of the first sample's cost may have, if it
    takes no longer than some reads of X; that of more rows after some iterations, at what they found, or at once where
    it takes no longer than a read. It is taken anew now and then where the sample is most of the rows, and so nearly
    the Hessian of all.

    Attributes
    ----------
    at_once : bool
        Whether the Hessian is taken in the first iteration.
    """

    def __init__(
        self, cost: Cost, diagonal: Preconditioner, first: Sample | None, slow: bool, rng: np.random.Generator
    ) -> None:
        """The rows are those of the first sample if there are enough; `slow`: as the search for its optimum was."""
        m, n = cost.X.shape
        values = cost.n_scores * (COST * cost.X.nnz if is_sparse(cost.X) else m * n)
        rows_a_read = (PRODUCTS_A_VALUE * values + _PRODUCTS_A_CALL) / n**2
        size = sample_size(m, n)
        few = min(size, _FEW_ROWS_A_FEATURE * n, int(_WORTH_READS * rows_a_read))
        self._few = few if few >= _SAMPLE_ROWS_A_FEATURE * n else 0
        self._size, self._anew = size, 2 * size >= m
        self._late = 0 if size <= _MOST_READS_AT_ONCE * rows_a_read else _ITERATIONS_BEFORE_A_HESSIAN
        self.at_once = self._late == 0 or (slow and self._few > 0)
        self._cost, self._now, self._first, self._rng = cost, diagonal, first, rng
        self._norms: list[float] = []

    def at(self, parameters: Array, gradient: Array) -> None:
        """Take the curvature at these parameters, if it is time."""
        self._norms.append(float(np.linalg.norm(gradient)))
        since = len(self._norms) - 1 - self._late
        if since == 0:
            self._now = self._of_rows(self._size)
        elif since < 0 and self._few and (self.at_once or is_slow(self._norms)):
            self._now, self._few = self._of_rows(self._few), 0
        elif not (since > 0 and self._anew and since % _ITERATIONS_OF_A_HESSIAN == 0):
            return
        self._now.at(parameters, gradient)

    def solve(self, gradient: Array) -> Array:
        return self._now.solve(gradient)

    def _of_rows(self, size: int) -> Preconditioner:
        """Of so many random rows that weigh anything, or all of these."""
        cost = self._cost
        weights, m = cost.sample_weight, cost.X.shape[0]
        if self._first is not None and weights is None and size <= self._first.chosen.size:
            some = spread(self._first.chosen.size, size, self._rng)
            return Preconditioner(cost, Sample(self._first.chosen[some], self._first.X[some]), m)
        rows = np.arange(m) if weights is None else np.flatnonzero(weights)
        chosen = rows[spread(rows.size, size, self._rng)]
        return Preconditioner(cost, Sample(chosen, rows_of(cost.X, chosen, cost.n_threads)), rows.size)


class ConjugateGradients:
    """The inverse of the exact Hessian, by conjugate gradients, as exactly as steps far from the minimum need it.

    As many iterations as make the residual smaller than the gradient by the square root of its norm (Dembo and
    Steihaug, "Truncated-Newton algorithms for large-scale unconstrained optimization", 1983).
    """

    def __init__(self, cost: Cost, diagonal: Preconditioner) -> None:
        self._cost, self._diagonal = cost, diagonal

    def at(self, parameters: Array, _gradient: Array) -> None:
        self._times = self._cost.hessian_at(parameters)

    def solve(self, gradient: Array) -> Array:
        norm = float(np.linalg.norm(gradient))
        wanted = norm * min(0.5, norm**0.5)
        solution, residual = np.zeros_like(gradient), gradient.copy()
        direction = self._diagonal.solve(residual)
        product = float(np.sum(residual * direction))
        for _ in range(_MOST_PRODUCTS):
            image = self._times(direction)
            along = float(np.sum(direction * image))
            if not along > 0:  # flat, as exactly as it is computed
                break
            solution += product / along * direction
            residual -= product / along * image
            if np.linalg.norm(residual) <= wanted:
                break
            preconditioned = self._diagonal.solve(residual)
            before, product = product, float(np.sum(residual * preconditioned))
            direction = preconditioned + product / before * direction
        return solution if solution.any() else self._diagonal.solve(gradient)


def is_slow(norms: list[float]) -> bool:
    """Whether gradients of such norms, one an iteration, shrink so slowly that a Hessian pays."""
    return len(norms) > 2 and norms[-1] > _SLOW * norms[-3]


def sample_size(m: int, n: int) -> int:
    """Rows that stand for all in a Hessian."""
    size = max(_SAMPLE_ROWS_A_FEATURE * n, min(_MOST_SAMPLE_ROWS, int(_SAMPLE_PRODUCTS / n**2)))
    return min(m, size)
