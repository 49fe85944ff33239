"""Softmax: the reference against finite differences, the binary system and scikit-learn; kernels against the reference;
the estimator on several classes."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import JIT_OFF, any_members, assert_close, compiled, make_data
from scipy.special import softmax
from sklearn.datasets import load_digits, load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.preprocessing import StandardScaler

import jitlogit
from jitlogit import MiniBatchLogisticRegression, reference
from jitlogit.kernels.steps.update import OPTIMIZERS

M = 121 if JIT_OFF else 2501  # of 5 classes: no gradient is zero by symmetry, whose sign adagrad would follow
K = 5


def make_classes(m, n, k=K, dtype=np.float64, order="C"):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((m, n))
    y = (X @ rng.standard_normal((n, k)) + 2 * rng.standard_normal((m, k))).argmax(axis=1)
    return np.asarray(X, dtype, order=order), y


def test_softmax_is_that_of_scipy_and_stable():
    Z = np.random.default_rng(0).standard_normal((4, 50)) * 30
    np.testing.assert_allclose(reference.softmax(Z), softmax(Z, axis=0), rtol=1e-12)
    assert np.array_equal(reference.softmax([[1e300], [-1e300]]), [[1], [0]])


def test_a_step_is_along_the_finite_difference_of_the_cost():
    X, y = make_classes(40, 3)

    def cost(parameters):
        W, b = parameters[:9].reshape(3, 3), parameters[9:]
        Z = X @ W + b
        return np.mean(np.log(np.exp(Z).sum(axis=1)) - Z[np.arange(40), y])

    y %= 3
    first, second = (reference.train_softmax_regression(X, y, 0.1, k, n_classes=3) for k in (3, 4))
    at = np.append(first[0].ravel(), first[1])
    gradient = (at - np.append(second[0].ravel(), second[1])) / 0.1
    steps = np.eye(12) * 1e-6
    np.testing.assert_allclose(gradient, [(cost(at + h) - cost(at - h)) / 2e-6 for h in steps], atol=1e-8)
    assert cost(at) == pytest.approx(
        reference.train_softmax_regression(X, y, 0.1, 4, n_classes=3, record_every=3)[2][1]
    )


def test_two_classes_are_the_binary_system_with_half_of_the_rate():
    X, Y = make_data(100, 4)
    W, b, costs = reference.train_logistic_regression(X, Y, 0.2, 30, record_every=1)
    V, c, same_costs = reference.train_softmax_regression(X, Y[0], 0.1, 30, record_every=1)
    assert_close(V[:, 1:] - V[:, :1], W, 1e-12)
    assert_close(c[1] - c[0], b, 1e-12)
    assert_close(same_costs, costs, 1e-12)


def test_the_optimum_is_that_of_scikit_learn():
    X, y = make_classes(300, 4, 3)
    W, b, _ = reference.train_softmax_regression(X, y, 0.1, 3000, alpha=0.02, optimizer="nesterov")
    model = LogisticRegression(C=1 / (0.02 * 300), tol=1e-10, max_iter=1000).fit(X, y)
    assert_close(W, model.coef_.T, 1e-5)
    assert_close(b - b.mean(), model.intercept_ - model.intercept_.mean(), 1e-5)


OPTIONS = {
    "none": {},
    "penalties": {"alpha": 0.01, "l1_ratio": 0.5},
    "all": {
        "alpha": 0.01,
        "offset": 0.3,
        "scale": 2.0,
        "sample_weight": np.arange(M) % 3,
        "average": True,
        "schedule": "cosine",
    },
}


@pytest.mark.parametrize(
    ("dtype", "order", "tolerance"),
    [("float32", "C", 1e-4), ("float64", "C", 1e-10), ("float16", "C", 1e-4), ("float32", "F", 1e-4)],
)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("options", OPTIONS)
def test_trajectories(dtype, order, tolerance, optimizer, options):
    X, y = make_classes(M, 21, dtype=dtype, order=order)
    for batch_size, shuffle in ((None, False), (7, False), (64, True), (600, "blocks")):
        arguments = {"batch_size": batch_size and min(batch_size, M), "shuffle": shuffle, "random_state": 0}
        arguments |= {"record_every": 1, "optimizer": optimizer} | OPTIONS[options]
        W, b, costs = reference.train_softmax_regression(X, y, 0.02, 2, **arguments)
        fast_W, fast_b, fast_costs = jitlogit.train_softmax_regression(X, y, 0.02, 2, **arguments)
        assert_close(np.vstack([fast_W, fast_b]), np.vstack([W, b]), tolerance)
        assert_close(fast_costs, costs, tolerance)
        assert fast_W.dtype == W.dtype
    A = reference.forward_softmax(X, W, b, offset=0.1, scale=3.0)
    assert_close(jitlogit.forward_softmax(X, W, b, offset=0.1, scale=3.0), A, tolerance)


@pytest.mark.parametrize(("n", "k"), [(1, 2), (5, 3), (16, 17), (40, 100), (300, 4), (700, 9)])
def test_shapes(n, k):
    X, y = make_classes(90, n, k, np.float32)
    arguments = {"n_classes": k + 1, "batch_size": 32, "random_state": 0, "record_every": 1}
    W, b, costs = reference.train_softmax_regression(X, y, 0.01, 2, **arguments)
    fast_W, fast_b, fast_costs = jitlogit.train_softmax_regression(X, y, 0.01, 2, **arguments)
    assert_close(np.vstack([fast_W, fast_b]), np.vstack([W, b]), 1e-4)
    assert_close(fast_costs, costs, 1e-4)


def test_same_bits_for_any_number_of_threads(monkeypatch):
    any_members(monkeypatch)
    X, y = make_classes(M, 70, dtype=np.float32)
    arguments = {"batch_size": min(M, 1000), "random_state": 0, "optimizer": "adam", "record_every": 1}
    arguments |= {"alpha": 1e-3, "average": True, "sample_weight": np.arange(M) % 3, "offset": 0.1}
    ends = [jitlogit.train_softmax_regression(X, y, 0.02, 4, n_threads=count, **arguments) for count in (1, 2, 3)]
    for W, b, costs in ends[1:]:
        assert np.array_equal(W, ends[0][0])
        assert np.array_equal(b, ends[0][1])
        assert costs == ends[0][2]


@pytest.mark.parametrize(
    ("y", "arguments", "words"),
    [
        (np.arange(20) % 3 - 1, {}, "whole numbers from 0 on"),
        (np.arange(20) % 3 / 2, {}, "whole numbers from 0 on"),
        (np.arange(20) % 3, {"n_classes": 2}, "n_classes=2 must be 2 at least, and more than the largest label, 2"),
        (np.arange(19) % 3, {}, "one label for each of the 20 examples"),
    ],
)
def test_bad_labels(y, arguments, words):
    with pytest.raises(ValueError, match=words):
        jitlogit.train_softmax_regression(np.ones((20, 2)), y, **arguments)


# The estimator.


@compiled
@pytest.mark.parametrize("load", [load_digits, load_wine])
def test_defaults_reach_the_optimum_on_raw_data(load):
    X, y = load(return_X_y=True)
    Z = StandardScaler().fit_transform(X)
    optimum = LogisticRegression(C=1 / (1e-4 * len(y)), tol=1e-6, max_iter=10_000).fit(Z, y)
    model = MiniBatchLogisticRegression(random_state=0).fit(X, y)
    least = log_loss(y, optimum.predict_proba(Z))
    assert log_loss(y, model.predict_proba(X)) <= 1.02 * least + 0.01
    assert model.score(X, y) >= optimum.score(Z, y) - 0.01
    assert model.coef_.shape == (len(model.classes_), X.shape[1])


def test_methods_agree():
    X, places = make_classes(200, 4, 3)
    y = np.array(["low", "middle", "top"])[places]
    model = MiniBatchLogisticRegression(random_state=0, max_iter=20, early_stopping=True).fit(X, y)
    scores = model.decision_function(X)
    np.testing.assert_allclose(scores, X @ model.coef_.T + model.intercept_, rtol=1e-10)
    np.testing.assert_allclose(model.predict_proba(X), softmax(scores, axis=1), rtol=1e-10)
    np.testing.assert_allclose(np.exp(model.predict_log_proba(X)), model.predict_proba(X), rtol=1e-10)
    assert np.array_equal(model.predict(X), model.classes_[scores.argmax(axis=1)])
    assert len(model.history_["val_loss"]) == model.n_iter_
    parts = MiniBatchLogisticRegression(random_state=0, class_weight="balanced")
    for start in [*range(0, 200, 50)] * 3:
        parts.partial_fit(X[start : start + 50], y[start : start + 50], classes=model.classes_)
    assert parts.coef_.shape == (3, 4)
    assert parts.score(X, y) > 0.4
