"""Wide data's cost as a function of a number for each row."""

from __future__ import annotations

import itertools
import warnings

import numpy as np
import pytest
from conftest import JIT_OFF, any_members
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss

from jitlogit import LogisticRegression
from jitlogit.data.validation import check_rows
from jitlogit.estimators.weights import places_of
from jitlogit.kernels.storage import sparse_work
from jitlogit.optimum import row_space
from jitlogit.optimum.cost import Cost
from jitlogit.optimum.row_space import RowSpace, is_wide

M, N = (20, 90) if JIT_OFF else (60, 400)


def wide_data(classes=2, seed=0):
    rng = np.random.default_rng(seed)
    X = sparse.random_array((M, N), density=0.1, rng=rng, format="csr")
    X.data = rng.integers(1, 9, X.nnz).astype(float)
    return X, np.arange(M) % classes


def cost_of(classes=2, weighted=False, fit_intercept=True, n_threads=1, form=sparse.csr_array):
    X, y = wide_data(classes)
    X = form(X.toarray())
    rng = np.random.default_rng(1)
    weights = rng.random(M) + 0.1 if weighted else None
    offset = rng.random(N) if fit_intercept else np.zeros(N)
    scale, l2 = rng.random(N) + 0.5, rng.random(N) + 0.1
    labels = places_of(y, np.unique(y), "y")
    n_classes = None if classes == 2 else classes
    return Cost(check_rows(X), labels, n_classes, weights, offset, scale, l2, fit_intercept, n_threads)


def space_of(cost, warm=False):
    rng = np.random.default_rng(5)
    initial = 0.1 * rng.standard_normal((cost.n_scores, N + 1)) * warm
    initial[:, -1] *= cost.fit_intercept
    return RowSpace(cost, initial)


def some_parameters(space, cost, seed=2):
    """Of random beta, eta and biases, with the scores as they should be."""
    rng = np.random.default_rng(seed)
    begin = space.begin()
    parameters = (rng.random() + 0.5) * begin
    parameters[0, M] = rng.standard_normal(cost.n_scores) * cost.fit_intercept
    beta = parameters[0, :M] = 0.1 * rng.standard_normal((M, cost.n_scores))
    parameters[2, :M] += space.gram.times(beta, 0.0)[0]
    return parameters


@pytest.mark.parametrize("warm", [False, True])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("classes", [2, 3, 9])
@pytest.mark.parametrize("form", [sparse.csr_array, np.asarray], ids=["csr", "dense"])
def test_cost_and_gradient_are_those_of_the_weights(form, classes, weighted, fit_intercept, warm):
    cost = cost_of(classes, weighted, fit_intercept, form=form)
    space = space_of(cost, warm)
    parameters = some_parameters(space, cost)
    value, gradient = space(parameters)
    expected, of_weights = cost(space.parameters(parameters))
    assert value == pytest.approx(expected, rel=1e-12)
    assert space.size(gradient) == pytest.approx(np.abs(of_weights).max(), rel=1e-10)
    for seed in (3, 4):  # products with steps are those of the weights' gradient
        step = some_parameters(space, cost, seed)
        along = np.vdot(of_weights, space.parameters(step))
        assert np.vdot(gradient, step) == pytest.approx(along, rel=1e-10)


@pytest.mark.parametrize("warm", [False, True])
def test_steps_are_downhill_along_the_gradient(warm):
    cost = cost_of(3)
    space = space_of(cost, warm)
    parameters = some_parameters(space, cost)
    value, gradient = space(parameters)
    step = -space.solve(gradient)
    weights = space.parameters(step)[:, :-1] / cost.scale
    scores = cost.X @ weights.T - weights @ cost.offset
    np.testing.assert_allclose(step[2, :M], scores, rtol=1e-9, atol=1e-12)
    assert np.vdot(step, gradient) < 0
    assert space(parameters + 0.1 * step)[0] < value


