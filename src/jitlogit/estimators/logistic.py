"""scikit-learn's LogisticRegression on the kernels: parameters in, the optimum out, with a certificate."""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from ..data import validation as check
from ..data.validation import Array
from ..kernels.steps.labels import class_weights
from ..optimum.cost import Cost
from ..optimum.samples import Sample, first_sample, moments_of
from ..optimum.solve import SOLVERS, Optimum, choose_solver, find_optimum
from ..training.defaults import RunningMoments
from .base import LinearClassifier, or_leave_as_it_was
from .callbacks import check_callbacks
from .history import raw_parameters, scaled_parameters
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
    """What is fitted, and how its features are scaled inside."""

    X: Any
    y: Array
    labels: Array
    weights: Array | None  # (m,) of rows and their classes
    offset: Array
    scale: Array
    intercept: bool
    sample: Sample | None  # that a search begins with
    read_scaling: Callable[[], tuple[Array, Array]] | None  # of all rows, where offset and scale are the sample's


# What to do instead of parameters that only scikit-learn's class has, and of its solvers.
_THEIR_PARAMETERS = {
    "penalty": 'use l1_ratio, 0 for "l2" and 1 for "l1", and C=numpy.inf for none',
    "dual": "leave it out: the primal problem is solved, which has the same optimum",
    "intercept_scaling": "leave it out: the intercept isn't penalised",
    "multi_class": "leave it out: more than two classes are told apart by softmax; for one against the rest, use "
    "sklearn.multiclass.OneVsRestClassifier",
    "n_jobs": "use n_threads",
}
_THEIR_SOLVERS = ("liblinear", "sag", "saga")

# A search that takes longer reads all rows for their scales, and goes on with these if one is off by such a part.
_ITERATIONS_BEFORE_SCALES, _OFF = 20, 0.5

Initialiser = TypeVar("Initialiser", bound=Callable[..., None])


def with_hints(init: Initialiser) -> Initialiser:
    """Parameters that only scikit-learn's class has are errors that say what to do."""

    @functools.wraps(init)
    def call(self: Any, *arguments: Any, **options: Any) -> None:
        for name in options:
            if name in _THEIR_PARAMETERS:
                raise TypeError(f"{type(self).__name__} has no parameter {name!r}: {_THEIR_PARAMETERS[name]}")
        init(self, *arguments, **options)

    return call  # type: ignore[return-value]


def _raw(data: _Data, found: Optimum) -> tuple[Array, Array]:
    """`coef_` and `intercept_`."""
    return raw_parameters(found.parameters[:, :-1], found.parameters[:, -1], data.offset, data.scale)


def _scaling(seen: RunningMoments, intercept: bool) -> tuple[Array, Array]:
    """Offset and scale of the features; without an intercept, they aren't moved."""
    offset, scale = seen.mean_and_scale()
    return (offset, scale) if intercept else (np.zeros(offset.size), np.sqrt(scale**2 + seen.mean**2))


