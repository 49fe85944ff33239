"""The base class of the estimators: checks of X and y, and predictions."""

from __future__ import annotations

import functools
import sys
import warnings
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model._base import SparseCoefMixin
from sklearn.utils import check_array, check_consistent_length, column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from ..data import validation as check
from ..data.prediction import log_probabilities_of, probabilities_of, scores_of
from ..data.tables import columns_error, columns_told, count_missing, has_one_dtype, missing_error, refuse_what_misleads
from ..data.validation import Array
from . import export, saving
from .weights import classes_of

# Labels from which on scikit-learn's check, which sorts them, is given one of each kind instead.
_MANY_LABELS = 1000
_INSIDE = (__name__.partition(".")[0] + ".", "sklearn.callback.")  # modules whose lines no warning is shown at

Method = TypeVar("Method", bound=Callable[..., Any])


def restored_on_error(method: Method) -> Method:
    """Decorate `fit(X, ...)` so that attributes are as before if it raises; errors name the columns of X."""

    @functools.wraps(method)
    def call(self: Any, X: Any, *arguments: Any, **options: Any) -> Any:
        before = dict(vars(self))
        try:
            with columns_told(X):
                return method(self, X, *arguments, **options)
        except BaseException:
            vars(self).clear()
            vars(self).update(before)
            raise

    return call  # type: ignore[return-value]


def warn_user(message: str, category: type[Warning]) -> None:
    """Warn at the line that called a method of ours; decorators of scikit-learn may lie between the two."""
    frame, level = sys._getframe(1), 3
    while frame.f_back is not None and frame.f_back.f_globals.get("__name__", "").startswith(_INSIDE):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)


def _check_kind(y: Array) -> None:
    """Raise ValueError where scikit-learn doesn't take y for class labels."""
    if y.dtype != object and y.size >= _MANY_LABELS:
        kinds = classes_of(y)
        if 2 * kinds.size < y.size:
            if y.dtype.kind in "biu":
                return  # whole numbers always pass
            y = np.tile(kinds, 2)  # twice, because scikit-learn warns where most labels are unique
    check_classification_targets(y)


def _check_options(X: Any) -> dict[str, Any]:
    """Options with which `validate_data` leaves X in the dtype that kernels read."""
    numeric = not (isinstance(X, np.ndarray) and check.is_bfloat16(X))  # scikit-learn takes bfloat16 for bytes
    return {"accept_sparse": "csr", "dtype": "numeric" if numeric else None, "ensure_all_finite": False}


def parameter_dtype(X: Any) -> np.dtype[Any]:
    """The dtype of `coef_` and `intercept_` that scikit-learn's classes return for X: float32 for float32 alone."""
    return np.dtype(np.float32 if X.dtype == np.float32 else np.float64)


def _dense(coef: Any) -> Array:
    return np.asarray(coef.toarray() if check.is_sparse(coef) else coef)


