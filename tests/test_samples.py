"""The sample that a search for the optimum begins with, and the scales that it may save a read for."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import JIT_OFF, make_classes, slow_without_jit
from scipy import sparse

from jitlogit import LogisticRegression, LogisticRegressionCV
from jitlogit.data.moments import RunningMoments
from jitlogit.data.validation import check_rows
from jitlogit.estimators import logistic
from jitlogit.optimum import samples

M, N = 800 if JIT_OFF else 4000, 5
FORMS = {"C": np.asarray, "F": np.asfortranarray, "csr": sparse.csr_array}


@pytest.fixture(autouse=True)
def half_of_the_rows(monkeypatch):
    monkeypatch.setattr(samples, "first_size", lambda m, n: m // 2)


def data(**changes):
    X, y = make_classes(M, N, 2)
    for j, values in changes.items():
        X[:, int(j[1:])] = values
    return X, y


def moments(X, y, weights=None):
    X = check_rows(X)
    sample = samples.first_sample(X, np.random.default_rng(0), None)
    return samples.moments_of(sample, RunningMoments(class_weights=np.zeros(2)), y.astype(np.uint8), weights, None)


def test_a_sample_is_one_row_of_each_stretch_of_rows():
    X = np.arange(103.0).reshape(103, 1)
    sample = samples.first_sample(X, np.random.default_rng(0), None)
    np.testing.assert_array_equal(sample.X[:, 0], sample.chosen)
    first, second = np.split(sample.chosen, [26])
    np.testing.assert_array_equal(np.digitize(first, np.arange(51) * 103 // 51) - 1, np.arange(0, 51, 2))
    np.testing.assert_array_equal(np.digitize(second, np.arange(51) * 103 // 51) - 1, np.arange(1, 51, 2))


@pytest.mark.parametrize("order", "CF")
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, np.uint8])
def test_moments_are_those_of_the_sample(order, dtype):
    X, y = data()
    X = np.asarray(X * 20 + 100, dtype, order=order)
    weights = np.random.default_rng(1).random(M) + 0.5
    found = moments(X, y, weights)
    chosen = samples.first_sample(X, np.random.default_rng(0), None).chosen
    mean = np.average(X[chosen].astype(float), axis=0, weights=weights[chosen])
    variance = np.average((X[chosen].astype(float) - mean) ** 2, axis=0, weights=weights[chosen])
    np.testing.assert_allclose(found.mean, mean, rtol=1e-5)
    np.testing.assert_allclose(found.variance, variance, rtol=1e-4)


def column(kind):
    rng = np.random.default_rng(2)
    return {
        "constant": np.full(M, 3.0),
        "rare": 1.0 * (np.arange(M) // 2 == 100),  # one of the two rows is in the sample
        "large values": rng.standard_cauchy(M),
        "by turns": np.arange(M) % 2,
        "in order": np.linspace(-1, 1, M),
        "one in ten": rng.random(M) < 0.1,
    }[kind]


@pytest.mark.parametrize("kind", ["constant", "rare", "large values"])
def test_features_whose_variance_a_sample_does_not_tell_are_read_whole(kind):
    assert moments(*data(_1=column(kind))) is None


@pytest.mark.parametrize("kind", ["by turns", "in order", "one in ten"])
def test_features_whose_variance_a_sample_tells_are_not(kind):
    X, y = data(_1=column(kind))
    np.testing.assert_allclose(moments(X, y).variance, X.var(axis=0), rtol=0.15)


def test_rows_without_weight_and_sparse_rows_tell_nothing():
    X, y = data()
    chosen = samples.first_sample(X, np.random.default_rng(0), None).chosen
    weights = np.ones(M)
    weights[chosen[: M // 6]] = 0
    assert moments(X, y, weights) is None
    assert moments(sparse.csr_array(X), y) is None


@slow_without_jit
@pytest.mark.parametrize("kind", ["one in ten", "rare", "large values"])
@pytest.mark.parametrize("form", FORMS)
def test_the_optimum_and_its_certificate_are_those_of_all_rows(form, kind, monkeypatch):
    X, y = data(_1=column(kind), _2=1e4 * column("in order") + 1e5)
    weights = np.random.default_rng(1).random(M) + 0.5
    settings = {"class_weight": "balanced", "tol": 1e-9, "random_state": 0}
    model = LogisticRegression(**settings).fit(FORMS[form](X), y, weights)
    assert model.converged_
    monkeypatch.setattr(samples, "first_size", lambda m, n: 0)
    exact = LogisticRegression(**settings).fit(FORMS[form](X), y, weights)
    size = X.std(axis=0)
    np.testing.assert_allclose(model.coef_ * size, exact.coef_ * size, atol=1e-6)
    assert model.objective_ - exact.objective_ <= model.optimality_gap_
    np.testing.assert_allclose(model.objective_, exact.objective_, rtol=1e-10)


def test_all_rows_are_read_only_where_the_sample_does_not_tell_or_the_scale_is_part_of_the_cost(monkeypatch):
    read = []
    after = RunningMoments.after

    def counted(self, X, *others):
        read.append(X.shape[0])
        return after(self, X, *others)

    monkeypatch.setattr(RunningMoments, "after", counted)
    halves = [M // 4, M // 4]
    for kind, standardize, expected in (
        ("one in ten", False, halves),
        ("one in ten", True, [M]),
        ("rare", False, [*halves, M]),
    ):
        read.clear()
        LogisticRegression(standardize=standardize).fit(*data(_1=column(kind)))
        assert read == expected


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(
    "solver", ["auto", "lbfgs", "newton-sample", "newton-cholesky", "newton-cg", "minibatch", "gd"]
)
def test_what_is_not_finite_is_named_wherever_it_is(value, solver):
    X, y = data()
    chosen = np.sort(samples.first_sample(X, np.random.default_rng([0, 0]), None).chosen)
    outside = np.setdiff1d(np.arange(M), chosen)
    rows = [chosen[7], *(outside[y[outside] == label][7] for label in np.unique(y))]
    for row in rows:
        wrong = X.copy()
        wrong[row, 3] = value
        with pytest.raises(ValueError, match=rf"X\[{row}, 3\] is {value}"):
            LogisticRegression(solver=solver).fit(wrong, y)


@slow_without_jit
@pytest.mark.parametrize("solver", ["lbfgs", "newton-sample"])
def test_values_that_the_sample_lacks_cost_reads_not_the_optimum(solver, monkeypatch):
    X, y = data()
    chosen = samples.first_sample(X, np.random.default_rng([0, 0]), None).chosen
    X[np.setdiff1d(np.arange(M), chosen)[11], 3] = 1e6
    told = []
    model = LogisticRegression(solver=solver, tol=1e-8, callbacks=lambda state: told.append(state["iteration"]))
    model.fit(X, y)
    monkeypatch.setattr(samples, "first_size", lambda m, n: 0)
    exact = LogisticRegression(solver=solver, tol=1e-8).fit(X, y)
    assert model.converged_
    assert told == list(range(model.n_iter_[0]))
    assert model.n_iter_[0] < exact.n_iter_[0] + 25
    np.testing.assert_allclose(model.coef_, exact.coef_, atol=1e-5)


@pytest.mark.parametrize("solver", ["lbfgs", "newton-sample"])
def test_a_long_search_goes_on_with_the_scales_of_all_rows_unless_a_stop_is_asked_for(solver, monkeypatch):
    X, y = data()
    chosen = samples.first_sample(X, np.random.default_rng([0, 0]), None).chosen
    X[np.setdiff1d(np.arange(M), chosen)[11], 3] = 1e6
    told, read = [], []
    after = RunningMoments.after
    monkeypatch.setattr(RunningMoments, "after", lambda self, X, *_: read.append(X.shape[0]) or after(self, X, *_))
    monkeypatch.setattr(logistic, "_ITERATIONS_BEFORE_SCALES", 3)
    settings = {"solver": solver, "tol": 1e-8}
    model = LogisticRegression(callbacks=lambda state: told.append(state["iteration"]), **settings).fit(X, y)
    assert model.converged_
    assert read == [M // 4, M // 4, M]
    assert told == list(range(model.n_iter_[0]))
    assert len(told) > 4
    stopped = LogisticRegression(callbacks=lambda state: state["iteration"] == 3, **settings).fit(X, y)
    assert stopped.n_iter_[0] == 4
    monkeypatch.setattr(samples, "first_size", lambda m, n: 0)
    exact = LogisticRegression(**settings).fit(X, y)
    assert -exact.optimality_gap_ <= model.objective_ - exact.objective_ <= model.optimality_gap_
    np.testing.assert_allclose(model.objective_, exact.objective_, rtol=1e-8)


@pytest.mark.parametrize(
    "settings",
    [
        {"fit_intercept": False},
        {"l1_ratio": 0.5, "C": 0.01},
        {"random_state": np.random.RandomState(3)},
        {"standardize": True},
        {"solver": "newton-sample"},
    ],
    ids=["no intercept", "l1", "RandomState", "standardize", "newton-sample"],
)
def test_all_settings_end_at_the_optimum_of_all_rows(settings, monkeypatch):
    X, y = data()
    model = LogisticRegression(tol=1e-8, **settings).fit(X, y)
    monkeypatch.setattr(samples, "first_size", lambda m, n: 0)
    exact = LogisticRegression(tol=1e-8, **settings).fit(X, y)
    np.testing.assert_allclose(model.coef_, exact.coef_, atol=1e-6)
    np.testing.assert_allclose(model.intercept_, exact.intercept_, atol=1e-6)


def test_a_fit_that_begins_at_its_optimum_reads_once_more():
    X, y = data()
    model = LogisticRegression(solver="lbfgs", warm_start=True).fit(X, y)
    model.fit(X, y)
    assert model.n_iter_[0] == 0
    assert model.n_passes_ == 1


@slow_without_jit
def test_searches_over_c_use_the_sample_with_the_weights_of_each_fold(monkeypatch):
    X, y = data()
    search = LogisticRegressionCV(Cs=[1e-3, 1.0], cv=2, tol=1e-8).fit(X, y)
    monkeypatch.setattr(samples, "first_size", lambda m, n: 0)
    exact = LogisticRegressionCV(Cs=[1e-3, 1.0], cv=2, tol=1e-8).fit(X, y)
    np.testing.assert_allclose(search.scores_, exact.scores_, atol=1e-7)
    np.testing.assert_allclose(search.coef_, exact.coef_, atol=1e-6)