class LogisticRegression(LinearClassifier):
    """Logistic regression at its optimum: scikit-learn's class of that name, with a certificate.

    Minimises  C sum_i s_i loss_i + (1 - l1_ratio) ||w||^2 / 2 + l1_ratio ||w||_1  over weights and intercepts, which
    aren't penalised; of two classes by one score, of more by softmax.

    Parameters
    ----------
    C : float
        Inverse strength of the penalty; ``numpy.inf`` for none.
    l1_ratio : float
        The L1 norm's part of the penalty, between 0 and 1.
    tol : float
        Largest element of the mean loss's gradient, of features scaled to variance 1, at which to stop. The variances
        are those of a sample where X is dense and halves of the sample agree; a search that takes more than twenty
        iterations makes sure.
    fit_intercept : bool
    class_weight : None, "balanced" or dict
        Factor of the weights of a class's rows; "balanced" is inversely proportional to the classes' frequencies.
    random_state : None, int or numpy.random.RandomState
        Source of the samples of rows that a search begins with, and whose Hessian is taken; None for the same ones in
        each fit, so that it ends with the same bits.
    solver : str
        "newton-cholesky": Newton's method, for more than two classes L-BFGS with their mean Hessian; "newton-sample":
        L-BFGS with the Hessian of a sample of rows, at once where that takes no longer than a read of X, or where the
        search on a sample was slow, else when the search is slow, or takes more than twelve iterations; "newton-cg":
        Newton's method by conjugate gradients; "lbfgs": L-BFGS, of sparse data with many more features than rows as
        sums over the rows; "minibatch": the same after three epochs of mini-batches; "gd": gradient descent; these with
        a line search, and only without an L1 norm. Where there are many rows, all of these but "gd" and "minibatch"
        begin with a sample of them, and L-BFGS keeps what its steps show of the Hessian. "proximal", with an L1 norm:
        L-BFGS-B on the weights' positive and negative parts, then accelerated proximal gradient descent. All on scaled
        features. "auto" chooses by the penalty, shape and sparsity. Each reaches the same optimum.
    max_iter : int
    warm_start : bool
        Whether `fit` begins with the coefficients that are there.
    standardize : bool
        Whether the penalty acts on the coefficients of features of variance 1; `coef_` belongs to X as it is.
    n_threads : None or int
        Most threads to use, None for as many as Numba is set to. Results have the same bits for any number.
    callbacks : None, or callable or list of callables
        Called after each iteration with a dict of "iteration" and "cost"; a true result stops.
    verbose : int
        Whether to print the cost after each iteration.

    Attributes
    ----------
    coef_ : (1, n_features) of float64, (n_classes, n_features) for more than two classes
    intercept_ : (1,) or (n_classes,) of float64
    classes_ : (n_classes,)
    n_iter_ : (1,) of int
    n_features_in_, feature_names_in_
    objective_ : float
        Mean loss and penalty: the sum above over C sum_i s_i.
    gradient_norm_ : float
        Largest element of its gradient, of scaled features.
    optimality_gap_ : float
        Bound on how far `objective_` is above its minimum; `objective_` itself without a penalty, since losses aren't
        negative.
    n_passes_ : float
        How often X was read, parts of it counted as such; not counted is a read for the features' scales, which a
        sample may save.
    converged_ : bool
        Whether `gradient_norm_` is at most `tol`, or `optimality_gap_` some rounding errors of `objective_`, 1e-5 of
        it for float32 X, 1e-12 for float64.
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

    @or_leave_as_it_was
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> LogisticRegression:
        """Find the optimum.

        Parameters
        ----------
        X : array_like, data frame or SciPy sparse array (n_samples, n_features)
            As in `MiniBatchLogisticRegression`.
        y : array_like (n_samples,)
            Labels of two kinds or more.
        sample_weight : None or array_like (n_samples,)
            Not negative.

        Returns
        -------
        The estimator itself.

        Raises
        ------
        ValueError, TypeError
            If a parameter or the data can't be used; the message says what to do.

        Warns
        -----
        ConvergenceWarning
            If the model isn't `converged_`, unless a callback stopped it.
        """
        before = getattr(self, "classes_", None)
        data = self._read(X, y, sample_weight)
        initial = None
        if self._warm(self.warm_start, before, data.X.shape[1]):
            intercept = self.intercept_ if data.intercept else np.zeros(len(self.coef_))
            initial = scaled_parameters(self.coef_, intercept, data.offset, data.scale)
        found = self._find(data, self.C, data.weights, initial)
        self._keep(data, found)
        return self

    def _read(self, X: Any, y: Any, sample_weight: Any) -> _Data:
        """Check the data; sets what they alone determine."""
        X, y = self._checked(X, y, reset=True)
        self.classes_ = classes_of(y)
        check_classes(self.classes_)
        labels = places_of(y, self.classes_, "y")
        weights = row_weights(sample_weight, X)
        intercept = check.check_bool(self.fit_intercept, "fit_intercept")
        sample = first_sample(X, self._generator(), self._threads())
        nothing = RunningMoments(class_weights=np.zeros(self.classes_.size))
        seen = None
        if sample is not None and not check.check_bool(self.standardize, "standardize"):
            seen = moments_of(sample, nothing, labels, weights, self._threads())

        def read_scaling() -> tuple[Array, Array]:
            return _scaling(nothing.after(X, labels, weights, True, self._threads()), intercept)

        offset, scale = read_scaling() if seen is None else _scaling(seen, intercept)
        factors = class_factors(self.classes_, self.class_weight, class_weights(labels, weights, self.classes_.size))
        total = with_class_weights(weights, labels, factors)
        return _Data(X, y, labels, total, offset, scale, intercept, sample, read_scaling if seen else None)

    def _find(self, data: _Data, C: Any, weights: Array | None, initial: Array | None) -> Optimum:
        """The optimum for weights (m,) of the rows.

        A search that takes long reads all rows for their scales, and goes on with these where the sample's are off.
        """
        exact: list[_Data] = []

        def on_step(iteration: int, cost: float, parameters: Array) -> bool:
            if self._told(iteration, cost, parameters):
                return True
            if data.read_scaling and iteration == _ITERATIONS_BEFORE_SCALES:
                offset, scale = data.read_scaling()
                if not (np.abs(scale - data.scale) < _OFF * data.scale).all():
                    exact.append(data._replace(offset=offset, scale=scale, read_scaling=None))
            return bool(exact)

        found = self._search(data, C, weights, initial, on_step, 0)
        if not exact:
            return found
        (better,) = exact
        begun = scaled_parameters(*_raw(data, found), better.offset, better.scale)
        done = found.iterations
        again = self._search(better, C, weights, begun, lambda i, *others: self._told(i + done, *others), done)
        parameters = scaled_parameters(*_raw(better, again), data.offset, data.scale)
        return again._replace(
            parameters=parameters, iterations=done + again.iterations, passes=found.passes + again.passes
        )

    def _search(
        self,
        data: _Data,
        C: Any,
        weights: Array | None,
        initial: Array | None,
        on_step: Callable[[int, float, Array], bool],
        done: int,
    ) -> Optimum:
        """The optimum, after so many iterations that were done."""
        m, scale = data.X.shape[0], data.scale
        total = float(m if weights is None else weights.sum(dtype=np.float64))
        alpha = 0.0 if math.inf == C else 1 / (check.check_positive(C, "C") * total)
        if not math.isfinite(alpha):
            raise ValueError(f"C={C!r} is too small for these data: 1 / C overflows; use a larger C")
        part = check.check_fraction(self.l1_ratio, "l1_ratio")
        sizes = np.ones(scale.size) if check.check_bool(self.standardize, "standardize") else scale
        n_classes = None if self.classes_.size == 2 else self.classes_.size
        check_callbacks(self.callbacks)
        solver = self._solver(data.X, n_classes, alpha * part > 0)
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
            check.check_count(self.max_iter, "max_iter") - done,
            initial,
            data.sample,
            self._generator(),
            on_step,
        )

    def _keep(self, data: _Data, found: Optimum) -> None:
        """Set the fitted attributes."""
        if not (found.converged or found.stopped):
            advice = (
                "raise max_iter, or tol"
                if found.iterations >= self.max_iter
                else "no step lowers the cost any more: use X of float64, or raise tol"
            )
            warnings.warn(
                f"the optimum was not reached in {found.iterations} iterations: the largest element of the gradient is "
                f"{np.abs(found.gradient).max():.2g}, tol={self.tol:g}, and the cost may be {found.gap:.2g} above its "
                f"minimum; {advice}",
                ConvergenceWarning,
                stacklevel=4,
            )
        self.coef_, self.intercept_ = _raw(data, found)
        self.n_iter_ = np.array([found.iterations])
        self.objective_, self.gradient_norm_ = found.cost, float(np.abs(found.gradient).max())
        self.optimality_gap_, self.n_passes_, self.converged_ = found.gap, found.passes, found.converged

    def _generator(self) -> np.random.Generator:
        return generator_from(0 if self.random_state is None else self.random_state)

    def _solver(self, X: Any, n_classes: int | None, with_l1: bool) -> str:
        if self.solver in _THEIR_SOLVERS:
            raise ValueError(f'solver="{self.solver}" is not one of ours: use "auto", which ends at the same optimum')
        solver = check.check_choice(self.solver, "solver", SOLVERS)
        if solver == "auto":
            return choose_solver(X, n_classes, with_l1)
        if with_l1 and solver != "proximal":
            raise ValueError(f'solver="{solver}" is for l1_ratio=0; use "proximal" or "auto" with an L1 penalty')
        if check.is_sparse(X) and solver == "newton-cholesky":
            raise ValueError(f'solver="{solver}" needs dense X, whose Hessian it takes; use "lbfgs" or "auto"')
        return solver

    def _told(self, iteration: int, cost: float, parameters: Array) -> bool:
        if self.verbose:
            print(f"iteration {iteration}: {cost:.9f}")
        told = {"iteration": iteration, "cost": cost}
        asked = [bool(callback(dict(told))) for callback in check_callbacks(self.callbacks)]
        return any(asked)
