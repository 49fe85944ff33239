"""Logistic regression by mini-batch gradient descent, as a scikit-learn estimator."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..data import validation as check
from ..data.moments import RunningMoments
from ..data.scaling import raw_parameters, scaled_parameters
from ..data.validation import Array
from ..kernels.steps.update import OPTIMIZERS
from ..training.defaults import auto_batch_size, auto_epochs, auto_learning_rate, auto_optimizer, is_auto
from ..training.loop import TrainingResult, train
from ..training.problem import Problem, Steps, check_steps
from .base import LinearClassifier, restored_on_error
from .callbacks import CallbackSupportMixin, StepTasks, Task, check_callbacks, with_callbacks
from .endings import check_ending, warn_of_interrupt
from .history import Record, validation_and_weights
from .interrupts import stopped_by_interrupt
from .weights import (
    check_classes,
    class_factors,
    classes_of,
    classes_of_stream,
    generator_from,
    of_mean_one,
    places_of,
    row_weights,
)


class MiniBatchLogisticRegression(CallbackSupportMixin, LinearClassifier):  # type: ignore[misc]
    """Logistic regression by mini-batch gradient descent that needs no tuning; softmax for more than two classes.

    Minimises the weighted mean of the losses plus  alpha [(1 - l1_ratio) / 2 ||w||^2 + l1_ratio ||w||_1],  the penalty
    of `sklearn.linear_model.SGDClassifier`; the intercept is not penalised.

    Parameters
    ----------
    batch_size : "auto", int or None
        Samples of a batch, clipped to n_samples. None is batch gradient descent. "auto" is 64, but at least 32 and at
        most a 64th of the samples; from 65,536 samples on, a 1024th of them, at most 256.
    learning_rate : "auto" or float
        Factor of the gradient of the mean loss over a batch, in the first updates. "auto" is 0.1 for adagrad and 0.2 /
        sqrt(n_features) for adam. For the others it is 1 / (curvature of the mean loss + noise of a batch), both
        bounded from some of the samples. It is halved whenever training diverges.
    schedule : "constant", "invscaling", "cosine", "step" or "adaptive"
        How the learning rate changes, see `jitlogit.train_logistic_regression`.
    optimizer : "auto", "sgd", "momentum", "nesterov", "adagrad" or "adam"
        "auto" is "adam" in `fit` on dense X of 256 features or more with `standardize` and learning rate "auto", else
        "nesterov".
    average : bool
        Whether to return the mean of the parameters after each update, those of the first epoch left out.
    alpha, l1_ratio : float
        Strength of the penalty, and the L1 norm's part of it, between 0 and 1.
    max_iter : "auto" or int
        Most epochs, not counting undone ones. "auto" is as many as visit a million samples, at most 1000; from 20,000
        samples on, 5 to 10. It is 1000 for batch gradient descent.
    tol : "auto", None or float
        "auto" ends training early where the loss is below 0.2 % of log n_classes, or the cost with its penalty has
        stopped moving by more than its noise. The rest of a schedule of falling rates then takes three times the
        epochs until then, at least 100. The parameters are those of the best epoch. A number stops when the loss hasn't
        fallen by it below its best for `n_iter_no_change` epochs. That is the validation loss with `early_stopping` or
        `eval_set`, else the training loss. None never ends early.
    n_iter_no_change : int
    early_stopping : bool
        Whether to measure a validation loss on a stratified part of the samples, which get weight 0 in training. `tol`
        None or "auto" then counts as 0, and the parameters are those of the best epoch. Not for `partial_fit`.
    validation_fraction : float
        The part of the samples that `early_stopping` holds out.
    fit_intercept : bool
    class_weight : None, "balanced" or dict
        Factor of the weights of a class's samples; "balanced" is inversely proportional to the classes' frequencies.
    standardize : bool
        Whether to train on features of mean 0 (with an intercept) and variance 1, without a copy of X. The penalty then
        acts on the coefficients of these features, as in glmnet; `coef_` belongs to X as it is.
    shuffle : bool or "blocks"
        Order of the samples in each epoch, see `jitlogit.train_logistic_regression`.
    pack : bool
        Whether X may be copied for the time of a fit, see `jitlogit.train_logistic_regression`.
    warm_start : bool
        Whether `fit` begins with the coefficients of the fit before.
    random_state : None, int or numpy.random.RandomState
        Source of the orders, of the samples for learning rate "auto" and of the held-out samples.
    n_threads : None or int
        Most threads to use, None for as many as Numba is set to. Results have the same bits for any number.
    callbacks : None, or callable or list of callables
        Called after each epoch with a dict of the new values of `history_`; a true result stops training. From
        scikit-learn 1.9 on, ``set_callbacks`` takes its own callbacks, which see each epoch of `fit` as a task.
    verbose : int
        Whether to show progress: a live bar on a terminal with tqdm, else a line for each epoch.

    Attributes
    ----------
    coef_ : (1, n_features), (n_classes, n_features) for more than two classes
        float32 for X of float32, else float64, as in scikit-learn. Training goes on from float64 values. `partial_fit`
        keeps the dtype of the first call.
    intercept_ : (1,) or (n_classes,), of the dtype of `coef_`
    classes_ : (n_classes,)
    n_iter_ : int
        Epochs computed, with those that were undone since training diverged; all calls of `partial_fit` together.
    n_features_in_, feature_names_in_
    loss_ : float
        The mean loss of the epoch whose parameters were kept, as in `history_`.
    learning_rate_ : float
        The rate that training began with.
    batch_size_ : int
    optimizer_ : str
    history_ : dict of lists, one value an epoch
        "loss" (mean of the epoch's losses, each before its own update, without the penalty), "undone" (epochs computed
        before this one and undone, since training diverged), "learning_rate", "gradient_norm" (norm of the mean of the
        epoch's gradients; for sparse X mostly weighted by their learning rates), "seconds", "rows_per_second"; with a
        validation set "val_loss" and "val_accuracy".

    Examples
    --------
    >>> from jitlogit import MiniBatchLogisticRegression
    >>> X, y = [[0.0, 5000.0], [1.0, 1000.0], [2.0, 4000.0], [3.0, 2000.0]] * 16, [0, 0, 1, 1] * 16  # not scaled
    >>> model = MiniBatchLogisticRegression(max_iter=5, random_state=0).fit(X, y)
    >>> model.score(X, y) > 0.9, model.batch_size_, model.optimizer_
    (True, 32, 'nesterov')
    """

    def __init__(
        self,
        *,
        batch_size: Any = "auto",
        learning_rate: Any = "auto",
        schedule: str = "cosine",
        optimizer: str = "auto",
        average: bool = False,
        alpha: float = 1e-4,
        l1_ratio: float = 0.0,
        max_iter: Any = "auto",
        tol: Any = "auto",
        n_iter_no_change: int = 5,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        fit_intercept: bool = True,
        class_weight: Any = None,
        standardize: bool = True,
        shuffle: Any = True,
        pack: bool = True,
        warm_start: bool = False,
        random_state: Any = None,
        n_threads: Any = None,
        callbacks: Any = None,
        verbose: Any = 0,
    ) -> None:
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.schedule = schedule
        self.optimizer = optimizer
        self.average = average
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.max_iter = max_iter
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.fit_intercept = fit_intercept
        self.class_weight = class_weight
        self.standardize = standardize
        self.shuffle = shuffle
        self.pack = pack
        self.warm_start = warm_start
        self.random_state = random_state
        self.n_threads = n_threads
        self.callbacks = callbacks
        self.verbose = verbose

    history_: dict[str, list[float]]
    n_iter_: int
    _seen: RunningMoments
    _calls: tuple[float, ...] = ()  # see `check_ending`

    @restored_on_error
    @with_callbacks  # type: ignore[untyped-decorator]
    def fit(self, X: Any, y: Any, sample_weight: Any = None, *, eval_set: Any = None) -> MiniBatchLogisticRegression:
        """Train.

        Parameters
        ----------
        X : array_like, data frame or SciPy sparse array (n_samples, n_features)
            In C or F order, float32, float64, uint8, int8, bool and float16 are used without a copy, memory maps too,
            and so is CSR of float32 and float64. Other sparse formats are converted to CSR once. For sparse X,
            an update costs time by stored values with the optimizers "sgd", "momentum" and "nesterov"; with other
            optimizers, an L1 penalty or `average`, it also takes time for every feature.
        y : array_like (n_samples,)
            Labels of two classes or more.
        sample_weight : None or array_like (n_samples,)
            Not negative.
        eval_set : None or pair of array_like
            Features and labels of the validation set.

        Returns
        -------
        The estimator itself.

        Raises
        ------
        ValueError, TypeError
            If a parameter or the data can't be used; the message says what to do. Also if training diverges at a
            learning rate that was given as a number. The estimator is then unchanged.

        Warns
        -----
        ConvergenceWarning
            After Ctrl-C, which ends training with the current epoch; the estimator is then fitted. Also if training, at
            a learning rate that was given as a number, ends with a higher loss than it began with and than guessing.

        Examples
        --------
        >>> from jitlogit import MiniBatchLogisticRegression
        >>> X, y = [[0.0], [1.0], [2.0], [3.0]] * 16, ["a", "a", "b", "b"] * 16
        >>> model = MiniBatchLogisticRegression(max_iter=3).fit(X[:48], y[:48], eval_set=(X[48:], y[48:]))
        >>> len(model.history_["val_loss"])  # one for each epoch
        3
        """
        self._check_parameters()
        before = getattr(self, "classes_", None)
        X, y, dtype = self._checked(X, y, reset=True)
        self.classes_ = classes_of(y)
        check_classes(self.classes_)
        labels = places_of(y, self.classes_, "y")
        weights = row_weights(sample_weight, X)
        rng = generator_from(self.random_state)
        validation, weights = validation_and_weights(self, eval_set, X, labels, weights, rng)
        seen = self._see(RunningMoments(class_weights=np.zeros(self.classes_.size)), X, labels, weights)
        goes_on = self._begins_warm(self.warm_start, before, X.shape[1])
        # Adam's rate is for standardised features.
        usual = auto_optimizer(X) if is_auto(self.learning_rate) and self.standardize else "nesterov"
        problem = self._problem(X, labels, weights, seen, goes_on, self._steps(self.schedule, usual))
        n_epochs = self._n_epochs(X.shape[0])
        task = Task.of_fit(self, X, y, weights, n_epochs)
        steps = StepTasks(task, "epoch", n_epochs)
        record = Record(self, X.shape[0], validation, problem.scaling, {}, steps, n_epochs, dtype)
        result = self._train(problem, n_epochs, rng, record, dtype)
        self._seen = seen
        task.end(lambda: {"coef_": self.coef_, "intercept_": self.intercept_})
        self.n_iter_ = result.n_epochs + result.n_undone
        return self

    @restored_on_error
    def partial_fit(
        self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None
    ) -> MiniBatchLogisticRegression:
        """Train one epoch on more samples.

        Features are standardised, and classes balanced, by all samples seen so far. The learning rate falls as
        "invscaling" over the calls, unless `schedule` is "constant". Optimizers start anew in each call.

        Parameters
        ----------
        X, y, sample_weight
            As in `fit`.
        classes : array_like (n_classes,)
            Labels of all classes; needed in the first call.

        Returns
        -------
        The estimator itself.

        Raises
        ------
        ValueError, TypeError
            As `fit`, and if `classes` are missing in the first call, or others in a later one, or y has other labels.
            Also if `early_stopping` is set, as in scikit-learn: one epoch has nothing to stop.

        Warns
        -----
        ConvergenceWarning
            As `fit`; also if ten calls together cost more than guessing, beyond their noise.

        Examples
        --------
        >>> from jitlogit import MiniBatchLogisticRegression
        >>> model = MiniBatchLogisticRegression(random_state=0)
        >>> for X, y in [([[0.0], [3.0]], ["a", "b"]), ([[1.0], [2.0]], ["a", "b"])]:
        ...     model = model.partial_fit(X, y, classes=["a", "b", "c"])  # one that comes later
        >>> model.n_iter_, model.predict([[0.0], [3.0]])
        (2, array(['a', 'b'], dtype='<U1'))
        """
        self._check_parameters()
        if self.early_stopping:
            raise ValueError("partial_fit holds no samples out for early_stopping=True: set early_stopping=False")
        first = not hasattr(self, "coef_")
        X, y, dtype = self._checked(X, y, reset=first)
        dtype = dtype if first else self.coef_.dtype
        self.classes_ = classes_of_stream(classes, None if first else self.classes_)
        labels = places_of(y, self.classes_, "y")
        weights = row_weights(sample_weight, X)
        fresh = RunningMoments(class_weights=np.zeros(self.classes_.size))
        seen = self._see(fresh if first else self._seen, X, labels, weights)
        calls = 0 if first else len(self.history_["loss"])
        # Never adam: its state would begin anew in each call.
        problem = self._problem(X, labels, weights, seen, not first, self._steps("constant", "nesterov"))
        decay = 1.0 if self.schedule == "constant" else 1 / math.sqrt(1 + calls)
        history = {} if first else self.history_
        record = Record(self, X.shape[0], None, problem.scaling, history, None, 1, dtype)
        result = self._train(problem, 1, generator_from(self.random_state, calls), record, dtype, decay, True)
        self._seen = seen
        self.n_iter_ = (0 if first else self.n_iter_) + 1 + result.n_undone
        return self

    def _problem(
        self, X: Array, labels: Array, weights: Array | None, seen: RunningMoments, goes_on: bool, steps: Steps
    ) -> Problem:
        """What is trained; `goes_on` from the coefficients that are there."""
        m, n_classes = X.shape[0], self.classes_.size
        factors = class_factors(self.classes_, self.class_weight, seen.class_weights)
        weights = of_mean_one(weights, labels, m, factors, seen, check.computed_dtype(X))
        offset, scale = seen.mean_and_scale()
        if not self.fit_intercept:  # nothing could undo an offset
            offset = np.zeros(offset.size)
        batch_size = self._batch_size(m)
        shuffle = check.check_shuffle(self.shuffle)
        return Problem(
            X,
            labels,
            batch_size,
            shuffle if batch_size < m else False,
            weights,
            offset,
            scale,
            steps,
            check.check_bool(self.fit_intercept, "fit_intercept"),
            scaled_parameters(*self._parameters(), offset, scale) if goes_on else None,
            n_classes if n_classes > 2 else None,
            check.check_bool(self.pack, "pack"),
        )

    def _train(
        self,
        problem: Problem,
        n_epochs: int,
        rng: np.random.Generator,
        record: Record,
        dtype: np.dtype[Any],
        decay: float = 1.0,
        is_stream: bool = False,
    ) -> TrainingResult:
        """Train, and set the fitted attributes, parameters of `dtype`; the rate is multiplied by `decay`."""
        auto = is_auto(self.learning_rate)
        rate = auto_learning_rate(problem, rng) if auto else check.check_positive(self.learning_rate, "learning_rate")
        with stopped_by_interrupt() as interrupted:
            result = train(
                problem,
                rate * decay,
                n_epochs,
                rng,
                self._threads(),
                retry=auto,
                until_done=self.tol == "auto",
                on_epoch=lambda epoch: record.add(epoch, bool(interrupted)),
            )
        record.close()
        self._calls = () if auto else check_ending(problem, rate, result, self._calls if is_stream else None)
        if interrupted:
            warn_of_interrupt(result.n_epochs, n_epochs)
        self._set_parameters(*raw_parameters(result.weights, result.bias, *problem.scaling), dtype)
        self.learning_rate_ = rate
        self.batch_size_ = problem.batch_size
        self.optimizer_ = problem.steps.optimizer
        self.history_ = record.history
        self.loss_ = record.history["loss"][result.best_epoch - result.n_epochs]
        return result

    def _see(self, seen: RunningMoments, X: Array, labels: Array, weights: Array | None) -> RunningMoments:
        standardize = check.check_bool(self.standardize, "standardize")
        return seen.after(X, labels, weights, standardize, self._threads())

    def _steps(self, schedule: str, usual: str) -> Steps:
        optimizer = check.check_choice(self.optimizer, "optimizer", ("auto", *OPTIMIZERS))
        return check_steps(
            usual if optimizer == "auto" else optimizer, schedule, self.alpha, self.l1_ratio, self.average
        )

    def _batch_size(self, m: int) -> int:
        if is_auto(self.batch_size):
            return auto_batch_size(m)
        return m if self.batch_size is None else min(m, check.check_count(self.batch_size, "batch_size"))

    def _n_epochs(self, m: int) -> int:
        if not is_auto(self.max_iter):
            return check.check_count(self.max_iter, "max_iter")
        return auto_epochs(m, self.batch_size is None)

    def _check_parameters(self) -> None:
        """Raise an error for a bad parameter, even if this call has no use for it."""
        self._steps(self.schedule, "nesterov")
        self._n_epochs(1)
        check_callbacks(self.callbacks)
        check.check_bool(self.early_stopping, "early_stopping")
        check.check_bool(self.warm_start, "warm_start")
        check.check_fraction(self.validation_fraction, "validation_fraction")
