"""The reference against things that don't share its code: literals, finite differences, scikit-learn's optimum."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from conftest import assert_close, make_data
from scipy.stats import chisquare
from sklearn.linear_model import LogisticRegression

from jitlogit import reference

# Worked by hand (30 digits): scores 0.1 and 1.85.
X = np.array([[1.0, 2.0], [3.0, -1.0]])
W = np.array([[0.5], [-0.25]])
B = 0.1
Y = np.array([[0, 1]])
A = np.array([[0.52497918747894000, 0.86412710299090574]])


def test_forward_pass_literal():
    assert_close(reference.forward_pass(X, W, B), A, 1e-15)


def test_cost_literal():
    assert_close(reference.compute_cost(A, Y), 0.44521603556404049, 1e-15)


def test_gradient_literal():
    dW, db = reference.compute_gradients(X, Y, A)
    assert dW.shape == (2, 1)
    assert_close(dW, [[0.058680248225828596], [0.59291563598348712]], 1e-14)
    assert_close(db, 0.19455314523492286, 1e-14)


def test_update_literal():
    new_W, new_b = reference.update_parameters(W, B, np.array([[1.0], [-2.0]]), 0.5, 0.1)
    assert_close(new_W, [[0.4], [-0.05]], 1e-15)
    assert_close(new_b, 0.05, 1e-15)
    assert W[0, 0] == 0.5


def test_predict_and_accuracy_literal():
    assert reference.predict(X, W, B).tolist() == [[1, 1]]
    assert reference.predict(X, W, B, threshold=0.6).tolist() == [[0, 1]]
    assert reference.predict(np.zeros((1, 2)), W, 0.0).tolist() == [[1]]  # exactly 0.5 counts as 1
    assert reference.accuracy([[1, 1]], Y) == 0.5


@pytest.mark.parametrize(
    ("z", "expected"),
    [
        (0, 0.5),
        (37, 1 - 8.533047625744066e-17),
        (-37, 8.533047625744066e-17),
        (-700, 9.859676543759770e-305),
        (1000, 1.0),
        (-1000, 0.0),
        (1e20, 1.0),
        (-1e20, 0.0),
        (np.inf, 1.0),
        (-np.inf, 0.0),
    ],
)
def test_sigmoid_literals(z, expected):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        actual = reference.sigmoid(z)
    assert abs(actual - expected) <= 1e-15 * expected


def test_gradient_is_that_of_the_cost():
    X, Y = make_data(50, 3)
    W, b = np.array([[0.3], [-0.7], [1.1]]), -0.2
    dW, db = reference.compute_gradients(X, Y, reference.forward_pass(X, W, b))
    h = 1e-6

    def cost(W, b):
        return reference.compute_cost(reference.forward_pass(X, W, b), Y)

    for j in range(3):
        step = np.zeros((3, 1))
        step[j] = h
        assert dW[j, 0] == pytest.approx((cost(W + step, b) - cost(W - step, b)) / (2 * h), rel=1e-7)
    assert db == pytest.approx((cost(W, b + h) - cost(W, b - h)) / (2 * h), rel=1e-7)


def test_batch_gradient_descent_reaches_the_optimum():
    X, Y = make_data(400, 3)
    W, b, costs = reference.train_logistic_regression(X, Y, 0.5, 3000)
    optimum = LogisticRegression(C=np.inf, tol=1e-12, max_iter=10_000).fit(X, Y[0])
    assert_close(W.ravel(), optimum.coef_[0], 1e-5)
    assert_close(b, optimum.intercept_[0], 1e-5)
    assert costs == sorted(costs, reverse=True)


def test_recorded_costs_of_batch_descent_are_those_before_the_update():
    X, Y = make_data(60, 2)
    *_, costs = reference.train_logistic_regression(X, Y, 0.1, 250)
    assert len(costs) == 3
    assert costs[0] == pytest.approx(np.log(2), rel=1e-15)
    W, b, _ = reference.train_logistic_regression(X, Y, 0.1, 100)
    assert costs[1] == pytest.approx(reference.compute_cost(reference.forward_pass(X, W, b), Y), rel=1e-13)


def test_recorded_cost_of_mini_batches_is_the_mean_loss_before_each_update():
    X, Y = make_data(5, 2)
    W, b, costs = reference.train_logistic_regression(X, Y, 0.5, 1, batch_size=2, shuffle=False, record_every=1)
    expected, V, c = 0.0, np.zeros((2, 1)), 0.0
    for rows in ([0, 1], [2, 3], [4]):  # the last batch is short
        A = reference.forward_pass(X[rows], V, c)
        expected += len(rows) * reference.compute_cost(A, Y[:, rows])
        dW, db = reference.compute_gradients(X[rows], Y[:, rows], A)
        V, c = reference.update_parameters(V, c, dW, db, 0.5)
    assert costs == [pytest.approx(expected / 5, rel=1e-13)]
    assert_close(W, V, 1e-14)
    assert_close(b, c, 1e-14)


@pytest.mark.parametrize("label", [0, 1])
def test_cost_and_gradient_are_exact_at_saturated_scores(label):
    # One row x = 1000: the first update makes the score +-1000 * 500, on the right side of the label.
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        W, _, costs = reference.train_logistic_regression([[1000.0]], [label], 1.0, 2, record_every=1)
    assert costs == [pytest.approx(np.log(2)), 0.0]
    assert W[0, 0] == (500 if label else -500)


def test_cost_of_saturated_wrong_scores_comes_from_the_scores():
    # Two equal rows of opposite labels: after one update of a batch of the first, z = 500.5 * 1 for the second.
    X, Y = [[1.0], [1.0]], [1, 0]
    with pytest.warns(RuntimeWarning, match="training ended at a cost of 250, above the 0.693"):
        *_, costs = reference.train_logistic_regression(X, Y, 500.0, 1, batch_size=1, shuffle=False)
    assert costs == [pytest.approx((np.log(2) + 500) / 2, rel=1e-15)]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_compute_cost_clips_certain_probabilities(dtype):
    eps = np.finfo(dtype).eps
    assert reference.compute_cost(np.array([[0, 1]], dtype), [[1, 0]]) == pytest.approx(-np.log(eps), rel=1e-6)


def test_single_precision_stays_single():
    X, Y = make_data(20, 2, np.float32)
    W, b, _ = reference.train_logistic_regression(X, Y, 0.1, 3)
    assert W.dtype == np.float32
    assert reference.forward_pass(X, W, b).dtype == np.float32


def test_divergence_warns_and_returns_what_was_finite():
    X, Y = make_data(50, 2)
    with pytest.warns(RuntimeWarning, match="diverged in iteration 1"):
        W, _, costs = reference.train_logistic_regression(X * 1e4, Y, 1e3, 100, record_every=1)
    assert len(costs) == 2
    assert np.isfinite(W).all()
    with pytest.warns(RuntimeWarning, match="diverged"):
        W, _, costs = reference.train_logistic_regression(X * 1e200, Y, 1e200, 100, record_every=1)
    assert np.isfinite(W).all()


@pytest.mark.parametrize("m", [1, 2, 3, 5, 9_999, 10_000, 10_001, 10_200, 10_201, 10_202, 12_345])
def test_shuffled_order_is_a_permutation(m):
    order = reference.shuffled_order(m, np.random.default_rng(0))
    assert np.array_equal(np.sort(order), np.arange(m))


def test_shuffled_order_is_uniform():
    """Where an example lands, and how far apart neighbours land, are those of a fair shuffle."""
    rng = np.random.default_rng(0)
    m = reference.SMALL_SHUFFLE + 11
    landed, gaps = np.zeros((50, 50)), np.zeros(100)
    pairs = np.zeros((20, 20))  # where rows 0 and 1, in one row of the grid, and 0 and 101, in one column, land
    columns = np.zeros((20, 20))
    for _ in range(1000):
        order = reference.shuffled_order(m, rng)
        np.add.at(landed, (np.arange(m) * 50 // m, order * 50 // m), 1)
        gaps += np.bincount(np.diff(order) % m * 100 // m, minlength=100)
        coarse = order * 20 // m
        pairs[coarse[0], coarse[1]] += 1
        columns[coarse[0], coarse[101]] += 1
    for counts in (landed, gaps, pairs, columns):
        assert chisquare(counts.ravel()).pvalue > 1e-3
    # few distinct orders of few examples would be found out here
    orders = {tuple(reference.shuffled_order(6, rng)) for _ in range(20_000)}
    assert len(orders) == 720


def test_progress_prints_recorded_costs(capsys):
    X, Y = make_data(20, 2)
    *_, costs = reference.train_logistic_regression(X, Y, 0.1, 201, verbose=True)
    expected = [f"Cost at iteration {i}: {cost:.6f}" for i, cost in zip((0, 100, 200), costs, strict=True)]
    assert capsys.readouterr().out.splitlines() == expected
