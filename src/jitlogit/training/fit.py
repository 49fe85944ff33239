"""Parameters under training, and snapshots of them: what fits to dense and to sparse rows have in common."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..compiler import threads
from ..data.validation import Array, computed_dtype, raise_if_not_finite
from ..kernels.epochs.epoch import epoch
from ..kernels.epochs.team import control_of
from ..kernels.steps.batches import Cut, Rates
from ..kernels.steps.update import Rule, make_rule
from .order import Order
from .problem import Epoch, Problem


class Fit:
    """Trains epoch by epoch.

    A snapshot is a copy of the arrays in `_state`, which hold all that an epoch changes. There are two: one from before
    the last epoch, one from before the best. These are the same while the last epoch is the best.
    """

    _work: Any
    _rates: Rates

    def __init__(self, problem: Problem) -> None:
        """Subclasses make `_work` and `_rule`, then call `_prepare`."""
        self._problem = problem
        self._rule: Rule | None = None

    def _make_rule(self, n_copies: int, sums_gradients: bool) -> Rule:
        problem = self._problem
        return make_rule(
            problem.steps.optimizer,
            *problem.steps.penalties,
            problem.offset,
            problem.scale,
            problem.X.shape[1],
            n_copies,
            problem.fit_intercept,
            sums_gradients,
        )

    def _prepare(self, members: int, rows: Any, labels: Any, order: Order, cut: Cut) -> None:
        self._members, self._control, self._loss_sum = members, control_of(members), np.zeros(1)
        self._batches = rows, labels, order.arrays, cut
        self._snapshots = [[np.empty_like(array) for array in self._state()] for _ in range(2)]
        self._last = self._best = 0  # places of the snapshots
        self._has_best = False
        self._best_state: list[Array] = []
        self._penalty = self._penalty_now()

    def start_epoch(self, rates: tuple[float, float], with_loss: bool, averaging: bool) -> None:
        self._rates = Rates(*rates, with_loss)
        if self._rule is not None:
            self._rule.averaging[0] = averaging
            self._rule.gradient[:] = 0
        if self._has_best:
            self._last = 1 - self._best
        for kept, array in zip(self._snapshots[self._last], self._state(), strict=True):
            kept[...] = array

    def run(self) -> float:
        """Train one epoch; return the sum of the losses, 0 if they aren't computed."""
        others = self._rates, self._rule, self._work, self._control, self._loss_sum
        threads.run(epoch, self._members, *self._batches, *others)
        return float(self._loss_sum[0])

    def is_sound(self, cost: float, highest_cost: float) -> bool:
        """Whether the last epoch didn't diverge; raises ValueError if X isn't finite."""
        finite = self._is_finite()
        if not (finite and math.isfinite(cost)):
            raise_if_not_finite(self._problem.X)
        return finite and cost <= highest_cost

    def keep(self) -> None:
        """Note that the last epoch is the best."""
        self._best, self._has_best = self._last, True

    def go_back(self) -> None:
        """Return to before the best epoch, or to the beginning."""
        self._restore(self._snapshots[self._best])
        self._penalty = self._penalty_now()

    def keep_best(self) -> None:
        """Copy the state, for `return_to_best`."""
        if not self._best_state:
            self._best_state = [np.empty_like(array) for array in self._state()]
        for kept, array in zip(self._best_state, self._state(), strict=True):
            kept[...] = array

    def return_to_best(self) -> None:
        self._restore(self._best_state)

    def undo_if_not_finite(self) -> None:
        """Return to before the last epoch if its parameters aren't finite."""
        if not self._is_finite():
            self._restore(self._snapshots[self._last])

    def epoch(self, number: int, undone: int, cost: float, objective: float, rate: float, seconds: float) -> Epoch:
        return Epoch(number, undone, cost, objective, rate, self._gradient_norm(), seconds, self.parameters)

    def objective(self, cost: float) -> float:
        """Cost and penalty of the last epoch.

        The cost is the mean over batches, of losses before each update. So is the penalty, which is taken to move
        evenly from update to update.
        """
        before, self._penalty = self._penalty, self._penalty_now()
        n_batches = self._problem.n_batches
        return cost + before + (self._penalty - before) * (n_batches - 1) / (2 * n_batches)

    def _penalty_now(self) -> float:
        """The penalty of the parameters, in the units of the mean loss."""
        l2, l1 = self._problem.steps.penalties
        if self._rule is None or not (l2 or l1):
            return 0.0
        weights = self._rule.parameters[: self._problem.n_scores, : self._problem.X.shape[1]]
        squares = np.einsum("kj,kj->", weights, weights)  # takes no memory for the squares
        return float(l2 / 2 * squares + (l1 * np.abs(weights).sum() if l1 else 0.0))

    def parameters(self) -> Array:
        """Weights and bias of the scaled features, a float64 copy (1, n + 1) or (K, n + 1)."""
        raise NotImplementedError

    def result(self) -> tuple[Array, Array]:
        parameters = self.parameters()
        return parameters[:, :-1].astype(computed_dtype(self._problem.X)), parameters[:, -1]

    def _parameters_of(self, rule: Rule) -> Array:
        averaged = rule.counts[0, 1] > 0
        return (rule.mean if averaged else rule.parameters)[: self._problem.n_scores, : rule.offset.size + 1].copy()

    def _state(self) -> list[Array]:
        raise NotImplementedError

    def _state_of(self, rule: Rule) -> list[Array]:
        arrays = rule.parameters, rule.first, rule.second, rule.mean, rule.counts
        return [array[: self._problem.n_scores] for array in arrays]

    def _restore(self, snapshot: list[Array]) -> None:
        for array, kept in zip(self._state(), snapshot, strict=True):
            array[...] = kept

    def _is_finite(self) -> bool:
        return all(bool(np.isfinite(array).all()) for array in self._state())

    def _gradient_norm(self) -> float:
        if self._rule is None:
            return math.nan
        gradient = self._rule.gradient[: self._problem.n_scores]
        # Not by BLAS: it wakes threads from 10,000 numbers on, which on a busy machine takes ten times an epoch.
        return math.sqrt(np.einsum("kj,kj->", gradient, gradient)) / self._problem.n_batches
