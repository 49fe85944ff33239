"""The mean Hessian of some rows' losses beside its formula, and how it is used."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import JIT_OFF, any_members, compiled, make_classes, slow_without_jit
from scipy import sparse

from jitlogit import LogisticRegression, bfloat16
from jitlogit.data.validation import check_rows
from jitlogit.kernels.steps.labels import with_padding
from jitlogit.optimum import curvature as preconditioning
from jitlogit.optimum import hessian, samples
from jitlogit.optimum import solve as optimum
from jitlogit.optimum.cost import LEAST_CURVATURE, Cost
from jitlogit.optimum.curvature import Preconditioner
from jitlogit.optimum.hessian import dense, mean_hessian
from jitlogit.optimum.samples import Sample
from jitlogit.reference import sigmoid, softmax


def cost_of(X, n_classes=None, weights=None, n_threads=1, l2=0.0):
    m, n = X.shape
    labels = with_padding((np.arange(m) % (n_classes or 2)).astype(np.uint8))
    offset, scale = np.linspace(-1, 1, n), np.linspace(0.5, 2, n)
    return Cost(check_rows(X), labels, n_classes, weights, offset, scale, np.full(n, l2), True, n_threads)


def expected_hessian(cost, rows, parameters, weights):
    x = np.column_stack([(rows - cost.offset) / cost.scale, np.ones(len(rows))])
    scores = x @ parameters.T
    p = sigmoid(scores) if len(parameters) == 1 else softmax(scores.T).T
    curvature = weights * np.maximum((p * (1 - p)).mean(axis=1), LEAST_CURVATURE)
    return (x * curvature[:, np.newaxis]).T @ x / len(x), weights @ x[:, :-1] ** 2 / weights.sum()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("classes", [None, 3])
@pytest.mark.parametrize(("m", "n"), [(1, 1), (5, 7), (200, 16), (129, 31), (2500, 3)])
def test_a_hessian_is_that_of_the_formula(m, n, classes, dtype):
    if JIT_OFF and m * n > 5000:
        pytest.skip("takes long without the JIT")
    rng = np.random.default_rng(m)
    rows = rng.standard_normal((m, n)).astype(dtype)
    weights = rng.random(m) + 0.1
    parameters = rng.standard_normal((classes or 1, n + 1))
    cost = cost_of(rows, classes)
    for given in (weights, 1.0):
        found, variances = mean_hessian(cost, parameters, rows, given)
        wanted, of_features = expected_hessian(cost, rows.astype(float), parameters, np.ones(m) * given)
        close = {"rtol": 0, "atol": (1e-5 if dtype == np.float32 else 1e-13) * np.abs(wanted).max()}
        np.testing.assert_allclose(np.tril(found), np.tril(wanted), **close)
        np.testing.assert_allclose(variances, of_features, rtol=1e-5 if dtype == np.float32 else 1e-12)


def test_a_hessian_is_the_difference_of_gradients():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((300, 4))
    cost = cost_of(X)
    at, step = rng.standard_normal((1, 5)), 1e-6
    rows = [(cost(at + step * e)[1] - cost(at - step * e)[1])[0] / (2 * step) for e in np.eye(5)]
    np.testing.assert_allclose(np.tril(mean_hessian(cost, at, X, 1.0)[0]), np.tril(rows), atol=1e-9)


@compiled
@pytest.mark.parametrize("classes", [None, 3])
def test_a_hessian_has_the_same_bits_for_any_number_of_threads(classes, monkeypatch):
    any_members(monkeypatch)
    monkeypatch.setattr(hessian, "_CHUNK_ROWS", 50)
    members = []
    run = hessian.run
    monkeypatch.setattr(hessian, "run", lambda kernel, *given: members.append(given[0]) or run(kernel, *given))
    rows = np.random.default_rng(0).standard_normal((500, 9)).astype(np.float32)
    parameters = np.linspace(-1, 1, 10 * (classes or 1)).reshape(-1, 10)
    counts = [1, 2, 3]
    one, *others = (mean_hessian(cost_of(rows, classes, n_threads=k), parameters, rows, 1.0)[0] for k in counts)
    assert members == counts
    assert all(np.array_equal(one, other) for other in others)


def test_sums_of_many_features_take_little_room(monkeypatch):
    rows = np.random.default_rng(0).standard_normal((500, 9))
    monkeypatch.setattr(hessian, "_CHUNK_ROWS", 50)
    whole = mean_hessian(cost_of(rows), np.zeros((1, 10)), rows, 1.0)[0]
    monkeypatch.setattr(hessian, "_MOST_BYTES", 1)
    chunks = []
    run = hessian.run
    monkeypatch.setattr(hessian, "run", lambda kernel, *given: chunks.append(len(given[-1])) or run(kernel, *given))
    np.testing.assert_allclose(mean_hessian(cost_of(rows), np.zeros((1, 10)), rows, 1.0)[0], whole, rtol=1e-12)
    assert chunks == [2]


@pytest.mark.parametrize("form", [np.asarray, np.asfortranarray, sparse.csr_array], ids=["C", "F", "csr"])
@pytest.mark.parametrize("dtype", [np.uint8, np.float16, np.float32])
def test_rows_are_taken_in_any_form(form, dtype):
    if form is sparse.csr_array and dtype == np.float16:
        pytest.skip("SciPy has no such arrays")
    X = np.arange(20).reshape(5, 4).astype(dtype)
    rows = dense(check_rows(form(X)), np.float32)
    assert rows.flags.c_contiguous
    assert rows.dtype == np.float32
    np.testing.assert_array_equal(rows, X)


@pytest.mark.parametrize("order", ["C", "F"])
def test_rows_of_bfloat16_are_widened(order):
    X = np.arange(20, dtype=np.float32).reshape(5, 4)
    bits = np.asarray((X.view(np.uint32) >> 16).astype(np.uint16), order=order)
    np.testing.assert_array_equal(dense(check_rows(bits.view(bfloat16)), np.float32), X)


def solved(preconditioner, n):
    """The preconditioner's matrix."""
    return np.linalg.inv(np.column_stack([preconditioner.solve(row.reshape(1, -1))[0] for row in np.eye(n + 1)]))


