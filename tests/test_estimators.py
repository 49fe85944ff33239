"""The estimator: scikit-learn's own judges, its optimum, input of all kinds, and what it leaves alone."""

from __future__ import annotations

import os
import pickle
import signal
import threading
import warnings

import numpy as np
import pytest
from conftest import JIT_OFF, compiled, make_data, run_python, their_logistic_regression
from joblib import parallel_config
from matplotlib.figure import Figure
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_breast_cancer, load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import estimator_checks_generator

from jitlogit import LogisticRegression as OptimumLogisticRegression
from jitlogit import MiniBatchLogisticRegression, plots

# Weights of rows in mini-batches aren't repetitions; scikit-learn declares the same of SGDClassifier.
_MINI_BATCHES = {
    "check_sample_weight_equivalence_on_dense_data": "batches of repeated rows are others",
    "check_sample_weight_equivalence_on_sparse_data": "batches of repeated rows are others",
}


def check_name(check):
    return getattr(check, "func", check).__name__


@compiled
@pytest.mark.parametrize("batch_size", ["auto", None])
def test_scikit_learns_checks(batch_size):
    model = MiniBatchLogisticRegression(batch_size=batch_size)
    before = np.random.get_state()  # noqa: NPY002
    ran = 0
    for one, check in estimator_checks_generator(model):
        if batch_size == "auto" and check_name(check) in _MINI_BATCHES:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                check(one)
            except Exception as error:
                if type(error).__name__ == "SkipTest":
                    continue
                raise AssertionError(f"{check_name(check)}: {error}") from error
        ran += 1
    np.random.set_state(before)  # noqa: NPY002  # the checks' own draws
    assert ran >= 40


def data(name):
    if name == "breast cancer":
        return load_breast_cancer(return_X_y=True)
    if name == "wine":
        X, y = load_wine(return_X_y=True)
        return X, y == 1
    rng = np.random.default_rng(5)
    X = rng.standard_normal((20_000, 20)) @ (np.eye(20) + rng.standard_normal((20, 20)) / 5)
    y = rng.random(20_000) < 1 / (1 + np.exp(2 - X[:, :5].sum(axis=1)))
    if name == "scales":
        X = X * np.logspace(-3, 3, 20)
    if name == "sorted":
        X, y = X[np.argsort(y)], np.sort(y)
    return X.astype(np.float32), y


@compiled
@pytest.mark.parametrize("name", ["breast cancer", "wine", "scales", "sorted", "rare"])
def test_defaults_reach_the_optimum_on_raw_data(name):
    X, y = data(name)
    Z = StandardScaler().fit_transform(X.astype(np.float64))
    optimum = LogisticRegression(C=1 / (1e-4 * len(y)), solver="newton-cholesky", tol=1e-8).fit(Z, y)
    model = MiniBatchLogisticRegression(random_state=0).fit(X, y)
    least = log_loss(y, optimum.predict_proba(Z))
    assert log_loss(y, model.predict_proba(X)) <= 1.02 * least + 0.01
    assert model.score(X, y) >= optimum.score(Z, y) - 0.01


@pytest.mark.parametrize("penalty", [{"alpha": 0.05}, {"alpha": 0.05, "l1_ratio": 1.0}])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("standardize", [True, False])
def test_full_batches_reach_the_optimum_of_the_penalised_cost(penalty, fit_intercept, standardize):
    X, y = make_data(120, 4)
    y = y[0]
    X = X * [1.0, 2.0, 0.5, 1.0] + (3.0 if fit_intercept and standardize else 0.0)
    epochs = 300 if JIT_OFF else 10_000
    model = MiniBatchLogisticRegression(
        batch_size=None, max_iter=epochs, fit_intercept=fit_intercept, standardize=standardize, **penalty
    ).fit(X, y)
    scale = X.std(axis=0) if standardize else np.ones(4)
    Z = (X - (X.mean(axis=0) if fit_intercept and standardize else 0)) / scale
    optimum = their_logistic_regression(
        penalty.get("l1_ratio", 0.0),
        C=1 / (0.05 * 120),
        solver="saga",
        tol=1e-10,
        max_iter=50_000,
        fit_intercept=fit_intercept,
        random_state=np.random.RandomState(0),
    ).fit(Z, y)
    tolerance = 0.05 if JIT_OFF else 1e-4
    np.testing.assert_allclose(model.coef_[0] * scale, optimum.coef_[0], atol=tolerance)
    np.testing.assert_allclose(model.decision_function(X), optimum.decision_function(Z), atol=10 * tolerance)
    if not fit_intercept:
        assert model.intercept_[0] == 0


