"""The certificate: a bound on how far a cost is from the least one, never below the truth."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from conftest import JIT_OFF, make_classes, make_data, objective
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.exceptions import ConvergenceWarning

from jitlogit import LogisticRegression
from jitlogit.data.validation import check_rows
from jitlogit.kernels.steps.labels import with_padding
from jitlogit.optimum import certificate
from jitlogit.optimum.cost import Cost
from jitlogit.optimum.lbfgs import Found, Stopping, minimise

M = 60 if JIT_OFF else 400


@settings(max_examples=20 if JIT_OFF else 200, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    n=st.integers(1, 6),
    classes=st.sampled_from([2, 3]),
    C=st.sampled_from([1e-4, 1e-2, 1.0, 100.0]),
    tol=st.sampled_from([1e-1, 1e-2, 1e-4]),
    dtype=st.sampled_from([np.float32, np.float64]),
)
def test_the_certificate_is_never_below_the_truth(seed, n, classes, C, tol, dtype):
    X, y = make_classes(40, n, classes, seed)
    X = X.astype(dtype)
    assume(len(np.unique(y)) == classes)
    model = LogisticRegression(C=C, tol=tol, random_state=0).fit(X, y)
    exact = LogisticRegression(C=C, tol=1e-10, random_state=0).fit(X.astype(np.float64), y)
    least = objective(exact, X, y, C) - exact.optimality_gap_
    assert objective(model, X, y, C) - least <= model.optimality_gap_ + 2 * exact.optimality_gap_ + 1e-12


def test_without_a_penalty_the_bound_is_that_losses_are_not_negative():
    X, Y = make_data(M, 3)
    model = LogisticRegression(C=np.inf).fit(X, Y[0])
    assert model.optimality_gap_ == model.objective_


def test_a_bias_is_bettered_where_it_makes_most_of_the_bound_but_never_where_it_raises_the_cost():
    X, y = make_classes(M, 3, 2)
    labels = with_padding(y.astype(np.uint8))
    cost = Cost(check_rows(X), labels, None, None, np.zeros(3), np.ones(3), np.full(3, 0.1), True, 1)
    best = minimise(cost, np.zeros((1, 4)), lambda g: g, Stopping(1e-10, 500, 1e-13))
    off = best.parameters + np.array([0, 0, 0, 1e-3])
    found = Found(off, *cost(off), 3)
    better, gap = certificate.certify(cost, found, 0.0, np.random.default_rng(0))
    assert better.cost < found.cost
    assert abs(better.gradient[0, -1]) < 0.1 * abs(found.gradient[0, -1])
    assert better.cost - best.cost <= gap < sum(certificate._gap(cost, found))
    wrong = found._replace(gradient=-found.gradient)  # a step the other way
    assert certificate.certify(cost, wrong, 0.0, np.random.default_rng(0))[0] is wrong


@pytest.mark.parametrize(
    ("parts", "tol", "reads"), [((1.0, 9.0), 1.0, 0), ((1.0, 11.0), 1.0, 1), ((1.0, 9.0), 0.0, 1), ((1.0, 0.9), 0.0, 0)]
)
def test_a_better_bias_is_worth_a_read_only_for_a_bound_much_tighter_or_where_the_gradient_tells_nothing(
    parts, tol, reads, monkeypatch
):
    X, y = make_classes(M, 3, 2)
    labels = with_padding(y.astype(np.uint8))
    cost = Cost(check_rows(X), labels, None, None, np.zeros(3), np.ones(3), np.full(3, 0.1), True, 1)
    begin = np.array([[0.0, 0.0, 0.0, 1e-3]])
    found = Found(begin, *cost(begin), 3)
    monkeypatch.setattr(certificate, "_gap", lambda *_: parts)
    certificate.certify(cost, found, tol, np.random.default_rng(0))
    assert cost.passes == 1 + reads


def test_the_read_for_a_better_bias_is_that_of_the_next_step_where_the_search_is_at_its_end(monkeypatch):
    X, y = make_classes(M, 3, 2)
    labels = with_padding(y.astype(np.uint8))
    cost = Cost(check_rows(X), labels, None, None, np.zeros(3), np.ones(3), np.full(3, 0.1), True, 1)
    found, best = (
        minimise(cost, np.zeros((1, 4)), lambda g: 4 * g, Stopping(tol, 500, 1e-13)) for tol in (1e-3, 1e-10)
    )
    monkeypatch.setattr(certificate, "_gap", lambda *_: (1.0, 11.0))
    with_step, without = (certificate.certify(cost, found, tol, np.random.default_rng(0))[0] for tol in (1.0, 0.0))
    off = found.parameters + found.next_step()
    np.testing.assert_array_equal(with_step.parameters[:, :-1], off[:, :-1])
    np.testing.assert_array_equal(without.parameters[:, :-1], found.parameters[:, :-1])
    assert with_step.cost - best.cost < without.cost - best.cost
    assert with_step.iterations == found.iterations


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("l1_ratio", [0.0, 0.5, 1.0])
def test_the_bound_holds_far_from_the_minimum_too(classes, l1_ratio):
    X, y = make_classes(M, 3, classes)
    model = LogisticRegression(l1_ratio=l1_ratio, tol=1e-9, max_iter=5000).fit(X, y)
    least, coef = model.objective_, model.coef_.copy()
    for far in (0.1, 3, 30, 300):
        model.set_params(warm_start=True, max_iter=1, solver="proximal" if l1_ratio else "gd")
        model.coef_, model.intercept_ = coef * far, np.linspace(far, -far, len(coef))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(X, y)
        assert model.objective_ - least <= model.optimality_gap_
        assert model.optimality_gap_ <= model.objective_
