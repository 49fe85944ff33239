"""Parameters under training, and what a kernel needs to train them: one class for each way in which rows are held."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..compiler import threads
from ..compiler.threads import members_for
from ..data import validation as check
from ..data.validation import Array, as_rows, computed_dtype, is_sparse, raise_if_not_finite
from ..kernels.epochs.epoch import epoch, epoch_kernel
from ..kernels.epochs.sparse import squared_gradients
from ..kernels.epochs.team import control_of
from ..kernels.steps.batches import Cut, Rates
from ..kernels.steps.labels import Weighted
from ..kernels.steps.update import KEPT, OPTIMIZERS, Rule, make_rule, start
from ..kernels.storage import sparse_work
from ..kernels.storage.plan import class_plan, plan
from ..kernels.storage.work_spaces import ClassWorkSpace, FeatureWorkSpace, WorkSpace, class_work_space, work_space
from .order import Order
from .packing import packed
from .schedule import SCHEDULES


class Steps(NamedTuple):
    """How gradients become updates; see `jitlogit.train_logistic_regression`."""

    optimizer: str = "sgd"
    schedule: str = "constant"
    alpha: float = 0.0
    l1_ratio: float = 0.0
    average: bool = False

    @property
    def penalties(self) -> tuple[float, float]:
        """Strengths of the squared norm's half, and of the L1 norm."""
        return self.alpha * (1 - self.l1_ratio), self.alpha * self.l1_ratio


def check_steps(optimizer: str, schedule: str, alpha: float, l1_ratio: float, average: bool) -> Steps:
    """Return them, or raise an error that names the one that is wrong."""
    return Steps(
        check.check_choice(optimizer, "optimizer", OPTIMIZERS),
        check.check_choice(schedule, "schedule", SCHEDULES),
        check.check_not_negative(alpha, "alpha"),
        check.check_fraction(l1_ratio, "l1_ratio"),
        check.check_bool(average, "average"),
    )


PLAIN = Steps()
_RULE_STATE = ("parameters", "first", "second", "mean", "counts")


class Epoch(NamedTuple):
    """What is known after an epoch."""

    number: int  # from 0 on
    cost: float  # mean of the losses seen, without the penalty
    learning_rate: float  # of its first update
    gradient_norm: float  # of the mean of its gradients with the penalty's, NaN for plain gradient descent
    seconds: float
    parameters: Callable[[], Array]  # weights and bias then, (1, n + 1) or (K, n + 1), of the features as trained on


