"""The penalty's strength by cross-validation."""

from __future__ import annotations

import copy
import functools
import inspect
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import get_scorer, make_scorer
from sklearn.model_selection import check_cv
from sklearn.utils.metadata_routing import (
    MetadataRouter,
    MethodMapping,
    _raise_for_params,
    _routing_enabled,
    process_routing,
)
from sklearn.utils.validation import _check_method_params

from ..data import validation as check
from ..data.prediction import losses_of, scores_of
from ..data.validation import Array
from ..optimum.solve import Optimum
from .base import restored_on_error, warn_user
from .callbacks import StepTasks, Task, with_callbacks
from .hints import with_hints
from .logistic import LogisticRegression, _Data
from .weights import without


def _with_classes(scorer: Any, classes: Array) -> Any:
    """The scorer, told the classes, which held-out rows may lack; of two, the second is the positive one.

    scikit-learn's class does the same. A scorer that isn't made by `make_scorer` is returned as it is.
    """
    if not hasattr(scorer, "_score_func"):
        return scorer
    known, given = inspect.signature(scorer._score_func).parameters, scorer._kwargs
    told: dict[str, Any] = {"labels": classes} if "labels" in known else {}
    if "pos_label" in known and classes.size == 2 and given.get("average", "binary") == "binary":
        told["pos_label"] = classes[-1]
    if not told.keys() - given.keys():
        return scorer
    sign, response = scorer._sign, scorer._response_method
    return make_scorer(scorer._score_func, greater_is_better=sign > 0, response_method=response, **told | given)


