"""Fits to rows in an array, which may be packed."""

from __future__ import annotations

import numpy as np

from ..compiler.threads import members_for
from ..data.validation import Array, as_rows, computed_dtype
from ..kernels.epochs import walks
from ..kernels.steps.batches import Cut
from ..kernels.steps.update import start
from ..kernels.storage.plan import class_plan, plan
from ..kernels.storage.work_spaces import ClassWorkSpace, ScoreWorkSpace, class_work_space, work_space
from .fit import Fit
from .order import Order
from .packing import in_c_order, packed
from .problem import Problem, Steps


class DenseFit(Fit):
    _work: ScoreWorkSpace | ClassWorkSpace

    def __init__(self, problem: Problem, order: Order, n_epochs: int, n_threads: int | None, watched: bool) -> None:
        super().__init__(problem)
        batch_size, classes, steps = problem.batch_size, problem.n_classes, problem.steps
        n, dtype = problem.X.shape[1], computed_dtype(problem.X)
        rows, labels = as_rows(problem.X), problem.weighted_labels
        weighted, shuffled = problem.sample_weight is not None, problem.shuffle is True
        scaled = problem.offset is not None or problem.initial is not None
        ruled = scaled or classes is not None or steps != Steps(schedule=steps.schedule)
        plain = not (ruled or weighted)
        if problem.pack:
            if not (weighted or shuffled) and classes is None:
                rows, labels = packed(rows, labels, batch_size, n_epochs, n_threads)
            rows = in_c_order(rows, batch_size, shuffled, n_epochs, n_threads)
        if classes is None:
            cut = plan(batch_size, rows, shuffled, not plain)
        else:
            cut = class_plan(batch_size, rows, classes, shuffled)
        n_bytes, n_chunks = problem.X.nbytes * problem.n_scores, max(cut.n_chunks, cut.n_parts)
        members = members_for(n_threads, n_chunks, n_bytes * n_epochs)
        if classes is None:
            self._work, n_copies = work_space(cut, n, dtype, members), members
        else:
            self._work, n_copies = class_work_space(classes, cut.tiles.rows, cut.n_chunks, n, dtype, members), classes
        if ruled:
            self._rule = self._make_rule(n_copies, watched)
            if problem.initial is not None:
                for k, parameters in enumerate(problem.initial):
                    start(self._rule, k, parameters, self._work.weights[k], self._work.bias[k])
        batches = Cut(batch_size, *cut.tiles, n_chunks, n_bytes // problem.n_batches)
        self._prepare(members, rows, labels, order, batches)

    @property
    def walk(self) -> str:
        """Name of the module that says how an epoch goes through a batch; see `kernels.epochs.walks`."""
        return walks._WALKS[type(self._work)].__name__.rsplit(".", 1)[1]

    def begin_at(self, weights: Array, bias: float) -> None:
        """Begin plain gradient descent, which has no update rule, at weights (n,) and a bias instead of zeros."""
        self._work.weights[0, : weights.size] = weights
        self._work.bias[0, 0] = bias

    def parameters(self) -> Array:
        if self._rule is not None:
            return self._parameters_of(self._rule)
        return np.concatenate(self._raw_parameters(), axis=1).astype(np.float64)

    def _raw_parameters(self) -> list[Array]:
        scores = slice(self._problem.n_scores)
        return [self._work.weights[scores, : self._problem.X.shape[1]], self._work.bias[scores, :1]]

    def _state(self) -> list[Array]:
        return self._raw_parameters() + ([] if self._rule is None else self._state_of(self._rule))