class Problem(NamedTuple):
    """What is trained on, and how; validated, see `jitlogit.training.train`."""

    X: Any
    labels: Array
    batch_size: int
    shuffle: bool | str
    sample_weight: Array | None
    offset: Array | None
    scale: Array | None
    steps: Steps
    fit_intercept: bool
    initial: Array | None
    n_classes: int | None
    watched: bool  # whether `Fit.epoch` will be called
    name: str  # of X, in errors

    @property
    def n_scores(self) -> int:
        return self.n_classes or 1

    @property
    def n_batches(self) -> int:
        return int(-(-self.X.shape[0] // self.batch_size))

    @property
    def weighted_labels(self) -> Any:
        return self.labels if self.sample_weight is None else Weighted(self.labels, self.sample_weight)


def make_fit(problem: Problem, n_epochs: int, pack: bool, n_threads: int | None) -> Fit:
    """Begin."""
    if is_sparse(problem.X):
        return SparseFit(problem)
    fit = DenseFit(problem)
    if pack:
        fit.pack(n_epochs, n_threads)
    return fit


class Fit:
    """What all fits have in common. A state is a list of arrays, those of `_state`, from which parameters follow."""

    _rule: Rule | None = None
    _work: Any

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._rates = Rates(0.0, 0.0, False)
        # Before the last epoch, and before the best one: often the same.
        self._before: list[Array] = []
        self._good = self._before
        self._spare: list[Array] = []

    def prepare(self, order: Order, n_threads: int | None, n_epochs: int) -> None:
        """Make room to work in, before the first `run`."""
        raise NotImplementedError

    def _prepare(self, kernel: Any, members: int, rows: Any, labels: Any, order: Order, cut: Cut) -> None:
        self._members, self._kernel, self._control, self._loss_sum = members, kernel, control_of(members), np.zeros(1)
        self._given = rows, labels, order.arrays, cut

    def run(self) -> float:
        """Train one epoch; return the sum of the losses, 0 if they aren't computed."""
        room = self._rates, self._rule, self._work, self._control, self._loss_sum
        threads.run(self._kernel, self._members, *self._given, *room)
        return float(self._loss_sum[0])

    def parameters(self) -> Array:
        """Weights and bias of the features as trained on (1, n + 1) or (K, n + 1), a copy of float64."""
        raise NotImplementedError

    def _state(self) -> list[Array]:
        raise NotImplementedError

    def _gradient_norm(self) -> float:
        """Norm of the mean of the epoch's gradients with the penalty's; NaN where it isn't known."""
        raise NotImplementedError

    def _restore(self, state: list[Array]) -> None:
        for array, value in zip(self._state(), state, strict=True):
            array[...] = value

    def start_epoch(self, rates: tuple[float, float], with_loss: bool, averaging: bool) -> None:
        self._rates = Rates(*rates, with_loss)
        if self._rule is not None:
            self._rule.averaging[0] = averaging
            self._rule.gradient[:] = 0
        if self._before is self._good:  # which is kept
            self._before, self._spare = self._spare or [np.empty_like(array) for array in self._state()], []
        for kept, array in zip(self._before, self._state(), strict=True):
            kept[...] = array

    def keep(self) -> None:
        """Remember the state before the last epoch as a good one."""
        if self._good is not self._before:
            self._good, self._spare = self._before, self._good

    def go_back(self) -> None:
        """Return to the good state, or to the beginning."""
        self._restore(self._good or self._before)

    def undo_if_not_finite(self) -> None:
        """Forget the last epoch if no parameters are left."""
        if not self._is_finite():
            self._restore(self._before)

    def is_sound(self, cost: float, most: float) -> bool:
        """Whether the last epoch didn't diverge, to a cost above the `most`; raises ValueError if X isn't finite."""
        finite = self._is_finite()
        if not (finite and math.isfinite(cost)):
            raise_if_not_finite(self._problem.X, self._problem.name)
        return finite and cost <= most

    def _is_finite(self) -> bool:
        return all(bool(np.isfinite(array).all()) for array in self._state())

    def epoch(self, number: int, cost: float, rate: float, seconds: float) -> Epoch:
        return Epoch(number, cost, rate, self._gradient_norm(), seconds, self.parameters)

    def result(self) -> tuple[Array, Array]:
        parameters = self.parameters()
        return parameters[:, :-1].astype(computed_dtype(self._problem.X)), parameters[:, -1]

    def _norm_of_sum(self, rule: Rule) -> float:
        return float(np.linalg.norm(rule.gradient[: self._problem.n_scores])) / self._problem.n_batches

    def _make_rule(self, copies: int) -> Rule:
        problem = self._problem
        return make_rule(
            problem.steps.optimizer,
            *problem.steps.penalties,
            problem.offset,
            problem.scale,
            problem.X.shape[1],
            copies,
            problem.fit_intercept,
            problem.watched,
        )


class DenseFit(Fit):
    """Rows in an array, or packed."""

    _work: WorkSpace | FeatureWorkSpace | ClassWorkSpace

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self._rows, self._labels = as_rows(problem.X), problem.labels
        changed = problem.steps != PLAIN._replace(schedule=problem.steps.schedule)
        scaled = problem.offset is not None or problem.initial is not None
        self._ruled = changed or scaled or problem.n_classes is not None
        self._plain = not self._ruled and problem.sample_weight is None

    def pack(self, n_epochs: int, n_threads: int | None) -> None:
        """Pack the rows where that pays."""
        problem = self._problem
        if problem.sample_weight is None and problem.shuffle is not True and problem.n_classes is None:
            self._rows, self._labels = packed(self._rows, self._labels, problem.batch_size, n_epochs, n_threads)

    def prepare(self, order: Order, n_threads: int | None, n_epochs: int) -> None:
        problem = self._problem
        n, dtype, classes = problem.X.shape[1], computed_dtype(problem.X), problem.n_classes
        shuffled = problem.shuffle is True
        if classes is None:
            cut = plan(problem.batch_size, self._rows, shuffled, not self._plain)
        else:
            cut = class_plan(problem.batch_size, self._rows, classes, shuffled)
        n_bytes = problem.X.nbytes * n_epochs * problem.n_scores
        n_chunks = max(cut.n_chunks, cut.n_parts)
        members = members_for(n_threads, n_chunks, n_bytes)
        if classes is None:
            self._work = work_space(cut, n, dtype, members)
        else:
            self._work = class_work_space(classes, cut.tile_rows, cut.n_chunks, n, dtype, members)
        if self._ruled:
            self._rule = self._make_rule(members if classes is None else classes)
        if self._rule is not None and problem.initial is not None:
            for k, parameters in enumerate(problem.initial):
                start(self._rule, k, parameters, self._work.weights[k], self._work.bias[k])
        kernel = epoch_kernel(cut, problem.batch_size, self._plain) if classes is None else epoch
        labels = problem._replace(labels=self._labels).weighted_labels
        batch_bytes = problem.batch_size * problem.X.itemsize * n * problem.n_scores
        given = Cut(problem.batch_size, cut.tile_rows, n_chunks, batch_bytes)
        self._prepare(kernel, members, self._rows, labels, order, given)

    def _state(self) -> list[Array]:
        n, result = self._problem.X.shape[1], slice(self._problem.n_scores)
        state = [self._work.weights[result, :n], self._work.bias[result, :1]]
        if self._rule is not None:
            state += [getattr(self._rule, name)[result] for name in _RULE_STATE]
        return state

    def parameters(self) -> Array:
        n, result = self._problem.X.shape[1], slice(self._problem.n_scores)
        if self._rule is None:
            parameters = np.append(self._work.weights[result, :n], self._work.bias[result, :1], axis=1)
            return parameters.astype(np.float64)
        averaged = self._rule.counts[0, 1] > 0
        return (self._rule.mean if averaged else self._rule.parameters)[result, : n + 1].copy()

    def _gradient_norm(self) -> float:
        return math.nan if self._rule is None else self._norm_of_sum(self._rule)


class SparseFit(Fit):
    """Rows in CSR; see `jitlogit.kernels.sparse`."""

    _work: sparse_work.SparseWorkSpace
    _rule: Rule

    def prepare(self, order: Order, n_threads: int | None, n_epochs: int) -> None:
        problem, X = self._problem, self._problem.X
        (m, n), scores, steps = X.shape, problem.n_scores, problem.steps
        linear = OPTIMIZERS.index(steps.optimizer) <= sparse_work.LAST_LINEAR
        row_values = X.nnz / m, int(np.diff(X.indptr).max())
        # One score's features that each batch has are sooner updated all at once.
        dense = scores == 1 and sparse_work.takes_all(row_values[0], n, problem.batch_size, scores)
        self._lazy = linear and not (steps.penalties[1] or steps.average or dense)
        n_chunks = sparse_work.sparse_chunks(row_values[0] * problem.batch_size, n, scores)
        members = members_for(n_threads, n_chunks, X.data.nbytes * n_epochs * scores * sparse_work.COST)
        self._work = sparse_work.sparse_work_space(
            scores, n, problem.batch_size, row_values, computed_dtype(X), members, self._lazy
        )
        self._rule = self._make_rule(0 if self._lazy else scores)
        if self._lazy:
            sparse_work.set_features(self._work, self._rule)
        if problem.initial is not None:
            self._begin_with(problem.initial)
        value_bytes = X.data.itemsize + X.indices.itemsize
        cut = Cut(problem.batch_size, 0, n_chunks, X.nnz // problem.n_batches * value_bytes * scores)
        self._prepare(epoch, members, as_rows(X), problem.weighted_labels, order, cut)

    def _begin_with(self, initial: Array) -> None:
        u, scalars = self._raw_weights(), self._work.scalars[0]
        for k, parameters in enumerate(initial):
            if self._lazy:
                u[:, k] = parameters[:-1] * self._rule.inverse_scale
                scalars[sparse_work.B, k] = parameters[-1]
            else:
                start(self._rule, k, parameters, u[:, k], self._work.bias[k])
        if self._lazy:
            sparse_work.set_biases(self._work, self._rule)

    def _raw_weights(self) -> Array:
        return self._work.state[:, : self._problem.n_scores]

    def _state(self) -> list[Array]:
        scores = slice(self._problem.n_scores)
        if self._lazy:
            return [self._work.state[:, : 2 * self._work.gradients.shape[2]], self._work.bias, self._work.scalars[0]]
        return [self._raw_weights(), self._work.bias] + [getattr(self._rule, name)[scores] for name in _RULE_STATE]

    def _restore(self, state: list[Array]) -> None:
        super()._restore(state)
        if self._lazy:
            sparse_work.begin_table(self._work)

    def parameters(self) -> Array:
        n, scores = self._problem.X.shape[1], self._problem.n_scores
        if not self._lazy:
            averaged = self._rule.counts[0, 1] > 0
            return (self._rule.mean if averaged else self._rule.parameters)[:scores, : n + 1].copy()
        parameters = np.empty((scores, n + 1))
        parameters[:, :-1] = self._raw_weights().T
        parameters[:, :-1] /= self._rule.inverse_scale
        # The bias that scores are made with: the sum of the means that updates have kept is not rounded as u is.
        parameters[:, -1] = self._work.bias[:, 0] + self._rule.offset @ self._raw_weights()
        return parameters

    def _gradient_norm(self) -> float:
        """For optimizers that leave features alone, it follows from the step and from v, exactly for a constant rate.

        With D by how much v has grown and S the step by -rate: the sum of the gradients is S for gradient descent,
        (1 - 0.9) S + 0.9 D for momentum and (1 - 0.9) S + 0.9^2 D for Nesterov's.
        """
        if not self._lazy:
            return self._norm_of_sum(self._rule)
        return math.sqrt(self._squares) / self._problem.n_batches

    def _is_finite(self) -> bool:
        if not self._lazy:
            return super()._is_finite()
        problem, work = self._problem, self._work
        first, growth, _ = self._rates
        kept = {"sgd": 0.0, "momentum": KEPT, "nesterov": KEPT**2}[problem.steps.optimizer]
        of_step = (1 - KEPT if kept else 1.0) / (first + growth * (problem.n_batches - 1) / 2)
        grown = self._before[-1] - work.scalars[0]
        of_biases = of_step * grown[sparse_work.B] - kept * grown[sparse_work.B_SUM]
        squares = squared_gradients(  # type: ignore[no-untyped-call]
            work.state, self._before[0], self._rule.inverse_scale, of_step, kept
        )
        self._squares = squares + np.einsum("k,k->", of_biases, of_biases)
        return math.isfinite(self._squares)