class LogisticRegressionCV(LogisticRegression):
    """`LogisticRegression` with the `C` that does best on held-out rows.

    Held-out rows of a fold get weight 0, so that all folds use the same X, without a copy. Each fit begins at the
    optimum for the `C` before.

    Parameters
    ----------
    Cs : int or array_like
        Values of `C`, or how many to take from 1e-4 to 1e4, equally spaced on a logarithmic scale.
    cv : None, int, splitter or iterable
        As in scikit-learn's `check_cv`; None for five folds, stratified.
    scoring : None, str or callable
        A scorer of scikit-learn or its name; costs a copy of the held-out rows. It gets `sample_weight` alone, or with
        scikit-learn's metadata routing what it requests. None for the negative mean loss, in nats. Its weights are
        `sample_weight` times the factors of `class_weight`, as in the fits.
    l1_ratio, tol, fit_intercept, class_weight, random_state, solver, max_iter, standardize, n_threads
    callbacks, verbose
        As in `LogisticRegression`.

    Attributes
    ----------
    C_ : float
        The value with the best mean score.
    Cs_ : (n_Cs,), ascending
    scores_ : (n_folds, n_Cs)
    n_passes_ : float
        Sum over all fits.
    coef_, intercept_ and the others
        As in `LogisticRegression`, for the fit to all rows with `C_`.

    Notes
    -----
    What differs from scikit-learn's class of that name:

    | what | scikit-learn | here |
    |---|---|---|
    | `C_` | array, the same for each class; a number from 1.10 on | a number |
    | `Cs_` | in the order given | ascending |
    | `scores_` | dict of arrays, the same for each class; (n_folds, n_l1_ratios, n_Cs) from 1.10 on | (n_folds, n_Cs) |
    | `scoring=None` | accuracy; log loss from 1.11 on | negative mean loss, weighted as the fits are |
    | `score(X, y)` | by `scoring` | accuracy |
    | equal mean scores | the first in `Cs` | the smallest `C` |
    | `l1_ratios`, `l1_ratio_` | searched as `C` is | one `l1_ratio`: search with `GridSearchCV` |
    | `coefs_paths_` | coefficients of each fit | not kept |
    | `refit=False` | means over the folds | always fits to all rows |
    | `n_iter_` | of each fit | (1,), of the last fit |

    Examples
    --------
    >>> import numpy as np
    >>> from jitlogit import LogisticRegressionCV
    >>> X = np.random.default_rng(0).standard_normal((30, 2))
    >>> model = LogisticRegressionCV(Cs=[1.0, 1e-3], cv=3).fit(X, X[:, 0] > 0)
    >>> model.scores_.shape, model.Cs_.tolist()  # ascending
    ((3, 2), [0.001, 1.0])
    >>> model.C_
    1.0
    """

    @with_hints
    def __init__(
        self,
        *,
        Cs: Any = 10,
        cv: Any = None,
        scoring: Any = None,
        l1_ratio: float = 0.0,
        tol: float = 1e-4,
        fit_intercept: bool = True,
        class_weight: Any = None,
        random_state: Any = None,
        solver: str = "auto",
        max_iter: int = 1000,
        standardize: bool = False,
        n_threads: Any = None,
        callbacks: Any = None,
        verbose: Any = 0,
    ) -> None:
        super().__init__(
            l1_ratio=l1_ratio,
            tol=tol,
            fit_intercept=fit_intercept,
            class_weight=class_weight,
            random_state=random_state,
            solver=solver,
            max_iter=max_iter,
            standardize=standardize,
            n_threads=n_threads,
            callbacks=callbacks,
            verbose=verbose,
        )
        del self.C, self.warm_start
        self.Cs = Cs
        self.cv = cv
        self.scoring = scoring

    @restored_on_error
    @with_callbacks  # type: ignore[untyped-decorator]
    def fit(self, X: Any, y: Any, sample_weight: Any = None, **params: Any) -> LogisticRegressionCV:
        """Choose `C_`, and fit to all rows with it.

        Parameters
        ----------
        X, y, sample_weight
            As in `LogisticRegression.fit`.
        **params
            With scikit-learn's metadata routing, `cv` and `scoring` get what they request of these (`groups`, say) and
            `sample_weight`.

        Returns
        -------
        The estimator itself.

        Raises
        ------
        ValueError, TypeError
            As `LogisticRegression.fit`; also if a fold has no finite score. As in scikit-learn, ValueError for `params`
            without metadata routing, TypeError if nothing requests one of them, or if `sample_weight` is given and
            `scoring` doesn't take it.

        Warns
        -----
        ConvergenceWarning
            If the model isn't `converged_`, or fits to folds fell short of their optimum.

        Examples
        --------
        >>> import numpy as np
        >>> from jitlogit import LogisticRegressionCV
        >>> X = np.random.default_rng(0).standard_normal((30, 2))
        >>> model = LogisticRegressionCV(Cs=3, cv=2, scoring="accuracy").fit(X, X[:, 0] > 0)
        >>> model.Cs_.tolist()
        [0.0001, 1.0, 10000.0]
        >>> bool(model.scores_.max() <= 1)  # accuracies
        True
        """
        _raise_for_params(params, self, "fit")
        data = self._read(X, y, sample_weight)
        self.Cs_, max_iter = self._values(), self._max_iter()
        for_splits, for_scores = self._routed(data, params)
        folds = list(check_cv(self.cv, data.y, classifier=True).split(data.X, data.y, **for_splits))
        task = Task.of_fit(self, data.X, data.y, data.given, len(folds) + 1)
        self.scores_, passes = self._scores(data, folds, for_scores, task)
        self.C_ = float(self.Cs_[int(np.argmax(self.scores_.mean(axis=0)))])
        refit = task.begin("refit", max_iter)
        found = self._find(data, self.C_, data.weights, None, StepTasks(refit, "iteration", max_iter))
        self._set_fitted(data, found)
        self.n_passes_ += passes
        for each in (refit, task):
            each.end(lambda: {"coef_": self.coef_, "intercept_": self.intercept_})
        return self

    def get_metadata_routing(self) -> MetadataRouter:
        """What `fit` takes, and which of it goes to `cv` and to `scoring`; `score` passes nothing on."""
        router = MetadataRouter(owner=type(self).__name__).add_self_request(self)
        router.add(splitter=self.cv, method_mapping=MethodMapping().add(caller="fit", callee="split"))
        to_scorer = MethodMapping().add(caller="fit", callee="score")
        return router.add(scorer=get_scorer(self.scoring), method_mapping=to_scorer)

    def _routed(self, data: _Data, params: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Metadata for the splitter and for the scores; the mean loss always has the weights of the fits."""
        weights = data.weights if self.scoring is None else data.given
        for_splits: dict[str, Any] = {}
        for_scores = {} if weights is None else {"sample_weight": weights}
        if _routing_enabled():
            routed = process_routing(self, "fit", sample_weight=data.given, **params)
            for_splits = routed.splitter.split
            if self.scoring is not None:
                for_scores = routed.scorer.score
        return for_splits, for_scores

    def _scores(
        self, data: _Data, folds: list[tuple[Array, Array]], metadata: dict[str, Any], task: Task
    ) -> tuple[Array, float]:
        """Return the scores (n_folds, n_Cs), and the reads of X by the fits to folds."""
        m, max_iter = data.X.shape[0], self._max_iter()
        scores = np.empty((len(folds), self.Cs_.size))
        passes, short = 0.0, 0
        for fold, (trained, held) in enumerate(folds):
            others = np.setdiff1d(np.arange(m), trained)
            weights = without(data.weights, others, m)
            of_fold = task.begin("fold", self.Cs_.size, functools.partial(without, data.given, others, m))
            initial = None
            for j, C in enumerate(self.Cs_):
                search = of_fold.begin(f"C={C:g}", max_iter)
                found = self._find(data, C, weights, initial, StepTasks(search, "iteration", max_iter))
                search.end(functools.partial(data.attributes, found.parameters))
                initial, passes = found.parameters, passes + found.passes
                short += not (found.converged or found.stopped)
                scores[fold, j] = self._score(data, found, held, metadata)
                if not np.isfinite(scores[fold, j]):
                    raise ValueError(
                        f"the score of fold {fold} for C={C:g} is {scores[fold, j]}: every fold needs held-out "
                        "rows of weight, and `scoring` a finite score for them"
                    )
            of_fold.end()
        if short:
            warn_user(
                f"{short} of {scores.size} fits to folds did not reach their optimum: raise max_iter, or tol",
                ConvergenceWarning,
            )
        return scores, passes

    def _values(self) -> Array:
        if np.ndim(self.Cs) == 0:
            return np.logspace(-4, 4, check.check_count(self.Cs, "Cs"))
        values = np.sort(np.asarray(self.Cs, np.float64).reshape(-1))
        if not (values.size and np.isfinite(values).all() and values[0] > 0):
            raise ValueError(f"Cs must be a number of values, or values that are positive and finite; got {self.Cs!r}")
        return values

    def _score(self, data: _Data, found: Optimum, held: Array, metadata: dict[str, Any]) -> float:
        """The score of the held-out rows, with their part of the metadata."""
        coef, intercept = data.raw(found.parameters)
        options = _check_method_params(data.X, metadata, held)
        weights = options.get("sample_weight")
        if weights is not None and not np.any(weights):
            return np.nan
        if self.scoring is None:
            losses = losses_of(scores_of(data.X, coef, intercept, self._threads()), data.labels)[held]
            return -float(losses.mean() if weights is None else weights @ losses / weights.sum())
        fitted = copy.copy(self)
        fitted.__dict__.pop("feature_names_in_", None)  # held-out rows are an array, which has no names
        fitted._set_parameters(coef, intercept, data.dtype)
        scorer = _with_classes(get_scorer(self.scoring), self.classes_)
        try:
            return float(scorer(fitted, data.X[held], data.y[held], **options))
        except TypeError as error:
            if "unexpected keyword argument 'sample_weight'" not in str(error):
                raise
            raise TypeError(
                f"scoring must take sample_weight, because fit was given one; got {self.scoring!r}, which doesn't"
            ) from error