def test_labels_of_any_kind():
    X, Y = make_data(100, 3)
    expected = MiniBatchLogisticRegression(max_iter=5, random_state=0).fit(X, Y[0])
    for y in (Y[0] == 1, np.where(Y[0] == 1, "yes", "no"), np.where(Y[0] == 1, "yes", "no").astype(object), Y[0] * 2.0):
        model = MiniBatchLogisticRegression(max_iter=5, random_state=0).fit(X, y)
        assert np.array_equal(model.coef_, expected.coef_)
        assert set(model.predict(X)) <= set(y)
        assert np.array_equal(model.classes_, np.unique(y))


@pytest.mark.parametrize("dtype", [np.float32, np.uint8, np.int8, np.float16, bool])
@pytest.mark.parametrize("order", ["C", "F"])
def test_compact_data_are_trained_on_as_they_are(dtype, order, tmp_path):
    rng = np.random.default_rng(0)
    X = np.asarray(rng.integers(0, 2 if dtype is bool else 100, (400, 5)), dtype, order=order)
    y = X[:, 0].astype(float) + rng.standard_normal(400) > X[:, 0].astype(float).mean()
    expected = MiniBatchLogisticRegression(random_state=0, max_iter=20).fit(X.astype(np.float32), y)
    kept = X.copy()
    np.save(tmp_path / "X.npy", X)
    for each in (X, np.load(tmp_path / "X.npy", mmap_mode="r")):
        model = MiniBatchLogisticRegression(random_state=0, max_iter=20).fit(each, y)
        np.testing.assert_allclose(model.coef_, expected.coef_, rtol=1e-3)
        np.testing.assert_allclose(
            model.decision_function(each), expected.decision_function(each), rtol=1e-2, atol=0.01
        )
    assert np.array_equal(X, kept)


def test_probabilities_agree_with_scores():
    X, Y = make_data(200, 3)
    model = MiniBatchLogisticRegression(random_state=0, max_iter=20).fit(X, Y[0])
    scores = model.decision_function(X)
    np.testing.assert_allclose(scores, X @ model.coef_[0] + model.intercept_[0], rtol=1e-10)
    probabilities = model.predict_proba(X)
    np.testing.assert_allclose(probabilities[:, 1], 1 / (1 + np.exp(-scores)), rtol=1e-12)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-12)
    np.testing.assert_allclose(np.exp(model.predict_log_proba(X)), probabilities, rtol=1e-12)
    assert np.array_equal(model.predict(X), (scores > 0).astype(int))
    far = model.predict_log_proba(X * 1e6)
    assert np.isfinite(far).all()
    assert far.min() < -1000


def test_same_seed_same_bits_and_others_differ():
    X, Y = make_data(300, 3)
    fits = [MiniBatchLogisticRegression(random_state=seed, max_iter=3).fit(X, Y[0]).coef_ for seed in (0, 0, 1)]
    assert np.array_equal(fits[0], fits[1])
    assert not np.array_equal(fits[0], fits[2])


def test_history_callbacks_and_stopping(capsys):
    X, Y = make_data(300, 3)
    seen = []

    def stop_after_four(state):
        seen.append(state["epoch"])
        return len(seen) == 4

    model = MiniBatchLogisticRegression(callbacks=stop_after_four, random_state=0, verbose=1, max_iter=50)
    model.fit(X, Y[0], eval_set=(X[:50], Y[0, :50]))
    assert seen == [0, 1, 2, 3]
    assert model.n_iter_ == 4
    assert set(model.history_) == {
        "loss",
        "undone",
        "val_loss",
        "val_accuracy",
        "learning_rate",
        "gradient_norm",
        "seconds",
        "rows_per_second",
    }
    assert {len(values) for values in model.history_.values()} == {4}
    assert model.history_["val_accuracy"][-1] == model.score(X[:50], Y[0, :50])
    assert model.history_["val_loss"][-1] == pytest.approx(log_loss(Y[0, :50], model.predict_proba(X[:50])), rel=1e-6)
    assert model.history_["learning_rate"][0] == pytest.approx(model.learning_rate_)
    shown = [f"{model.history_[name][3]:.4g}" for name in ("loss", "val_loss", "val_accuracy")]
    assert capsys.readouterr().out.splitlines()[3] == "epoch 4/50 loss {} val_loss {} val_acc {}".format(*shown)
    lasting = MiniBatchLogisticRegression(max_iter=400, tol=1e-3, n_iter_no_change=3, random_state=0).fit(X, Y[0])
    assert 3 < lasting.n_iter_ < 400
    held = MiniBatchLogisticRegression(max_iter=400, early_stopping=True, tol=None, random_state=0).fit(X, Y[0])
    assert held.n_iter_ < 400
    assert len(held.history_["val_loss"]) == held.n_iter_


