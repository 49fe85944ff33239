"""Fits to rows in CSR."""

from __future__ import annotations

import math

import numpy as np

from ..compiler.threads import members_for
from ..data.scaling import raw_parameters, scaled_parameters
from ..data.validation import Array, as_rows, computed_dtype
from ..kernels.epochs.sparse_walk import squared_gradients
from ..kernels.steps.batches import Cut
from ..kernels.steps.update import KEPT, OPTIMIZERS, Rule, start
from ..kernels.storage import sparse_work
from ..kernels.storage.plan import TILES
from .fit import Fit
from .order import Order
from .problem import Problem


class SparseFit(Fit):
    """Lazy where the steps allow it: an update skips features that no row of its batch has.

    The optimizer must be linear for that, and there must be neither an L1 penalty nor averages.
    """

    _work: sparse_work.SparseWorkSpace
    _rule: Rule

    def __init__(self, problem: Problem, order: Order, n_epochs: int, n_threads: int | None, watched: bool) -> None:
        super().__init__(problem)
        X, n_scores, steps, batch_size = problem.X, problem.n_scores, problem.steps, problem.batch_size
        m, n = X.shape
        row_values = X.nnz / m, int(np.diff(X.indptr).max())
        linear = OPTIMIZERS.index(steps.optimizer) <= sparse_work.LAST_LINEAR
        # Where each batch has all features, one score's are updated faster all at once.
        all_at_once = n_scores == 1 and sparse_work.takes_all(row_values[0], n, batch_size, n_scores)
        self._lazy = linear and not (steps.penalties[1] or steps.average or all_at_once)
        n_chunks = sparse_work.sparse_chunks(row_values[0] * batch_size, n, n_scores)
        members = members_for(n_threads, n_chunks, X.data.nbytes * n_epochs * n_scores * sparse_work.COST)
        cut = Cut(batch_size, 0, TILES, n_chunks, (X.data.nbytes + X.indices.nbytes) * n_scores // problem.n_batches)
        self._work = sparse_work.sparse_work_space(
            n_scores, n, batch_size, row_values, computed_dtype(X), members, self._lazy
        )
        self._rule = self._make_rule(0 if self._lazy else n_scores, watched)
        if self._lazy:
            sparse_work.set_features(self._work, self._rule)
        if problem.initial is not None:
            self._begin_with(problem.initial)
        self._prepare(members, as_rows(X), problem.weighted_labels, order, cut)

    def _begin_with(self, initial: Array) -> None:
        u = self._raw_weights()
        if not self._lazy:
            for k, parameters in enumerate(initial):
                start(self._rule, k, parameters, u[:, k], self._work.bias[k])
            return
        u[:] = raw_parameters(initial[:, :-1], initial[:, -1], *self._problem.scaling)[0].T
        self._work.scalars[0, sparse_work.B, : len(initial)] = initial[:, -1]
        sparse_work.set_biases(self._work, self._rule)

    def parameters(self) -> Array:
        if not self._lazy:
            return self._parameters_of(self._rule)
        # The bias follows from the one that scores are computed with. The kernel's own b would not fit u, which each
        # update rounds.
        return scaled_parameters(self._raw_weights().T, self._work.bias[:, 0], *self._problem.scaling)

    def _raw_weights(self) -> Array:
        return self._work.state[:, : self._problem.n_scores]

    def _state(self) -> list[Array]:
        if not self._lazy:
            return [self._raw_weights(), self._work.bias, *self._state_of(self._rule)]
        u_and_v = self._work.state[:, : 2 * sparse_work.padded_classes(self._problem.n_scores)]
        return [u_and_v, self._work.bias, self._work.scalars[0]]

    def _penalty_now(self) -> float:
        if not self._lazy:
            return super()._penalty_now()
        u = self._raw_weights()
        l2, _ = self._problem.steps.penalties
        # Not a product of BLAS, whose threads would wait busily beside the next epoch.
        return float(l2 / 2 * np.sum(np.einsum("jk,jk->j", u, u) / self._rule.inverse_scale**2))

    def _restore(self, snapshot: list[Array]) -> None:
        super()._restore(snapshot)
        if self._lazy:
            sparse_work.begin_table(self._work)

    def _is_finite(self) -> bool:
        if not self._lazy:
            return super()._is_finite()
        self._square = self._squared_gradient()
        return math.isfinite(self._square)

    def _gradient_norm(self) -> float:
        return math.sqrt(self._square) / self._problem.n_batches if self._lazy else super()._gradient_norm()

    def _squared_gradient(self) -> float:
        """Squared norm of the sum of the batches' gradients in a lazy epoch, exact for a constant rate.

        It follows from S, the sum of the updates divided by -rate, and from D, the growth of the momentum v. The sum of
        the gradients is S for gradient descent, (1 - 0.9) S + 0.9 D for momentum, (1 - 0.9) S + 0.9^2 D for Nesterov's.
        """
        problem, work = self._problem, self._work
        first, growth, _ = self._rates
        kept = {"sgd": 0.0, "momentum": KEPT, "nesterov": KEPT**2}[problem.steps.optimizer]
        of_step = (1 - KEPT if kept else 1.0) / (first + growth * (problem.n_batches - 1) / 2)
        grown = self._snapshots[self._last][-1] - work.scalars[0]
        of_biases = of_step * grown[sparse_work.B] - kept * grown[sparse_work.B_SUM]
        squares = squared_gradients(  # type: ignore[no-untyped-call]
            work.state, self._snapshots[self._last][0], self._rule.inverse_scale, of_step, kept
        )
        return float(squares + np.einsum("k,k->", of_biases, of_biases))
