"""Habits of scikit-learn: dtypes of the results, sparse coefficients, callbacks, the version."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import sklearn
from conftest import make_classes, make_data, run_python
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression as Theirs
from sklearn.linear_model import LogisticRegressionCV as TheirsCV
from sklearn.model_selection import KFold
from sklearn.utils.fixes import parse_version

import jitlogit
from jitlogit import LogisticRegression, LogisticRegressionCV, MiniBatchLogisticRegression
from jitlogit.tools import cli

their_version = parse_version(sklearn.__version__)

MODELS = {
    "optimum": lambda: LogisticRegression(),
    "cv": lambda: LogisticRegressionCV(Cs=2, cv=2),
    "mini-batch": lambda: MiniBatchLogisticRegression(max_iter=3, random_state=0),
}


@pytest.mark.skipif(their_version < parse_version("1.9"), reason="scikit-learn's coefficients were float64 until 1.9")
@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)
@pytest.mark.parametrize("classes", [2, 3])
def test_results_have_scikit_learns_dtypes(make, classes):
    X, y = make_classes(60, 3, classes)
    X = np.round(np.abs(X) * 5)
    dtypes = ("float32", "float64", "float16", "uint8", "int16", "int64", "bool")
    for dtype in dtypes:
        model, theirs = make().fit(X.astype(dtype), y), Theirs().fit(X.astype(dtype), y)
        assert model.coef_.dtype == theirs.coef_.dtype
        assert model.intercept_.dtype == theirs.intercept_.dtype
        for other in dtypes:
            assert model.predict_proba(X.astype(other)).dtype == theirs.predict_proba(X.astype(other)).dtype
            assert model.predict_log_proba(X.astype(other)).dtype == theirs.predict_log_proba(X.astype(other)).dtype
    assert make().fit(sparse.csr_array(X.astype(np.float32)), y).coef_.dtype == np.float32


@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)
def test_float32_results_are_those_of_float64_but_for_their_rounding(make):
    X, Y = make_data(200, 3)
    X = X.astype(np.float32)
    model, wide = make().fit(X, Y[0]), make().fit(X.astype(np.float64), Y[0])
    np.testing.assert_allclose(model.coef_, wide.coef_, rtol=2e-4, atol=1e-5)
    scores = X.astype(np.float64) @ model.coef_[0].astype(np.float64) + model.intercept_[0]
    np.testing.assert_allclose(model.predict_proba(X)[:, 1], 1 / (1 + np.exp(-scores)), rtol=1e-6)
    far = model.predict_log_proba(X * 1e6)
    assert np.isfinite(far).all()
    assert far.min() < -1000


def test_training_goes_on_from_what_was_not_rounded():
    X, Y = make_data(200, 3)
    X = (X + 1000).astype(np.float32)  # the intercept is large, and its rounding too
    model = LogisticRegression(warm_start=True, tol=1e-5).fit(X, Y[0])
    assert model.fit(X, Y[0]).n_iter_[0] == 0
    parts, wide = (MiniBatchLogisticRegression(random_state=0, optimizer="sgd", learning_rate=1e-4) for _ in range(2))
    for start in range(0, 200, 2):
        rows = slice(start, start + 2)
        parts.partial_fit(X[rows], Y[0, rows], classes=[0, 1])
        wide.partial_fit(X[rows], Y[0, rows], classes=[0, 1])
        if wide._unrounded is not None:  # as if nothing were rounded, from the first call on
            wide.coef_, wide.intercept_ = wide._unrounded
    assert parts.coef_.dtype == np.float32
    assert np.array_equal(parts.coef_, wide.coef_.astype(np.float32))
    assert np.array_equal(parts.intercept_, wide.intercept_.astype(np.float32))
    parts.intercept_ = parts.intercept_ + 1  # what the user sets counts
    moved = parts.intercept_[0]
    assert parts.partial_fit(X[:2], Y[0, :2]).intercept_[0] == pytest.approx(moved, abs=0.1)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sparse_coefficients_serve_as_dense_ones_do(classes, dtype):
    X, y = make_classes(80, 4, classes)
    X = X.astype(dtype)
    for model in (LogisticRegression(l1_ratio=1.0, C=0.1, warm_start=True), MODELS["mini-batch"]()):
        expected = model.fit(X, y).predict_proba(X)
        dense = model.coef_
        assert sparse.issparse(model.sparsify().coef_)
        for form in (np.asarray, sparse.csr_array):
            np.testing.assert_allclose(model.predict_proba(form(X)), expected, rtol=1e-5)
        assert np.array_equal(model.predict(X), expected.argmax(axis=1))
        assert np.array_equal(model.densify().coef_, dense)
        model.sparsify().fit(X, y)
        assert isinstance(model.coef_, np.ndarray)
    model.sparsify().partial_fit(X, y)
    assert model.coef_.shape == dense.shape


class Recorder:
    def __init__(self, stop=None):
        self.ended, self.names, self.costs, self.cost_of, self.stop = 0, [], [], {}, stop

    def setup(self, estimator, context):
        self.names.append("setup")

    def teardown(self, estimator, context):
        self.names.append("teardown")

    def on_fit_task_begin(self, estimator, context, *, fitted_estimator):
        self.names.append(context.task_name)

    def on_fit_task_end(self, estimator, context, *, X, y, metadata, fitted_estimator):
        self.ended += 1
        if fitted_estimator is not None:
            losses = -fitted_estimator.predict_log_proba(X)[np.arange(len(y)), y]
            self.costs.append(np.average(losses, weights=(metadata or {}).get("sample_weight")))
            self.cost_of[context.task_name] = self.costs[-1]
        return context.task_name == self.stop


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_callbacks_see_iterations(dtype):
    pytest.importorskip("sklearn.callback")
    X, y = make_classes(80, 3, 2)
    X = X.astype(dtype)
    seen, recorder = [], Recorder()
    model = LogisticRegression(C=np.inf, callbacks=lambda state: seen.append(state["cost"]))
    model.set_callbacks(recorder).fit(X, y)
    steps = recorder.names[2:-1]
    assert recorder.names == ["setup", "fit", *["iteration"] * len(steps), "teardown"]
    assert len(steps) - model.n_iter_[0] in (0, 1)  # one more is begun, and finds that all is done
    assert recorder.ended == len(steps) + 1
    np.testing.assert_allclose(recorder.costs, [*seen, model.objective_], rtol=1e-5)
    assert LogisticRegression(tol=0.0).set_callbacks(Recorder("iteration")).fit(X, y).n_iter_[0] == 1
    failing = Recorder()
    with pytest.raises(ValueError, match="C must be positive"):
        LogisticRegression(C=-1).set_callbacks(failing).fit(X, y)
    assert failing.names[-1] == "teardown"


def test_callbacks_see_folds():
    pytest.importorskip("sklearn.callback")
    X, y = make_classes(80, 3, 2)
    recorder = Recorder()
    model = LogisticRegressionCV(Cs=[0.1, 1e6], cv=2, tol=1e-6).set_callbacks(recorder).fit(X, y)
    fold = ["fold", "C=0.1", "C=1e+06"]
    assert [name for name in recorder.names if name != "iteration"] == [
        "setup",
        "fit",
        *fold,
        *fold,
        "refit",
        "teardown",
    ]
    assert recorder.ended == len(recorder.names) - 2
    folds = [train for train, _ in KFold(2).split(X)]
    assert len(folds) == model.scores_.shape[0]
    # Held-out rows weigh nothing in what callbacks are given: the weak penalty's cost is that of the rows trained on.
    trained = LogisticRegressionCV(Cs=[1e6], cv=[(np.arange(40), np.arange(40, 80))], tol=1e-8)
    recorder = Recorder()
    trained.set_callbacks(recorder).fit(X, y)
    alone = LogisticRegression(C=1e6, tol=1e-8).fit(X[:40], y[:40])
    losses = -alone.predict_log_proba(X[:40])[np.arange(40), y[:40]]
    assert recorder.cost_of["C=1e+06"] == pytest.approx(losses.mean(), rel=1e-4)


@pytest.mark.parametrize("solver", ["auto", "newton-sample", "newton-cg", "lbfgs", "minibatch", "gd", "proximal"])
@pytest.mark.parametrize("shape", [(80, 3), (20, 120)])
def test_no_iterations_return_the_start(solver, shape):
    X, Y = make_data(*shape)
    with pytest.warns(ConvergenceWarning, match=r"not reached in 0 iterations.*raise max_iter") as caught:
        model = LogisticRegression(max_iter=0, solver=solver).fit(X, Y[0])
    assert caught[0].filename == __file__
    assert model.n_iter_[0] == 0
    if solver != "minibatch":  # which begins with epochs
        np.testing.assert_allclose(model.coef_, 0, atol=1e-12)
    known = LogisticRegression(tol=1e-9).fit(X, Y[0])
    again = LogisticRegression(max_iter=0, warm_start=True, solver=solver, tol=1e-6)
    again.coef_, again.intercept_, again.classes_ = known.coef_, known.intercept_, known.classes_
    again.fit(X, Y[0])
    assert again.objective_ == pytest.approx(known.objective_, rel=1e-9)
    assert again.optimality_gap_ < 1e-6


@pytest.mark.parametrize("scoring", ["f1", "neg_brier_score", "precision", "neg_log_loss"])
def test_scorers_know_the_classes(scoring):
    X, y = make_classes(60, 3, 2)
    y = np.array(["no", "yes"])[y]
    folds = [(np.arange(40), np.arange(40, 60)), (np.arange(20, 60), np.arange(20))]
    options = {"Cs": [0.1, 10.0], "cv": folds, "scoring": scoring}
    model = LogisticRegressionCV(tol=1e-9, **options).fit(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scores = []
        for label in ("no", "yes"):  # scikit-learn's named scorers take the number 1 for the positive class
            scores.append(TheirsCV(tol=1e-10, **options).fit(X, (y == label).astype(int)).scores_[1])
    np.testing.assert_allclose(model.scores_, np.reshape(scores[1], (2, 2)), rtol=1e-5)
    if scoring in ("f1", "precision"):
        assert np.abs(scores[0] - scores[1]).max() > 1e-3


def test_a_mean_over_the_classes_has_no_positive_one():
    X, y = make_classes(60, 3, 2)
    y = np.array(["no", "yes"])[y]
    scores = LogisticRegressionCV(Cs=[10.0], cv=2, scoring="f1_macro").fit(X, y).scores_  # no warning either
    of_each = [
        LogisticRegressionCV(Cs=[10.0], cv=2, scoring="f1").fit(X, y == label).scores_ for label in ("no", "yes")
    ]
    np.testing.assert_allclose(scores, np.mean(of_each, axis=0), rtol=1e-12)


def test_folds_may_lack_classes():
    X, y = make_classes(60, 3, 3)
    order = np.argsort(y, kind="stable")
    X, y = X[order], np.array(["a", "b", "c"])[y[order]]
    of_classes = ["neg_brier_score"] if their_version >= parse_version("1.7") else []  # of two alone, before
    for scoring in ("neg_log_loss", None, *of_classes):
        model = LogisticRegressionCV(Cs=[0.1, 10.0], cv=KFold(3), scoring=scoring).fit(X, y)
        assert np.isfinite(model.scores_).all()


def test_the_version_is_told(capsys):
    assert isinstance(jitlogit.__version__, str)
    with pytest.raises(SystemExit) as stopped:
        cli.main(["--version"])
    assert stopped.value.code == 0
    assert capsys.readouterr().out == f"jitlogit {jitlogit.__version__}\n"
    printed = run_python("import jitlogit; print(jitlogit.__version__)")
    assert printed.strip() == jitlogit.__version__