def test_gradient_norm_is_that_of_the_penalised_cost():
    X, Y = make_data(300, 3)
    model = MiniBatchLogisticRegression(batch_size=None, max_iter=1, alpha=0.1, standardize=False).fit(X, Y[0])
    residual = 0.5 - Y[0]
    gradient = np.append(X.T @ residual, residual.sum()) / 300
    assert model.history_["gradient_norm"][0] == pytest.approx(np.linalg.norm(gradient))
    assert model.history_["loss"][0] == pytest.approx(np.log(2))


def test_warm_start_goes_on():
    X, Y = make_data(300, 3)
    options = {"batch_size": None, "schedule": "constant", "optimizer": "sgd", "random_state": 0}
    whole = MiniBatchLogisticRegression(max_iter=20, **options).fit(X, Y[0])
    part = MiniBatchLogisticRegression(max_iter=10, warm_start=True, **options).fit(X, Y[0]).fit(X, Y[0])
    np.testing.assert_allclose(part.coef_, whole.coef_, rtol=1e-10)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize(
    "model",
    [MiniBatchLogisticRegression(batch_size=None, max_iter=20), OptimumLogisticRegression(tol=1e-9)],
    ids=["MiniBatch", "optimum"],
)
def test_balanced_classes_count_their_rows_weights(model, classes):
    X, Y = make_data(60, 3)
    y = Y[0] * (1 + (X[:, 0] > 0) * (classes == 3))
    weights = np.random.default_rng(0).integers(0, 4, 60)
    model = clone(model).set_params(class_weight="balanced")
    repeated = clone(model).fit(np.repeat(X, weights, axis=0), np.repeat(y, weights))
    np.testing.assert_allclose(model.fit(X, y, weights).coef_, repeated.coef_, atol=1e-5)


def test_partial_fit_learns_from_parts():
    part = 50 if JIT_OFF else 500
    X, Y = make_data(8 * part, 5)
    y = np.where(Y[0] == 1, "b", "a")
    X = X * [1, 10, 100, 1, 1] + 5
    with pytest.raises(ValueError, match="classes must be passed"):
        MiniBatchLogisticRegression().partial_fit(X[:10], y[:10])
    scores = []
    for seed in range(4):
        model = MiniBatchLogisticRegression(random_state=seed, class_weight="balanced")
        for start in range(0, 8 * part, part):
            model.partial_fit(X[start : start + part], y[start : start + part], classes=["a", "b"])
        scores.append(model.score(X, y))
    assert model.n_iter_ == 8
    assert len(model.history_["loss"]) == 8
    whole = MiniBatchLogisticRegression(random_state=0, class_weight="balanced", max_iter=20).fit(X, y)
    assert np.mean(scores) >= whole.score(X, y) - (0.1 if JIT_OFF else 0.04)  # after one epoch
    with pytest.raises(ValueError, match="is not the same as in the first call"):
        model.partial_fit(X, y, classes=["a", "c"])
    with pytest.raises(ValueError, match="labels that aren't among"):
        model.partial_fit(X, np.where(Y[0] == 1, "z", "a"))


