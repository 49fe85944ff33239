"""scikit-learn's `LogisticRegression` on the kernels, with a bound on the distance to the optimum."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from ..data import validation as check
from ..data.moments import RunningMoments
from ..data.scaling import raw_parameters, scaled_parameters
from ..data.validation import Array
from ..kernels.steps.labels import class_weights
from ..optimum.cost import Cost
from ..optimum.lbfgs import OnStep
from ..optimum.samples import Sample, first_sample, moments_of
from ..optimum.solve import SOLVERS, Optimum, choose_solver, find_optimum
from .base import LinearClassifier, restored_on_error, warn_user
from .callbacks import Attributes, CallbackSupportMixin, StepTasks, Task, check_callbacks, with_callbacks
from .hints import MISSING_SOLVERS, with_hints
from .weights import (
    check_classes,
    class_factors,
    classes_of,
    generator_from,
    places_of,
    row_weights,
    with_class_weights,
)


class _Data(NamedTuple):
    """Checked data, and the scaling of the features that solvers work with."""

    X: Any
    y: Array
    labels: Array  # (m,) of 0 ... K - 1
    weights: Array | None  # (m,), sample weights times class weights
    offset: Array
    scale: Array
    intercept: bool
    sample: Sample | None  # rows that the search begins with
    read_scaling: Callable[[], tuple[Array, Array]] | None  # from all rows; None if offset and scale are exact
    given: Array | None  # (m,), sample weights alone
    dtype: np.dtype[Any]  # of the parameters that are returned

    def raw(self, parameters: Array) -> tuple[Array, Array]:
        """`coef_` and `intercept_`, in float64, of parameters (K, n + 1) of the scaled features."""
        return raw_parameters(parameters[:, :-1], parameters[:, -1], self.offset, self.scale)

    def attributes(self, parameters: Array) -> dict[str, Array]:
        coef, intercept = self.raw(parameters)
        return {"coef_": coef.astype(self.dtype), "intercept_": intercept.astype(self.dtype)}


# Wrong scales slow a search down. After so many iterations, scales from a sample are compared with those of all rows,
# and replaced if one of them is off by more than this fraction of itself.
_ITERATIONS_BEFORE_SCALES, _MOST_SCALE_ERROR = 20, 0.5


def _scaling(seen: RunningMoments, intercept: bool) -> tuple[Array, Array]:
    """Offset and scale of the features; without an intercept, offsets are 0 and scales root mean squares."""
    offset, scale = seen.mean_and_scale()
    return (offset, scale) if intercept else (np.zeros(offset.size), np.sqrt(scale**2 + seen.mean**2))


class LogisticRegression(CallbackSupportMixin, LinearClassifier):  # type: ignore[misc]
    """scikit-learn's `LogisticRegression`, with a bound on the distance to the optimum.

    Minimises  C sum_i s_i loss_i + (1 - l1_ratio) ||w||^2 / 2 + l1_ratio ||w||_1  over weights w and intercepts, s_i
    being the sample weights. Intercepts are not penalised. Two classes have one score, more classes a softmax.

    Parameters
    ----------
    C : float
        Inverse strength of the penalty; ``numpy.inf`` for none.
    l1_ratio : float
        The L1 norm's part of the penalty, between 0 and 1.
    tol : float
        Stop when no element of the gradient of `objective_` exceeds this; features are scaled to variance 1. The
        variances of dense X may come from a sample of its rows; after twenty iterations they are checked on all rows.
    fit_intercept : bool
    class_weight : None, "balanced" or dict
        Factor of the weights of a class's samples; "balanced" is inversely proportional to the classes' frequencies.
    random_state : None, int or numpy.random.RandomState
        Source of the samples of rows that solvers begin with. None draws the same ones in each fit, so that fits repeat
        their bits.
    solver : str
        "auto" chooses by penalty, shape and sparsity. Each solver reaches the same optimum, on scaled features:

        - "newton-cholesky": Newton's method; for more than two classes, L-BFGS with the classes' mean Hessian. With
          fewer rows than features, Newton's method in the space of the rows; with more than 250, after L-BFGS.
        - "newton-sample": L-BFGS, preconditioned by the Hessian of a sample of rows. The Hessian is taken at once if it
          costs at most a read of X, or the search on the sample was slow. Else it is taken when the search is slow, or
          after twelve iterations.
        - "newton-cg": Newton's method by conjugate gradients.
        - "lbfgs": L-BFGS; of sparse X with many more features than rows, in the space of the rows.
        - "minibatch": three epochs of mini-batches, then L-BFGS.
        - "gd": gradient descent.
        - "proximal": L-BFGS-B on the weights' positive and negative parts, then accelerated proximal gradient descent.
          The only solver for an L1 penalty.

        Where X has many rows, the Newton methods and "lbfgs" first minimise the cost of a sample of them.
    max_iter : int
        Most iterations. 0 returns what the search begins with; with `warm_start`, the bound for given coefficients.
        The bound may bring better intercepts.
    warm_start : bool
        Whether `fit` begins with the coefficients of the fit before.
    standardize : bool
        Whether the penalty acts on the coefficients of features of variance 1; `coef_` belongs to X as it is.
    n_threads : None or int
        Most threads to use, None for as many as Numba is set to. Results have the same bits for any number.
    callbacks : None, or callable or list of callables
        Called after each iteration with a dict of "iteration" and "cost"; a true result stops. From scikit-learn 1.9
        on, ``set_callbacks`` takes its own callbacks, which see each iteration of `fit` as a task.
    verbose : int
        Whether to print the cost after each iteration.

    Attributes
    ----------
    coef_ : (1, n_features), (n_classes, n_features) for more than two classes
        float32 for X of float32, else float64, as in scikit-learn. The attributes below belong to the float64 values
        before rounding, with which `warm_start` begins too.
    intercept_ : (1,) or (n_classes,), of the dtype of `coef_`
    classes_ : (n_classes,)
    n_iter_ : (1,) of int
    n_features_in_, feature_names_in_
    objective_ : float
        Mean loss and penalty: the sum above, divided by C sum_i s_i.
    gradient_norm_ : float
        Largest element of the gradient of `objective_`, by parameters of scaled features.
    optimality_gap_ : float
        Bound on how far `objective_` is above its minimum; without a penalty, `objective_` itself, since no loss is
        negative.
    n_passes_ : float
        Reads of X; a read of some rows counts as their fraction. Reads for the scales of the features don't count.
    converged_ : bool
        Whether `gradient_norm_` is at most `tol`, or `optimality_gap_` at most 1e-5 (float32 X) or 1e-12 (float64) of
        `objective_`, which is within its rounding.

    Examples
    --------
    >>> import numpy as np
    >>> from jitlogit import LogisticRegression
    >>> X = np.random.default_rng(0).standard_normal((30, 3))
    >>> y = np.where(X[:, 0] > 0, "yes", "no")
    >>> model = LogisticRegression(C=1.0).fit(X, y)
    >>> model.predict(X[:2]), model.converged_
    (array(['yes', 'yes'], dtype='<U3'), True)
    >>> bool(model.optimality_gap_ < 0.01 * model.objective_)
    True

    An L1 penalty makes coefficients zero, which `sparsify` then leaves out:

    >>> sparse = LogisticRegression(C=0.3, l1_ratio=1.0).fit(X, y).sparsify()
    >>> sparse.coef_.nnz
    1
    """

    @with_hints
    def __init__(
        self,
        *,
        C: float = 1.0,
        l1_ratio: float = 0.0,
        tol: float = 1e-4,
        fit_intercept: bool = True,
        class_weight: Any = None,
        random_state: Any = None,
        solver: str = "auto",
        max_iter: int = 1000,
        warm_start: bool = False,
        standardize: bool = False,
        n_threads: Any = None,
        callbacks: Any = None,
        verbose: Any = 0,
    ) -> None:
        self.C = C
        self.l1_ratio = l1_ratio
        self.tol = tol
        self.fit_intercept = fit_intercept
        self.class_weight = class_weight
        self.random_state = random_state
        self.solver = solver
        self.max_iter = max_iter
        self.warm_start = warm_start
        self.standardize = standardize
        self.n_threads = n_threads
        self.callbacks = callbacks
        self.verbose = verbose

    @restored_on_error
    @with_callbacks  # type: ignore[untyped-decorator]
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> LogisticRegression:
        """Find the optimum.

        Parameters
        ----------
        X : array_like, data frame or SciPy sparse array (n_samples, n_features)
            As in `MiniBatchLogisticRegression`.
        y : array_like (n_samples,)
            Labels of two classes or more.
        sample_weight : None or array_like (n_samples,)
            Not negative.

        Returns
        -------
        The estimator itself.

        Raises
        ------
        ValueError, TypeError
            If a parameter or the data can't be used; the message says what to do. The estimator is then unchanged.

        Warns
        -----
        ConvergenceWarning
            If the model isn't `converged_`, unless a callback stopped it.

        Examples
        --------
        >>> from jitlogit import LogisticRegression
        >>> X, y = [[0.0], [1.0], [2.0], [3.0]], ["low", "high", "low", "high"]
        >>> model = LogisticRegression().fit(X, y)
        >>> model.classes_.tolist(), model.coef_.shape  # classes ascend; the score is that of the second
        (['high', 'low'], (1, 1))
        >>> weighted = LogisticRegression().fit(X, y, sample_weight=[1, 0, 1, 1])
        >>> bool(weighted.coef_[0, 0] < model.coef_[0, 0])
        True
        """
        before = getattr(self, "classes_", None)
        data = self._read(X, y, sample_weight)
        initial = None
        if self._begins_warm(self.warm_start, before, data.X.shape[1]):
            coef, intercept = self._parameters()
            initial = scaled_parameters(coef, intercept * data.intercept, data.offset, data.scale)
        max_iter = self._max_iter()
        task = Task.of_fit(self, data.X, data.y, data.given, max_iter)
        steps = StepTasks(task, "iteration", max_iter)
        self._set_fitted(data, self._find(data, self.C, data.weights, initial, steps))
        task.end(lambda: {"coef_": self.coef_, "intercept_": self.intercept_})
        return self

    def _read(self, X: Any, y: Any, sample_weight: Any) -> _Data:
        """Check the data, and set `classes_`."""
        X, y, dtype = self._checked(X, y, reset=True)
        self.classes_ = classes_of(y)
        check_classes(self.classes_)
        labels = places_of(y, self.classes_, "y")
        weights = row_weights(sample_weight, X)
        intercept = check.check_bool(self.fit_intercept, "fit_intercept")
        sample = first_sample(X, self._generator(), self._threads())
        no_rows = RunningMoments(class_weights=np.zeros(self.classes_.size))
        seen = None
        if sample is not None and not check.check_bool(self.standardize, "standardize"):
            seen = moments_of(sample, no_rows, labels, weights, self._threads())

        def read_scaling() -> tuple[Array, Array]:
            return _scaling(no_rows.after(X, labels, weights, True, self._threads()), intercept)

        offset, scale = read_scaling() if seen is None else _scaling(seen, intercept)
        factors = class_factors(self.classes_, self.class_weight, class_weights(labels, weights, self.classes_.size))
        total = with_class_weights(weights, labels, factors)
        read = read_scaling if seen else None
        return _Data(X, y, labels, total, offset, scale, intercept, sample, read, weights, dtype)

    def _find(self, data: _Data, C: Any, weights: Array | None, initial: Array | None, steps: StepTasks) -> Optimum:
        """The optimum for weights (m,) of the rows; searches on with the scales of all rows if a sample's are off."""
        exact: list[_Data] = []

        def on_step(iteration: int, cost: float, parameters: Callable[[], Array]) -> bool:
            if self._report(iteration, cost, steps, lambda: data.attributes(parameters())):
                return True
            if data.read_scaling and iteration == _ITERATIONS_BEFORE_SCALES:
                offset, scale = data.read_scaling()
                if not (np.abs(scale - data.scale) < _MOST_SCALE_ERROR * data.scale).all():
                    exact.append(data._replace(offset=offset, scale=scale, read_scaling=None))
            return bool(exact)

        found = self._search(data, C, weights, initial, on_step, 0)
        if not exact:
            steps.close()
            return found
        (better,) = exact
        begun = scaled_parameters(*data.raw(found.parameters), better.offset, better.scale)
        done = found.iterations

        def on_later_step(iteration: int, cost: float, parameters: Callable[[], Array]) -> bool:
            return self._report(done + iteration, cost, steps, lambda: better.attributes(parameters()))

        again = self._search(better, C, weights, begun, on_later_step, done)
        steps.close()
        parameters = scaled_parameters(*better.raw(again.parameters), data.offset, data.scale)
        return again._replace(
            parameters=parameters, iterations=done + again.iterations, passes=found.passes + again.passes
        )

    def _search(
        self,
        data: _Data,
        C: Any,
        weights: Array | None,
        initial: Array | None,
        on_step: OnStep,
        done: int,
    ) -> Optimum:
        """One search for the optimum; `done` iterations of an earlier one count towards `max_iter`."""
        m, scale = data.X.shape[0], data.scale
        total = float(m if weights is None else weights.sum(dtype=np.float64))
        alpha = 0.0 if math.inf == C else 1 / (check.check_positive(C, "C") * total)
        if not math.isfinite(alpha):
            raise ValueError(f"C={C!r} is too small for these data: 1 / C overflows; use a larger C")
        part = check.check_fraction(self.l1_ratio, "l1_ratio")
        sizes = np.ones(scale.size) if check.check_bool(self.standardize, "standardize") else scale
        n_classes = None if self.classes_.size == 2 else self.classes_.size
        check_callbacks(self.callbacks)
        solver = self._solver(data.X, n_classes, alpha * part > 0, alpha * (1 - part) > 0)
        cost = Cost(
            data.X,
            data.labels,
            n_classes,
            check.check_sample_weight(weights, m, check.computed_dtype(data.X)),
            data.offset,
            scale,
            alpha * (1 - part) / sizes**2,
            data.intercept,
            self._threads(),
            alpha * part / sizes,
        )
        return find_optimum(
            cost,
            solver,
            check.check_not_negative(self.tol, "tol"),
            self._max_iter() - done,
            initial,
            data.sample,
            self._generator(),
            on_step,
        )

    def _set_fitted(self, data: _Data, found: Optimum) -> None:
        if not (found.converged or found.stopped):
            advice = (
                "raise max_iter, or tol"
                if found.iterations >= self.max_iter
                else "no step lowers the cost any more: use X of float64, or raise tol"
            )
            warn_user(
                f"the optimum was not reached in {found.iterations} iterations: the largest element of the gradient is "
                f"{np.abs(found.gradient).max():.2g}, tol={self.tol:g}, and the cost may be {found.gap:.2g} above its "
                f"minimum; {advice}",
                ConvergenceWarning,
            )
        self._set_parameters(*data.raw(found.parameters), data.dtype)
        self.n_iter_ = np.array([found.iterations])
        self.objective_, self.gradient_norm_ = found.cost, float(np.abs(found.gradient).max())
        self.optimality_gap_, self.n_passes_, self.converged_ = found.gap, found.passes, found.converged

    def _generator(self) -> np.random.Generator:
        return generator_from(0 if self.random_state is None else self.random_state)

    def _max_iter(self) -> int:
        return check.check_count(self.max_iter, "max_iter", 0)

    def _solver(self, X: Any, n_classes: int | None, with_l1: bool, with_l2: bool) -> str:
        if self.solver in MISSING_SOLVERS:
            raise ValueError(f'solver="{self.solver}" is not one of ours: use "auto", which ends at the same optimum')
        solver = check.check_choice(self.solver, "solver", SOLVERS)
        if solver == "auto":
            return choose_solver(X, n_classes, with_l1, with_l2)
        if with_l1 and solver != "proximal":
            raise ValueError(f'solver="{solver}" is for l1_ratio=0; use "proximal" or "auto" with an L1 penalty')
        if check.is_sparse(X) and solver == "newton-cholesky":
            raise ValueError(f'solver="{solver}" needs dense X, whose Hessian it takes; use "lbfgs" or "auto"')
        return solver

    def _report(self, iteration: int, cost: float, steps: StepTasks, attributes: Attributes) -> bool:
        """Print, and call the callbacks, all of them; return whether one asks to stop."""
        if self.verbose:
            print(f"iteration {iteration}: {cost:.9f}")
        asked = [bool(callback({"iteration": iteration, "cost": cost})) for callback in check_callbacks(self.callbacks)]
        asked.append(steps.end(iteration, attributes))
        if not any(asked):
            steps.begin(attributes)
        return any(asked)