def test_products_beyond_float32_are_made_in_float64():
    rows = np.random.default_rng(0).standard_normal((40, 2)).astype(np.float32)
    rows[3, 0] = 1e25
    cost = cost_of(np.repeat(rows, 2, axis=0), l2=1.0)
    preconditioner = Preconditioner(cost, Sample(np.arange(40), rows), 80)
    preconditioner.at(np.zeros((1, 3)), np.zeros((1, 3)))
    matrix = solved(preconditioner, 2)
    assert np.isfinite(matrix).all()
    assert matrix[0, 0] == pytest.approx(1e50 / 0.5**2 / 4 / 40 * 40 / 43, rel=1e-3)


def test_what_a_sample_lacks_of_a_variance_is_taken_to_be_there():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((1000, 2))
    X[:, 1] = 0
    cost = cost_of(X)
    cost.offset[:], cost.scale[:], cost.inverse_scale[:] = 0, 1, 1
    preconditioner = Preconditioner(cost, Sample(np.arange(500), X[:500]), 1000)
    preconditioner.at(np.zeros((1, 3)), np.zeros((1, 3)))
    matrix = solved(preconditioner, 2)
    assert matrix[1, 1] == pytest.approx(0.25, rel=0.01)
    assert matrix[0, 0] == pytest.approx(0.25 * max(1, np.mean(X[:500, 0] ** 2)), rel=0.01)