class LinearClassifier(SparseCoefMixin, ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A classifier that predicts the class of the largest score; of two classes, by the sign of one score.

    `sparsify` and `densify` convert `coef_`; fits return it dense.
    """

    n_threads: Any
    coef_: Array
    intercept_: Array
    classes_: Array
    _unrounded: tuple[Array, Array] | None  # float64 values of `coef_` and `intercept_`, if these are rounded

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def decision_function(self, X: Any) -> Array:
        """Scores X coef_^T + intercept_.

        Parameters
        ----------
        X : array_like, data frame or SciPy sparse array (n_samples, n_features)
            Used as in `fit`, without a copy.

        Returns
        -------
        (n_samples,) for two classes, positive for the second one; (n_samples, n_classes) for more
            float64 for float64 X, else float32.

        Raises
        ------
        NotFittedError
        ValueError, TypeError
            If X isn't finite, or its features aren't those of `fit`.

        Examples
        --------
        >>> from jitlogit import LogisticRegression
        >>> model = LogisticRegression().fit([[0.0], [1.0], [2.0], [3.0]], ["a", "a", "b", "b"])
        >>> model.decision_function([[0.0], [3.0]]) > 0
        array([False,  True])
        """
        check_is_fitted(self)
        with columns_told(X):
            rows, _ = self._rows(X, reset=False)
            return scores_of(rows, _dense(self.coef_), self.intercept_, self._threads())

    def predict(self, X: Any) -> Array:
        """The most probable class of each row.

        Parameters
        ----------
        X : array_like, data frame or SciPy sparse array (n_samples, n_features)
            Used as in `fit`, without a copy.

        Returns
        -------
        (n_samples,) of the dtype of `classes_`

        Raises
        ------
        NotFittedError, ValueError, TypeError
            As `decision_function`.

        Examples
        --------
        >>> from jitlogit import LogisticRegression
        >>> model = LogisticRegression().fit([[0.0], [1.0], [2.0], [3.0]], ["a", "a", "b", "b"])
        >>> model.predict([[0.5], [2.5]])
        array(['a', 'b'], dtype='<U1')
        """
        scores = self.decision_function(X)
        places = (scores > 0).astype(np.intp) if scores.ndim == 1 else scores.argmax(axis=1)
        return np.asarray(self.classes_[places])

    def predict_proba(self, X: Any) -> Array:
        """Probabilities of the classes, in the order of `classes_`.

        They are computed in float64. They are float32 if the scores and `coef_` are, as with scikit-learn: that is, for
        a model of float32 X, unless the new X is float64. Otherwise they are float64.

        Parameters
        ----------
        X : array_like, data frame or SciPy sparse array (n_samples, n_features)
            Used as in `fit`, without a copy.

        Returns
        -------
        (n_samples, n_classes)
            Rows sum to 1.

        Raises
        ------
        NotFittedError, ValueError, TypeError
            As `decision_function`.

        Examples
        --------
        >>> from jitlogit import LogisticRegression
        >>> model = LogisticRegression().fit([[0.0], [1.0], [2.0], [3.0]], ["a", "a", "b", "b"])
        >>> model.predict_proba([[1.5]]).round(3)  # half way between the classes
        array([[0.5, 0.5]])
        """
        scores, dtype = self._wide_scores(X)
        if scores.ndim == 1:
            both = [probabilities_of(sign * scores[:, np.newaxis]) for sign in (-1, 1)]
            return np.hstack(both, dtype=dtype, casting="same_kind")
        return probabilities_of(scores).astype(dtype, copy=False)

    def predict_log_proba(self, X: Any) -> Array:
        """Logarithms of `predict_proba`, in nats, of its shape and dtype.

        Being computed from the scores, they are finite where a probability rounds to 0.

        Parameters
        ----------
        X : array_like, data frame or SciPy sparse array (n_samples, n_features)
            Used as in `fit`, without a copy.

        Returns
        -------
        (n_samples, n_classes)

        Raises
        ------
        NotFittedError, ValueError, TypeError
            As `decision_function`.

        Examples
        --------
        >>> from jitlogit import LogisticRegression
        >>> model = LogisticRegression().fit([[0.0], [1.0], [2.0], [3.0]], ["a", "a", "b", "b"])
        >>> far = [[-2000.0]]
        >>> model.predict_proba(far)
        array([[1., 0.]])
        >>> bool(model.predict_log_proba(far)[0, 1] < -1000)
        True
        """
        scores, dtype = self._wide_scores(X)
        return log_probabilities_of(scores).astype(dtype, copy=False)

    def save(self, path: Any) -> None:
        """Write the fitted model to one file, which `jitlogit.load` reads; no pickle is involved.

        Parameters and fitted attributes are kept, the state of `warm_start` and `partial_fit` too. The file holds
        arrays that `numpy.load` shows, and a checksum. It appears whole or not at all.

        Parameters
        ----------
        path : str or os.PathLike
            Taken as it is: no ".npz" is added. A file that is there is replaced.

        Raises
        ------
        NotFittedError
        ValueError
            If fitted attributes were changed so that they aren't finite, or don't agree.
        TypeError
            If this is a class derived from ours, which `jitlogit.load` couldn't find.
        OSError
            If the file can't be written.

        Warns
        -----
        UserWarning
            If a parameter is an object that only pickle could keep: callbacks, a scorer, a splitter or a RandomState.
            It is left out, and the loaded model has its default.

        Examples
        --------
        >>> import tempfile
        >>> import jitlogit
        >>> model = jitlogit.LogisticRegression().fit([[0.0], [1.0], [2.0], [3.0]], ["a", "a", "b", "b"])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     model.save(f"{folder}/model.npz")
        ...     loaded = jitlogit.load(f"{folder}/model.npz")
        >>> loaded.predict([[0.5]])
        array(['a'], dtype='<U1')
        """
        saving.save(self, path)

    def to_sklearn(self) -> Any:
        """A fitted `sklearn.linear_model.LogisticRegression` that predicts as this model does, without jitlogit.

        Probabilities agree to 1e-12 for float64 X, and to the rounding of scores in float32 for other X. `C`,
        `fit_intercept` and `class_weight` carry over, where this model has them; a new `fit` is scikit-learn's own.

        Returns
        -------
        sklearn.linear_model.LogisticRegression

        Raises
        ------
        NotFittedError

        Examples
        --------
        >>> from jitlogit import LogisticRegression
        >>> model = LogisticRegression().fit([[0.0], [1.0], [2.0], [3.0]], ["a", "a", "b", "b"])
        >>> theirs = model.to_sklearn()
        >>> type(theirs).__module__.startswith("sklearn."), bool((theirs.coef_ == model.coef_).all())
        (True, True)
        """
        return export.to_sklearn(self)

    def _wide_scores(self, X: Any) -> tuple[Array, np.dtype[Any]]:
        """Scores in float64, and the dtype of the probabilities."""
        scores = self.decision_function(X)
        return scores.astype(np.float64), np.result_type(scores.dtype, self.coef_.dtype)

    def _set_parameters(self, coef: Array, intercept: Array, dtype: np.dtype[Any]) -> None:
        """Set `coef_` (K, n) and `intercept_` (K,), rounded from float64 to `dtype`."""
        self.coef_, self.intercept_ = coef.astype(dtype), intercept.astype(dtype)
        self._unrounded = None if dtype == np.float64 else (coef, intercept)

    def _parameters(self) -> tuple[Array, Array]:
        """`coef_` and `intercept_` in float64, for training to go on from.

        They are as `_set_parameters` got them, unless they were changed since then. Rounded in each call of
        `partial_fit`, a large intercept would miss updates that are smaller than its rounding.
        """
        coef, intercept = _dense(self.coef_), np.asarray(self.intercept_)
        wide: tuple[Array, Array] | None = getattr(self, "_unrounded", None)
        if wide is not None and all(
            np.array_equal(given.astype(rounded.dtype), rounded)
            for given, rounded in zip(wide, (coef, intercept), strict=True)
        ):
            return wide
        return coef.astype(np.float64), intercept.astype(np.float64)

    def _checked(self, X: Any, y: Any, reset: bool) -> tuple[Array, Array, np.dtype[Any]]:
        """Rows, labels and the dtype of the parameters, of `fit`, or with `reset` False of later calls."""
        if y is None:
            raise ValueError(f"{type(self).__name__} requires y to be passed, but the target y is None")
        rows, dtype = self._rows(X, reset)
        try:
            labels = check_array(y, accept_sparse="csr", ensure_2d=False, dtype=None, input_name="y", estimator=self)
            labels = column_or_1d(labels, warn=True)
            check_consistent_length(rows, labels)
            _check_kind(labels)
        except (TypeError, ValueError) as error:
            missing = 0 if check.is_sparse(y) else count_missing(y)
            raise (missing_error(missing, np.size(y), "y") if missing else error) from None
        return rows, labels, dtype

    def _rows(self, X: Any, reset: bool) -> tuple[Any, np.dtype[Any]]:
        """Rows for kernels, and the dtype of parameters that suit them.

        The names and the number of their features are noted (`reset`), or compared with those.
        """
        try:
            refuse_what_misleads(X, "X")
            if has_one_dtype(X):  # scikit-learn's look at each of many columns takes longer than an epoch
                validate_data(self, X, reset=reset, skip_check_array=True)
                validated = check_array(X.to_numpy(), input_name="X", estimator=self, **_check_options(X))
            else:
                validated = validate_data(self, X, reset=reset, **_check_options(X))
            return check.check_rows(validated), parameter_dtype(validated)
        except (TypeError, ValueError):
            told = columns_error(X)
            if told is None:
                raise
            validate_data(self, X, reset=reset, skip_check_array=True)  # an error in the features' names comes first
            raise told from None

    def _begins_warm(self, warm_start: Any, classes: Array | None, n_features: int) -> bool:
        """Whether to begin with the coefficients of the fit before, whose classes were `classes`.

        Raises ValueError if their shape or classes don't suit the new data.
        """
        if not (check.check_bool(warm_start, "warm_start") and hasattr(self, "coef_")):
            return False
        count = 1 if self.classes_.size == 2 else self.classes_.size
        if np.shape(self.coef_) != (count, n_features):
            raise ValueError(
                f"warm_start begins with coef_ of shape {np.shape(self.coef_)}, but these data need "
                f"{(count, n_features)}: set warm_start=False to begin anew"
            )
        if not (np.isfinite(_dense(self.coef_)).all() and np.isfinite(self.intercept_).all()):
            raise ValueError("warm_start begins with coef_ and intercept_ that aren't finite: set warm_start=False")
        if classes is None or not np.array_equal(classes, self.classes_):
            raise ValueError(
                f"warm_start begins with coef_ of the classes {classes}, but these data have {self.classes_}: set "
                "warm_start=False to begin anew"
            )
        return True

    def _threads(self) -> int | None:
        return check.check_n_threads(self.n_threads)
