"""The optimum: scikit-learn's, by every solver, with a certificate that is never below the truth."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pytest
from conftest import JIT_OFF, compiled, make_classes, make_data, objective, slow_without_jit, their_logistic_regression
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression as Theirs
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import estimator_checks_generator
from threadpoolctl import threadpool_info, threadpool_limits

from jitlogit import LogisticRegression, LogisticRegressionCV, bfloat16
from jitlogit.data.validation import check_rows
from jitlogit.optimum import curvature as preconditioning
from jitlogit.optimum import samples
from jitlogit.optimum.blas import one_thread
from jitlogit.optimum.cost import Cost
from jitlogit.optimum.solve import SOLVERS

M = 60 if JIT_OFF else 400


@compiled
def test_scikit_learns_checks():
    before = np.random.get_state()  # noqa: NPY002
    ran = 0
    for model, check in estimator_checks_generator(LogisticRegression()):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                check(model)
            except Exception as error:
                if type(error).__name__ == "SkipTest":
                    continue
                raise AssertionError(f"{getattr(check, 'func', check).__name__}: {error}") from error
        ran += 1
    np.random.set_state(before)  # noqa: NPY002 - the checks draw from it
    assert ran > 40


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("form", [np.asarray, np.asfortranarray, sparse.csr_array], ids=["C", "F", "csr"])
def test_every_solver_ends_at_scikit_learns_optimum(solver, classes, fit_intercept, form):
    if solver == "newton-cholesky" and form is sparse.csr_array:
        with pytest.raises(ValueError, match="needs dense X"):
            LogisticRegression(solver=solver).fit(
                *[form(part) if part.ndim == 2 else part for part in make_classes(20, 3, 2)]
            )
        return
    X, y = make_classes(M, 3, classes)
    weights = np.random.default_rng(1).random(M) + 0.1
    for C in (0.01,) if JIT_OFF else (0.01, 1.0):
        exact = Theirs(C=C, fit_intercept=fit_intercept, solver="newton-cholesky", tol=1e-12).fit(X, y, weights)
        model = LogisticRegression(C=C, fit_intercept=fit_intercept, solver=solver, tol=1e-9, random_state=0)
        model.fit(form(X), y, weights)
        np.testing.assert_allclose(model.coef_, exact.coef_, atol=1e-4 * np.abs(exact.coef_).max())
        centred = exact.intercept_ - (exact.intercept_.mean() if classes > 2 else 0)
        ours = model.intercept_ - (model.intercept_.mean() if classes > 2 else 0)
        np.testing.assert_allclose(ours, centred, atol=1e-4)
        gap = objective(model, X, y, C, weights) - objective(exact, X, y, C, weights)
        assert gap <= model.optimality_gap_ <= 1e-8
        assert model.objective_ == pytest.approx(objective(model, X, y, C, weights), rel=1e-12)
        assert model.converged_
        assert model.gradient_norm_ <= 1e-8


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("l1_ratio", [0.3, 1.0])
@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array], ids=["C", "csr"])
def test_l1_penalties_end_at_scikit_learns_optimum(classes, l1_ratio, form):
    X, y = make_classes(M, 4, classes)
    for C in (0.05, 1.0):
        exact = their_logistic_regression(
            l1_ratio, C=C, solver="saga", tol=1e-12, max_iter=100_000, random_state=np.random.RandomState(0)
        )
        exact.fit(X, y)
        model = LogisticRegression(C=C, l1_ratio=l1_ratio, tol=1e-3 if JIT_OFF else 1e-9, max_iter=5000).fit(form(X), y)
        if not JIT_OFF:
            np.testing.assert_allclose(model.coef_, exact.coef_, atol=1e-4 * max(1, np.abs(exact.coef_).max()))
            assert model.optimality_gap_ <= 1e-6

        def total(fitted, C=C):
            l2 = objective(fitted, X, y, C) - l1_ratio * np.sum(fitted.coef_**2) / (2 * C * M)
            return l2 + l1_ratio * np.abs(fitted.coef_).sum() / (C * M)

        assert total(model) == pytest.approx(model.objective_, rel=1e-9)
        assert total(model) - total(exact) <= model.optimality_gap_
        rough = LogisticRegression(C=C, l1_ratio=l1_ratio, tol=0.03).fit(form(X), y)
        assert total(rough) - total(exact) <= rough.optimality_gap_
    with pytest.raises(ValueError, match='use "proximal" or "auto"'):
        LogisticRegression(l1_ratio=l1_ratio, solver="lbfgs").fit(form(X), y)


@pytest.mark.parametrize("classes", [2, 3])
def test_the_cost_is_what_it_says_and_its_gradient_is_its_slope(classes):
    X, y = make_classes(50, 3, classes)
    labels = np.zeros(50 + 128, np.uint8 if classes == 2 else np.uint32)[:50]
    labels[:] = y
    rng = np.random.default_rng(0)
    weights, offset, scale, l2 = rng.random(50), rng.random(3), rng.random(3) + 0.5, rng.random(3)
    parameters = rng.standard_normal((1 if classes == 2 else classes, 4))
    values = []
    for form in (np.asarray, np.asfortranarray, sparse.csr_array):
        cost = Cost(check_rows(form(X)), labels, None if classes == 2 else classes, weights, offset, scale, l2, True, 1)
        value, gradient = cost(parameters)
        values.append(value)
        for place in np.ndindex(parameters.shape):
            moved = [parameters.copy(), parameters.copy()]
            moved[0][place] -= 1e-6
            moved[1][place] += 1e-6
            slope = (cost(moved[1])[0] - cost(moved[0])[0]) / 2e-6
            assert gradient[place] == pytest.approx(slope, abs=1e-7)
        times = cost.hessian_at(parameters)
        for place in np.ndindex(parameters.shape):
            unit = np.zeros_like(parameters)
            unit[place] = 1.0
            change = (cost(parameters + 1e-6 * unit)[1] - cost(parameters - 1e-6 * unit)[1]) / 2e-6
            np.testing.assert_allclose(times(unit), change, atol=1e-7)
    Z = (X - offset) / scale
    scores = Z @ parameters[:, :-1].T + parameters[:, -1]
    if classes == 2:
        scores = np.column_stack([np.zeros(50), scores])
    own = scores[np.arange(50), y]
    expected = np.mean(weights * (np.log(np.exp(scores).sum(axis=1)) - own))
    expected += np.sum(l2 * parameters[:, :-1] ** 2) / 2
    np.testing.assert_allclose(values, expected, rtol=1e-12)


@compiled
def test_large_data_begin_near_the_optimum_of_a_sample():
    X, y = make_classes(100_000, 6, 2)
    exact = Theirs(solver="newton-cholesky", tol=1e-12).fit(X, y)
    for dtype, close in ((np.float64, 1e-5), (np.float32, 1e-4)):
        model = LogisticRegression(solver="newton-sample", tol=1e-7, random_state=0).fit(X.astype(dtype), y)
        np.testing.assert_allclose(model.coef_, exact.coef_, atol=close)
        assert model.n_passes_ < 8
        gap = objective(model, X, y, 1.0) - objective(exact, X, y, 1.0)
        assert gap <= 1e-9
        assert gap <= model.optimality_gap_


HARD = {
    "separable": (lambda rng: rng.standard_normal((80, 4)), lambda X, rng: X[:, 0] > 0),
    "wide": (lambda rng: rng.standard_normal((20, 120)), lambda X, rng: np.arange(20) % 2),
    "constant column": (
        lambda rng: np.c_[rng.standard_normal((80, 2)), np.ones(80)],
        lambda X, rng: rng.random(80) < 0.4,
    ),
    "same column twice": (lambda rng: np.tile(rng.standard_normal((80, 2)), 2), lambda X, rng: rng.random(80) < 0.4),
    "scales": (
        lambda rng: rng.standard_normal((80, 5)) * [1e-6, 1e-3, 1, 1e3, 1e6],
        lambda X, rng: rng.random(80) < 0.4,
    ),
    "3 % positive": (lambda rng: rng.standard_normal((100, 3)), lambda X, rng: np.arange(100) < 3),
    "three classes": (lambda rng: rng.standard_normal((90, 3)), lambda X, rng: np.arange(90) % 3),
}


@pytest.mark.parametrize("name", HARD)
@pytest.mark.parametrize("solver", ["auto", "newton-sample", "lbfgs", "newton-cg", "minibatch"])
def test_hard_data_converge_or_say_that_they_did_not(name, solver):
    rng = np.random.default_rng(0)
    X = HARD[name][0](rng)
    y = HARD[name][1](X, rng)
    for C, max_iter in ((1e-8, 300), (1.0, 300), (1e8, 300), (np.inf, 300), (1.0, 1)):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            model = LogisticRegression(C=C, solver=solver, random_state=0, max_iter=max_iter).fit(X, y)
        assert np.isfinite(model.coef_).all()
        largest = np.abs(gradient_by_scaled_features(model, X, np.asarray(y, int), C)).max()
        assert model.gradient_norm_ == pytest.approx(largest, rel=1e-5, abs=1e-9)
        converged = largest <= model.tol or model.optimality_gap_ <= 1e-12 * model.objective_
        assert model.converged_ == converged
        assert [warning.category for warning in caught] == [ConvergenceWarning] * (not converged)
        assert model.n_iter_[0] <= max_iter


def gradient_by_scaled_features(model, X, y, C):
    """The gradient of `objective_`, from the model's probabilities and the formulas."""
    scale = np.where(X.std(axis=0) == 0, 1, X.std(axis=0))
    Z = np.column_stack([(X - X.mean(axis=0)) / scale, np.ones(len(y))])
    residuals = model.predict_proba(X) - np.eye(len(model.classes_))[y]
    penalty = model.coef_ / (C * len(y) * scale)
    if len(model.classes_) == 2:
        residuals = residuals[:, 1:]
    return residuals.T @ Z / len(y) + np.column_stack([penalty, np.zeros(len(penalty))])