@pytest.mark.parametrize(
    ("parameters", "error", "words"),
    [
        ({"batch_size": 0}, ValueError, "batch_size must be an integer"),
        ({"learning_rate": -1}, ValueError, "learning_rate must be positive"),
        ({"learning_rate": "fast"}, TypeError, "learning_rate must be a number"),
        ({"schedule": "optimal"}, ValueError, "schedule must be one of"),
        ({"optimizer": "lbfgs"}, ValueError, "optimizer must be one of"),
        ({"alpha": -1}, ValueError, "alpha must not be negative"),
        ({"l1_ratio": 2}, ValueError, "l1_ratio must lie between"),
        ({"max_iter": 0}, ValueError, "max_iter must be an integer"),
        ({"tol": -1}, ValueError, "tol must not be negative"),
        ({"n_threads": 10_000}, ValueError, "n_threads=10000 is more than"),
        ({"class_weight": "even"}, ValueError, "class_weight"),
        ({"standardize": "yes"}, TypeError, "standardize must be True or False"),
        ({"learning_rate": 1e300, "standardize": False}, ValueError, 'is too large.*pass learning_rate="auto"'),
    ],
)
def test_a_failed_fit_leaves_the_model_as_it_was(parameters, error, words):
    X, Y = make_data(100, 3)
    model = MiniBatchLogisticRegression(random_state=0, max_iter=3).fit(X, Y[0])
    before = pickle.dumps(vars(model))
    model.set_params(**parameters)
    changed = vars(model).copy()
    with pytest.raises(error, match=words):
        model.fit(X + 1, Y[0])
    assert vars(model) == changed
    model.set_params(
        **{name: getattr(pickle.loads(pickle.dumps(MiniBatchLogisticRegression())), name) for name in parameters}
    )
    model.set_params(random_state=0, max_iter=3).fit(X, Y[0])
    assert pickle.loads(before)["coef_"].tolist() == model.coef_.tolist()


@pytest.mark.parametrize("standardize", [True, False])
def test_overflowing_data_raise(standardize):
    X, Y = make_data(100, 3)
    with pytest.raises(ValueError, match="X holds values so large"):
        MiniBatchLogisticRegression(standardize=standardize).fit(X * 1e300, Y[0])
    with pytest.raises(ValueError, match="has one class only: 7"):
        MiniBatchLogisticRegression().fit(X, np.full(100, 7))


@compiled
def test_ctrl_c_leaves_a_fitted_model():
    X, Y = make_data(20_000, 20)
    model = MiniBatchLogisticRegression(max_iter=20_000, tol=None, random_state=0)
    usual = signal.signal(signal.SIGINT, signal.default_int_handler)  # shells let background jobs ignore it
    try:
        timer = threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT))
        timer.start()
        with pytest.warns(ConvergenceWarning, match="training was interrupted after"):
            model.fit(X, Y[0])
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, usual)
    assert 0 < model.n_iter_ < 20_000
    stopped = clone(model).set_params(callbacks=lambda state: state["epoch"] == model.n_iter_ - 1).fit(X, Y[0])
    assert np.array_equal(model.coef_, stopped.coef_)


def test_it_is_a_citizen_of_scikit_learn():
    X, Y = make_data(200, 4)
    y = Y[0]
    model = MiniBatchLogisticRegression(random_state=0, max_iter=5)
    assert clone(model).get_params() == model.get_params()
    fitted = clone(model).fit(X, y)
    assert np.array_equal(pickle.loads(pickle.dumps(fitted)).predict_proba(X), fitted.predict_proba(X))
    piped, Z = make_pipeline(StandardScaler(), model).fit(X, y), StandardScaler().fit_transform(X)
    assert np.array_equal(piped.predict_proba(X), clone(model).fit(Z, y).predict_proba(Z))
    scores = []
    for backend, jobs in (("loky", 1), ("loky", 2), ("threading", 2)):
        with parallel_config(backend=backend, n_jobs=jobs):
            search = GridSearchCV(model, {"alpha": [1e-4, 10.0]}, cv=3).fit(X, y)
        assert search.best_params_ == {"alpha": 1e-4}
        scores.append(search.cv_results_["mean_test_score"])
    assert np.array_equal(scores, [scores[0]] * 3)
    calibrated = CalibratedClassifierCV(model, cv=3).fit(X, y)
    assert calibrated.predict_proba(X).shape == (200, 2)


def test_without_scikit_learn_the_error_names_the_extra():
    code = """
import sys
sys.modules["sklearn"] = None
import jitlogit
for name in ("MiniBatchLogisticRegression", "LogisticRegression", "LogisticRegressionCV"):
    assert name in dir(jitlogit)
    try:
        getattr(jitlogit, name)
    except ImportError as error:
        print(error)
"""
    assert run_python(code).count("pip install 'jitlogit[sklearn]'") == 3


def test_history_is_drawn():
    X, Y = make_data(100, 3)
    model = MiniBatchLogisticRegression(max_iter=4, random_state=0).fit(X, Y[0], eval_set=(X, Y[0]))
    ax = plots.plot_history(model.history_, Figure().subplots())
    assert [line.get_label() for line in ax.lines] == ["training, mean over the epoch", "validation, at its end"]
    assert ax.lines[0].get_ydata().tolist() == model.history_["loss"]
    assert ax.figure.axes[1].lines[0].get_ydata().tolist() == model.history_["learning_rate"]