@pytest.mark.parametrize("warm", [False, True])
def test_products_have_the_same_bits_for_any_number_of_threads(warm, monkeypatch):
    any_members(monkeypatch)
    monkeypatch.setattr(sparse_work, "_CHUNK_WORK", 100)
    given = np.random.default_rng(0).standard_normal((M, 3))
    one, *others = (space_of(cost_of(3, n_threads=k), warm).gram.times(given, 0.7) for k in (1, 2, 3))
    for product, largest in others:
        np.testing.assert_array_equal(product, one[0])
        assert largest == one[1]


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize(
    "options", [{}, {"fit_intercept": False}, {"standardize": True}, {"class_weight": "balanced"}, {"C": 30.0}], ids=str
)
def test_fits_end_at_the_optimum_that_other_solvers_find(classes, options, monkeypatch):
    X, y = wide_data(classes)
    made = []
    monkeypatch.setattr(row_space.RowSpace, "__init__", counted(made, RowSpace.__init__))
    found = LogisticRegression(solver="lbfgs", tol=1e-8, **options).fit(X, y)
    assert len(made) == 1
    exact = LogisticRegression(solver="newton-cg", tol=1e-9, **options).fit(X, y)
    assert found.converged_
    assert found.objective_ - exact.objective_ <= found.optimality_gap_
    np.testing.assert_allclose(found.coef_, exact.coef_, atol=1e-4 * np.abs(exact.coef_).max())
    np.testing.assert_allclose(found.decision_function(X), exact.decision_function(X), atol=1e-3)


@pytest.mark.parametrize("classes", [2, 4])
def test_a_warm_start_goes_on_from_its_weights(classes):
    X, y = wide_data(classes)
    model = LogisticRegression(solver="lbfgs", tol=1e-6, C=0.1, warm_start=True).fit(X, y)
    model.set_params(callbacks=lambda state: began.append(state["cost"]))
    began = []
    model.fit(X, y)
    assert began == []  # was there
    seen = model.objective_
    penalty = model.objective_ - log_loss(y, model.predict_proba(X))
    model.set_params(C=0.2).fit(X, y)
    assert model.converged_
    assert began[0] < seen - penalty / 2  # its cost for the new C
    cold = LogisticRegression(solver="lbfgs", tol=1e-6, C=0.2).fit(X, y)
    assert len(began) <= cold.n_iter_[0]
    np.testing.assert_allclose(model.coef_, cold.coef_, atol=1e-4 * np.abs(cold.coef_).max())


def counted(made, init):
    def make(self, *given):
        made.append(self)
        init(self, *given)

    return make


def test_iterations_are_told_and_limited_as_everywhere():
    X, y = wide_data(3)
    seen = []
    model = LogisticRegression(solver="lbfgs", tol=0.0, max_iter=5, callbacks=lambda state: seen.append(state))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X, y)
    assert model.n_iter_[0] == 5
    assert [state["iteration"] for state in seen] == [0, 1, 2, 3, 4]
    assert all(a["cost"] > b["cost"] for a, b in itertools.pairwise(seen))
    stopped = LogisticRegression(solver="lbfgs", tol=0.0, callbacks=lambda state: state["iteration"] == 2).fit(X, y)
    assert stopped.n_iter_[0] == 3
    assert stopped.objective_ == pytest.approx(seen[2]["cost"], rel=1e-10)


def test_what_the_space_of_the_rows_is_for():
    cost = cost_of()
    assert is_wide(cost)
    cost.l2[3] = 0
    assert not is_wide(cost)
    for n, wide in ((M + 1, True), (M, False)):
        dense = Cost(cost.X.toarray()[:, :n], cost.labels, None, None, *[np.ones(n)] * 3, True, 1)
        assert is_wide(dense) is wide
    narrow = cost.X[:, : 3 * M]
    assert not is_wide(Cost(narrow, cost.labels, None, None, *[np.ones(3 * M)] * 3, True, 1))