def test_parameters_that_mean_nothing_are_errors():
    X, Y = make_data(40, 3)
    for parameters, message in (
        ({"C": -1.0}, "C must be positive"),
        ({"solver": "best"}, "solver must be one of"),
        ({"solver": "saga"}, 'use "auto"'),
        ({"C": 1e-320}, "C=1e-320 is too small"),
        ({"tol": -1.0}, "tol must not be negative"),
        ({"max_iter": -1}, "max_iter must be an integer of at least 0"),
        ({"fit_intercept": 2}, "fit_intercept must be True or False"),
    ):
        with pytest.raises((ValueError, TypeError), match=message):
            LogisticRegression(**parameters).fit(X, Y[0])
    with pytest.warns(ConvergenceWarning, match="not reached in 1 iterations.*raise max_iter"):
        LogisticRegression(solver="gd", max_iter=1).fit(X, Y[0])
    for model in (LogisticRegression, LogisticRegressionCV):
        for parameter, advice in (("penalty", "l1_ratio"), ("n_jobs", "n_threads"), ("dual", "leave it out")):
            with pytest.raises(TypeError, match=f"no parameter '{parameter}'.*{advice}"):
                model(**{parameter: 1})
    with pytest.raises(TypeError, match="unexpected keyword"):
        LogisticRegression(c=1)