@slow_without_jit
def test_rare_features_need_few_iterations(monkeypatch):
    """Most of them are in no row of the sample, or in one."""
    rng = np.random.default_rng(0)
    m = 2000 if JIT_OFF else 6000
    X = np.column_stack([rng.standard_normal((m, 3)), rng.random((m, 12)) < 0.004])
    y = rng.random(m) < sigmoid(X @ np.linspace(-1, 1, 15))
    monkeypatch.setattr(preconditioning, "sample_size", lambda m, n: 150)
    monkeypatch.setattr(preconditioning, "_MOST_READS_AT_ONCE", 1e9)
    model = LogisticRegression(solver="newton-sample", C=1e3, tol=1e-6).fit(X, y)
    exact = LogisticRegression(solver="newton-cholesky", C=1e3, tol=1e-9).fit(X, y)
    np.testing.assert_allclose(model.coef_, exact.coef_, atol=1e-3)
    assert model.n_passes_ < (30 if JIT_OFF else 20)  # 38 and 36, if the missing variance isn't taken to be there


def test_newton_s_method_takes_the_hessian_of_all_rows_without_an_intercept_too():
    X, y = make_classes(300, 4, 2)
    model = LogisticRegression(solver="newton-cholesky", fit_intercept=False, tol=1e-10).fit(X, y)
    assert model.converged_
    assert model.n_iter_[0] < 10


@compiled
def test_a_hessian_is_taken_at_once_where_the_search_on_the_sample_was_slow(monkeypatch):
    rng = np.random.default_rng(0)
    even = rng.standard_normal((4000, 6))
    rotation = np.linalg.qr(rng.standard_normal((6, 6)))[0]
    monkeypatch.setattr(samples, "first_size", lambda m, n: m // 2)
    monkeypatch.setattr(preconditioning, "_MOST_READS_AT_ONCE", 0)
    made = []
    make = optimum.SampledCurvature
    monkeypatch.setattr(optimum, "SampledCurvature", lambda *given: made.append(make(*given)) or made[-1])
    for X, strength, slow in ((even, 1, False), (even * np.logspace(0, -2, 6) @ rotation, 2, True)):
        y = rng.random(4000) < sigmoid(strength * even.sum(axis=1))
        model = LogisticRegression(solver="newton-sample", tol=1e-6).fit(X, y)
        assert made[-1].at_once is slow
        assert model.converged_


def test_digits_that_float32_lacks_are_those_of_float64():
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((300, 8)).astype(np.float32)
    rows[:5, :6] = 1e9  # of which the scale knows nothing
    cost = cost_of(np.repeat(rows, 2, axis=0), l2=1.0)
    preconditioner = Preconditioner(cost, Sample(np.arange(300), rows), 600)
    with pytest.raises(np.linalg.LinAlgError):
        preconditioner._factored(np.zeros((1, 9)), rows)
    preconditioner.at(np.zeros((1, 9)), np.zeros((1, 9)))
    assert preconditioner._factor is not None
    np.testing.assert_array_equal(
        preconditioner._factor, preconditioner._factored(np.zeros((1, 9)), rows.astype(float))
    )


def test_a_hessian_that_can_t_be_had_leaves_the_one_before(monkeypatch):
    rows = np.random.default_rng(0).standard_normal((40, 2))
    cost = cost_of(rows, l2=1.0)
    preconditioner = Preconditioner(cost, Sample(np.arange(40), rows), 40)
    gradient = np.ones((1, 3))
    of_variance = preconditioner.solve(gradient)
    monkeypatch.setattr(preconditioning, "mean_hessian", lambda *_: (np.full((3, 3), np.nan), np.ones(2)))
    preconditioner.at(np.zeros((1, 3)), gradient)
    np.testing.assert_array_equal(preconditioner.solve(gradient), of_variance)


@compiled
def test_newton_cg_reads_x_once_at_most_for_a_better_bias():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((3000, 3))
    y = rng.random(3000) < sigmoid(X.sum(axis=1))
    model = LogisticRegression(solver="newton-cg", warm_start=True, C=1e-2).fit(X, y)
    y[:2] = ~y[:2]
    model.set_params(tol=1e-2).fit(X, y)  # ends before its first iteration
    assert model.n_iter_[0] == 0
    assert model.n_passes_ <= 2.1
