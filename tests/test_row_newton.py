"""Newton's method in the space of the rows: dense data with fewer rows than features."""

from __future__ import annotations

import tracemalloc
import warnings

import numpy as np
import pytest
from conftest import compiled
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression as Theirs
from test_row_space import M, cost_of, some_parameters, space_of

from jitlogit import LogisticRegression
from jitlogit.optimum import row_products, row_space, solve
from jitlogit.optimum.row_products import DenseGram
from jitlogit.optimum.solve import choose_solver

N_ROWS, N_FEATURES = 40, 130


def data(classes=2, m=N_ROWS, n=N_FEATURES, seed=0):
    """Independent features; labels that are separable, as those of wide data nearly always are."""
    rng = np.random.default_rng(seed)
    return rng.standard_normal((m, n)) + 2, np.arange(m) % classes


@pytest.fixture
def made(monkeypatch):
    """The Gram matrices that are made, as lists of one."""
    found = []
    init = DenseGram.__init__

    def make(self, *given):
        found.append(self)
        init(self, *given)

    monkeypatch.setattr(DenseGram, "__init__", make)
    return found


def assert_same(ours, theirs, atol=1e-6):
    largest = np.abs(theirs.coef_).max()
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=atol * largest)
    np.testing.assert_allclose(
        ours.intercept_ - ours.intercept_.mean() * (len(ours.intercept_) > 1),
        theirs.intercept_ - theirs.intercept_.mean() * (len(theirs.intercept_) > 1),
        atol=atol * max(1.0, largest, np.abs(theirs.intercept_).max()),
    )


@pytest.mark.parametrize("warm", [False, True])
@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("classes", [2, 3, 5])
def test_steps_are_those_of_newtons_method(classes, fit_intercept, weighted, warm):
    """The Hessian times the step is the gradient."""
    cost = cost_of(classes, weighted, fit_intercept, form=np.asarray)
    space = space_of(cost, warm)
    parameters = 0.01 * some_parameters(space, cost)  # probabilities aren't 0 or 1
    _, gradient = space(parameters)
    space.at(parameters, gradient)
    step = space.solve(gradient)
    at, direction = space.parameters(parameters), space.parameters(step)
    np.testing.assert_allclose(cost.hessian_at(at)(direction), cost(at)[1], atol=1e-9)
    scores = direction[:, :-1] / cost.scale
    np.testing.assert_allclose(step[2, :M], cost.X @ scores.T - scores @ cost.offset, atol=1e-8)


@pytest.mark.parametrize("warm", [False, True])
@pytest.mark.parametrize("classes", [2, 4])
def test_lengths_minimise_the_cost_along_a_step(classes, warm):
    cost = cost_of(classes, weighted=True, form=np.asarray)
    space = space_of(cost, warm)
    parameters = 0.01 * some_parameters(space, cost)  # probabilities aren't 0 or 1
    _, gradient = space(parameters)
    space.at(parameters, gradient)
    step = -space.solve(gradient)
    begun = float(np.vdot(gradient, step))
    left = float(np.vdot(space(parameters + space.length(parameters, step) * step)[1], step))
    assert abs(left) < 0.02 * abs(begun)


@pytest.mark.parametrize("C", [1e-2, 1.0, 100.0])
@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("classes", [2, 4])
def test_optima_are_scikit_learns(classes, fit_intercept, weighted, C, made):
    X, y = data(classes)
    weights = np.random.default_rng(1).random(len(y)) * (np.arange(len(y)) > 3) if weighted else None
    options = {"C": C, "fit_intercept": fit_intercept}
    ours = LogisticRegression(tol=1e-9, **options).fit(X, y, weights)
    theirs = Theirs(tol=1e-9, solver="newton-cholesky", **options).fit(X, y, weights)
    assert len(made) == 1
    assert ours.converged_
    assert ours.n_iter_[0] <= 12
    assert_same(ours, theirs)


def repeated(X):
    X[len(X) // 2 :] = X[: len(X) - len(X) // 2]


def constant(X):
    X[:, ::3] = 5


@pytest.mark.parametrize("change", [repeated, constant])
@pytest.mark.parametrize("classes", [2, 3])
def test_rows_may_be_repeated_and_features_constant(classes, change, made):
    X, y = data(classes)
    change(X)
    ours = LogisticRegression(tol=1e-9).fit(X, y)
    theirs = Theirs(tol=1e-12, solver="newton-cholesky").fit(X, y)
    assert len(made) == 1
    assert ours.n_iter_[0] <= 15
    assert_same(ours, theirs, 1e-5)


@pytest.mark.parametrize("classes", [2, 3])
def test_weak_penalties_need_few_iterations(classes):
    X, y = data(classes)
    for C in (1e3, 1e6):
        model = LogisticRegression(C=C, tol=1e-11).fit(X, y)
        exact = LogisticRegression(C=C, tol=1e-11, solver="newton-cg").fit(X, y)
        assert model.converged_
        assert model.n_iter_[0] <= 12  # three times as many with steps of length 1
        assert model.objective_ <= exact.objective_ * (1 + 1e-4)


def test_few_rows_and_many_features():
    for m, n in ((2, 3), (2, 400), (20, 400)):
        X, y = data(m=m, n=n)
        ours = LogisticRegression(tol=1e-9).fit(X, y)
        assert_same(ours, Theirs(tol=1e-12, solver="newton-cholesky").fit(X, y))


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.uint8])
@pytest.mark.parametrize("order", ["C", "F"])
def test_rows_of_any_dtype_and_order(order, dtype, made):
    X, y = data(3)
    X = np.asarray((4 * np.abs(X)).astype(np.uint8), dtype, order=order)
    ours = LogisticRegression(C=0.01, tol=1e-5).fit(X, y)
    theirs = Theirs(C=0.01, tol=1e-12, solver="newton-cholesky").fit(X.astype(float), y)
    assert len(made) == 1
    assert ours.converged_
    np.testing.assert_allclose(ours.decision_function(X), theirs.decision_function(X), atol=2e-3)