def test_standardised_columns_make_scales_mean_nothing():
    X, Y = make_data(M, 3)
    expected = LogisticRegression(C=0.1, tol=1e-9).fit((X - X.mean(axis=0)) / X.std(axis=0), Y[0])
    model = LogisticRegression(C=0.1, tol=1e-9, standardize=True).fit(X * [1e-3, 1, 1e3] + 1, Y[0])
    np.testing.assert_allclose(model.coef_ * [1e-3, 1, 1e3] * X.std(axis=0), expected.coef_, rtol=1e-5)


def test_it_is_a_citizen_of_scikit_learn(capsys):
    X, Y = make_data(M, 3)
    model = LogisticRegression(random_state=0).fit(X, Y[0])
    assert np.array_equal(pickle.loads(pickle.dumps(model)).predict_proba(X), model.predict_proba(X))
    assert LogisticRegression(random_state=0, warm_start=True).fit(X, Y[0]).fit(X, Y[0]).n_iter_[0] == 0
    search = GridSearchCV(
        make_pipeline(StandardScaler(), LogisticRegression()),
        {"logisticregression__C": [1e-9, 1.0]},
        scoring="neg_log_loss",
        cv=2,
    )
    assert search.fit(X, Y[0]).best_params_ == {"logisticregression__C": 1.0}
    seen = []
    told = LogisticRegression(
        verbose=1, callbacks=lambda state: seen.append(state) or len(seen) == 2, tol=0.0, max_iter=9
    )
    told.fit(X, Y[0])  # a stop that was asked for is no warning
    assert not told.converged_
    assert [state["iteration"] for state in seen] == [0, 1]
    assert capsys.readouterr().out.splitlines()[0].startswith("iteration 0: 0.")


@pytest.fixture
def sizes(monkeypatch):
    """Of the samples whose Hessian is taken."""
    sizes = []
    make = preconditioning.Preconditioner
    monkeypatch.setattr(
        preconditioning,
        "Preconditioner",
        lambda cost, sample, n_rows: sizes.append(sample.chosen.size) or make(cost, sample, n_rows),
    )
    return sizes


@slow_without_jit
@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array], ids=["C", "csr"])
def test_a_hessian_is_taken_at_once_where_it_is_cheap_and_soon_where_gradients_shrink_slowly(form, sizes, monkeypatch):
    rng = np.random.default_rng(0)
    even = rng.standard_normal((2000, 8))
    nearly_the_same = even[:, :1] + 0.05 * even
    y = rng.random(2000) < 1 / (1 + np.exp(-even.sum(axis=1)))
    monkeypatch.setattr(preconditioning, "_FEW_ROWS_A_FEATURE", 20)
    monkeypatch.setattr(preconditioning, "COST", 1)
    monkeypatch.setattr(preconditioning, "_PRODUCTS_A_CALL", 0)
    for size, X, expected in ((200, even, [200]), (2000, even, []), (2000, nearly_the_same, [160, 2000])):
        sizes.clear()
        monkeypatch.setattr(preconditioning, "sample_size", lambda m, n, size=size: size)
        model = LogisticRegression(solver="newton-sample", tol=1e-7, random_state=0).fit(form(X), y)
        exact = LogisticRegression(solver="newton-cg", tol=1e-9).fit(form(X), y)
        assert sizes == expected
        np.testing.assert_allclose(model.coef_, exact.coef_, atol=1e-4)