def test_standardised_features_and_warm_starts(made):
    X, y = data()
    X *= np.logspace(-1, 1, X.shape[1])
    scale = X.std(axis=0)
    ours = LogisticRegression(standardize=True, tol=1e-9, warm_start=True).fit(X, y)
    theirs = Theirs(tol=1e-12, solver="newton-cholesky").fit(X / scale, y)
    np.testing.assert_allclose(ours.coef_ * scale, theirs.coef_, atol=1e-6)
    first = ours.n_iter_[0]
    ours.fit(X, y)
    assert ours.n_iter_[0] == 0 < first
    ours.set_params(C=3.0).fit(X, y)
    np.testing.assert_allclose(
        ours.coef_ * scale, Theirs(C=3.0, tol=1e-12, solver="newton-cholesky").fit(X / scale, y).coef_, atol=1e-6
    )
    assert len(made) == 3


@compiled
def test_the_matrix_is_made_in_blocks_that_take_little_memory(monkeypatch):
    cost = cost_of(form=np.asarray)
    whole = DenseGram(cost, None).matrix
    scaled = (cost.X - cost.offset) / cost.scale / np.sqrt(cost.l2)
    np.testing.assert_allclose(whole, scaled @ scaled.T, rtol=1e-12)
    monkeypatch.setattr(row_products, "_BLOCK_VALUES", 7 * M)
    np.testing.assert_allclose(DenseGram(cost, None).matrix, whole, rtol=1e-12)
    tracemalloc.start()
    DenseGram(cost, None)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * (2 * M * M + 2 * 7 * M + 4 * cost.X.shape[1]) + 10_000 < cost.X.nbytes


def test_penalties_too_weak_for_the_matrix_leave_the_search_to_l_bfgs():
    X, y = data()
    model = LogisticRegression(C=1e307, tol=1e-5)
    with np.errstate(over="ignore", invalid="ignore"):
        model.fit(1e3 * X, y)
    assert np.isfinite(model.coef_).all()
    assert model.score(1e3 * X, y) == 1


def test_the_rule_needs_dense_rows_a_penalty_and_fewer_rows_than_features(made):
    X, y = data()
    assert choose_solver(X, None, False, True) == "newton-cholesky"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        LogisticRegression(C=np.inf, max_iter=3).fit(X, y)
        LogisticRegression(max_iter=3).fit(np.vstack([X] * 5), np.tile(y, 5))
        LogisticRegression(l1_ratio=1.0, max_iter=3).fit(X, y)
    assert not made


@pytest.mark.parametrize("classes", [2, 3])
def test_the_matrix_is_made_late_where_l_bfgs_may_be_faster(classes, monkeypatch, made):
    X, y = data(classes)
    exact = LogisticRegression(tol=1e-7).fit(X, y)
    made.clear()
    monkeypatch.setattr(solve, "_ROWS_AT_ONCE", 0)
    monkeypatch.setattr(solve, "_ROWS_AN_ITERATION", N_ROWS // 3)
    seen = []
    late = LogisticRegression(tol=1e-7, callbacks=lambda state: seen.append(state)).fit(X, y)
    assert len(made) == 1
    assert [state["iteration"] for state in seen] == list(range(late.n_iter_[0]))
    assert late.n_iter_[0] > 3
    assert late.converged_
    assert_same(late, exact, 1e-4)
    LogisticRegression(tol=1e-7, max_iter=3, callbacks=lambda state: state["iteration"] == 1).fit(X, y)
    monkeypatch.setattr(solve, "_ROWS_AN_ITERATION", 0.1)
    assert_same(LogisticRegression(tol=1e-7).fit(X, y), exact, 1e-4)
    assert len(made) == 1


@pytest.mark.parametrize("form", [sparse.csr_array, np.asarray], ids=["csr", "dense"])
def test_callbacks_see_coefficients(form, monkeypatch):
    X, y = data(3, n=5 * N_ROWS)
    seen = []
    report = LogisticRegression._report
    monkeypatch.setattr(
        LogisticRegression, "_report", lambda *given: seen.append(given[-1]()) or report(*given)
    )  # as scikit-learn's callbacks do
    model = LogisticRegression(solver="lbfgs" if form is sparse.csr_array else "auto", tol=1e-8).fit(form(X), y)
    assert len(seen) == model.n_iter_[0]
    np.testing.assert_allclose(seen[-1]["coef_"], model.coef_, atol=1e-6)  # the certificate goes on a little


def test_a_matrix_that_isnt_positive_definite_leaves_the_hessian_before(monkeypatch):
    X, y = data()
    exact = LogisticRegression(tol=1e-6).fit(X, y)
    calls = []
    make = row_space.RowHessian

    def sometimes(*given):
        calls.append(len(calls))
        if calls[-1] in (0, 2):
            raise np.linalg.LinAlgError
        return make(*given)

    monkeypatch.setattr(row_space, "RowHessian", sometimes)
    assert_same(LogisticRegression(tol=1e-6).fit(X, y), exact, 1e-4)
    assert len(calls) > 2