def test_a_hessian_is_that_of_rows_that_weigh_anything(sizes, monkeypatch):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((4000, 4))
    y = rng.random(4000) < 1 / (1 + np.exp(-X.sum(axis=1)))
    counted = rng.choice(4000, 200, replace=False)
    weights = np.zeros(4000)
    weights[counted] = rng.random(200) + 0.5
    monkeypatch.setattr(preconditioning, "sample_size", lambda m, n: 150)
    model = LogisticRegression(solver="newton-sample", tol=1e-8).fit(X, y, weights)
    exact = Theirs(solver="newton-cholesky", tol=1e-12).fit(X[counted], y[counted], weights[counted])
    assert sizes == [150]
    assert model.n_iter_[0] < 16
    np.testing.assert_allclose(model.coef_, exact.coef_, atol=1e-6)


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array], ids=["C", "csr"])
@pytest.mark.parametrize("part", [1, 4])
def test_many_iterations_go_on_with_the_hessian_of_a_sample(form, part, sizes, monkeypatch):
    X, y = make_classes(M, 3, 2)
    weights = np.random.default_rng(1).random(M) + 0.1
    monkeypatch.setattr(preconditioning, "_MOST_READS_AT_ONCE", 0)
    monkeypatch.setattr(preconditioning, "sample_size", lambda m, n: M // part)
    monkeypatch.setattr(preconditioning, "_ITERATIONS_BEFORE_A_HESSIAN", 1)
    monkeypatch.setattr(preconditioning, "_ITERATIONS_OF_A_HESSIAN", 2)
    model = LogisticRegression(solver="newton-sample", tol=1e-9, random_state=0).fit(form(X), y, weights)
    exact = Theirs(solver="newton-cholesky", tol=1e-12).fit(X, y, weights)
    assert sizes == [M // part]
    assert model.n_iter_[0] > 3
    np.testing.assert_allclose(model.coef_, exact.coef_, atol=1e-5)


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("form", [np.asarray, np.asfortranarray, sparse.csr_array], ids=["C", "F", "csr"])
@pytest.mark.parametrize("solver", ["lbfgs", "newton-sample", "newton-cg"])
def test_every_search_begins_with_few_rows(solver, classes, form, monkeypatch):
    X, y = make_classes(M, 3, classes)
    weights = np.random.default_rng(1).random(M) + 0.1
    monkeypatch.setattr(samples, "first_size", lambda m, n: m // 2)
    rows = []
    cost_of = Cost.of_rows
    monkeypatch.setattr(Cost, "of_rows", lambda self, chosen, *X: rows.append(chosen.size) or cost_of(self, chosen, *X))
    model = LogisticRegression(solver=solver, tol=1e-9, random_state=0).fit(form(X), y, weights)
    exact = Theirs(solver="newton-cholesky", tol=1e-12).fit(X, y, weights)
    np.testing.assert_allclose(model.coef_, exact.coef_, atol=1e-5)
    assert rows[0] == M // 2
    assert model.n_passes_ % 1 in (0, 0.5)


def test_other_libraries_threads_are_as_before_after_fits_that_overlap():
    def counts():
        return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]

    during = []
    with threadpool_limits(2, user_api="blas"):
        before = counts()
        with one_thread:  # as another fit does
            LogisticRegression(callbacks=lambda state: during.extend(counts())).fit(*make_classes(M, 3, 2))
            during.extend(counts())
        assert counts() == before
    assert before
    assert set(during) == {1}


def test_warm_starts_need_the_same_shape_and_keep_no_intercept_that_is_not_fitted():
    X, y = make_classes(M, 3, 2)
    model = LogisticRegression(warm_start=True, tol=1e-9).fit(X, y)
    alone = LogisticRegression(fit_intercept=False, tol=1e-9).fit(X, y)
    model.set_params(fit_intercept=False).fit(X, y)
    assert model.intercept_[0] == 0
    np.testing.assert_allclose(model.coef_, alone.coef_, atol=1e-6)
    with pytest.raises(ValueError, match="set warm_start=False"):
        model.fit(*make_classes(M, 3, 3))


def test_the_first_rows_are_few_but_enough_for_the_features():
    assert samples.first_size(200_000, 100) == 10_000
    assert samples.first_size(1_000_000, 28) == 20_000
    assert samples.first_size(50_000, 784) == 4166
    assert samples.first_size(1_000_000, 5000) == 40_000
    assert samples.first_size(7000, 3) == 0
    assert samples.first_size(50_000, 5000) == 0


def test_a_search_without_features_is_begun_with_the_classes_shares():
    X, y = np.zeros((M, 1)), np.arange(M) % 4 == 0
    model = LogisticRegression().fit(X, y)
    assert model.intercept_[0] == pytest.approx(np.log(1 / 3), abs=1e-6)


def test_a_search_that_fails_far_from_the_minimum_is_no_convergence(monkeypatch):
    X, y = make_classes(M, 3, 2)
    true = Cost.__call__

    def uphill(cost, parameters):  # a slope that promises what isn't there
        value, gradient = true(cost, parameters)
        return value, -gradient

    monkeypatch.setattr(Cost, "__call__", uphill)
    with pytest.warns(ConvergenceWarning, match="no step lowers the cost"):
        model = LogisticRegression(solver="gd").fit(X, y)
    assert not model.converged_
    assert model.n_iter_[0] == 0


def test_what_rounding_keeps_from_a_small_gradient_has_converged_by_its_bound():
    X, y = make_classes(M, 3, 2)
    model = LogisticRegression(tol=1e-12).fit(X.astype(np.float32), y)
    assert model.gradient_norm_ > 1e-12
    assert model.converged_
    assert model.optimality_gap_ <= 1e-5 * model.objective_


@slow_without_jit
def test_large_fits_without_a_random_state_have_the_same_bits_and_leave_the_global_one():
    X, y = make_classes(9000, 2, 2)
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    first, again = (LogisticRegression().fit(X, y).coef_ for _ in range(2))
    assert np.array_equal(first, again)
    assert np.array_equal(np.random.get_state()[1], before)  # noqa: NPY002


def test_brain_floats_are_taken():
    X, y = make_classes(M, 3, 2)
    bits = (X.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)
    wide = (bits.astype(np.uint32) << 16).view(np.float32)
    model = LogisticRegression().fit(bits.view(bfloat16), y)
    assert np.array_equal(model.coef_.astype(np.float32), LogisticRegression().fit(wide, y).coef_)
    assert np.array_equal(model.predict(bits.view(bfloat16)), model.predict(wide))
