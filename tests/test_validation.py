"""Bad input: an error that names the argument, what was expected and what came; and no input is ever changed."""

from __future__ import annotations

import sys
import warnings

import numpy as np
import pytest
import scipy.sparse
from conftest import compiled, make_data

import jitlogit

X, Y = make_data(20, 3)
W = np.zeros((3, 1))
A = np.full((1, 20), 0.5)


def with_value(array, index, value):
    array = np.array(array)
    array[index] = value
    return array


@pytest.mark.parametrize(
    ("bad", "error", "message"),
    [
        (X[0], ValueError, r"X_train must be a 2-D array .* got shape \(3,\).*reshape"),
        (X[None], ValueError, r"X_train must be a 2-D array .* got shape \(1, 20, 3\)"),
        (3.0, ValueError, r"X_train must be a 2-D array .* got shape \(\)"),
        (X[:0], ValueError, r"X_train must have at least one example and one feature; got shape \(0, 3\)"),
        (X[:, :0], ValueError, r"X_train must have at least one example and one feature; got shape \(20, 0\)"),
        (
            X.astype(str),
            TypeError,
            r"X_train must hold numbers: columns 0, 1 and 2 hold numbers as text, .*: convert them",
        ),
        (X.astype(complex), TypeError, "X_train must hold real numbers; got dtype complex128"),
        (
            np.full((20, 3), "a", object),
            TypeError,
            "X_train must hold numbers: columns 0, 1 and 2 hold text, e.g. 'a': encode them",
        ),
        (
            np.zeros((20, 3), "M8[s]"),
            TypeError,
            "X_train must hold numbers: columns 0, 1 and 2 hold dates or times, e.g. 1970-01-01T00:00:00: turn",
        ),
        ([[1.0, 2.0], [3.0]], ValueError, "X_train must be an array of numbers with rows of equal length"),
        (np.ma.masked_array(X, X > 0), TypeError, "X_train must not be a masked array"),
        (
            scipy.sparse.csr_array(X),
            TypeError,
            r"X_train must be a dense array; got csr_array: jitlogit.LogisticRegression and .* take sparse",
        ),
        (
            with_value(X, (7, 2), np.nan),
            ValueError,
            r"must be finite, without NaN and inf; X_train\[7, 2\] is nan",
        ),
        (
            with_value(X, (0, 1), np.inf),
            ValueError,
            r"must be finite, without NaN and inf; X_train\[0, 1\] is inf",
        ),
        (
            with_value(X, (19, 0), -np.inf),
            ValueError,
            r"must be finite, without NaN and inf; X_train\[19, 0\] is -inf",
        ),
    ],
)
@pytest.mark.parametrize("batch_size", [None, 4])
def test_bad_features(bad, error, message, batch_size):
    with pytest.raises(error, match=message):
        jitlogit.train_logistic_regression(bad, Y, batch_size=batch_size, num_iterations=2)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_not_finite_anywhere(value, dtype, order):
    for i in range(0, 20, 6):
        for j in range(3):
            bad = np.asarray(with_value(X, (i, j), value), dtype, order)
            message = rf"\[{i}, {j}\] is {value}"
            with pytest.raises(ValueError, match=message):
                jitlogit.train_logistic_regression(bad, Y, num_iterations=1)
            for weights in (W, W + 1):
                with pytest.raises(ValueError, match=message):
                    jitlogit.forward_pass(bad, weights, 0.0)
            with pytest.raises(ValueError, match=message):
                jitlogit.compute_gradients(bad, Y, A)


@pytest.mark.parametrize(
    ("bad", "error", "message"),
    [
        (Y[:, :-1], ValueError, r"Y_train must hold one label for each of the 20 examples.*got shape \(1, 19\)"),
        (np.zeros((20, 2)), ValueError, r"Y_train must hold one label .* got shape \(20, 2\)"),
        (np.zeros((4, 5)), ValueError, r"Y_train must hold one label .* got shape \(4, 5\)"),
        (Y * 2 - 1, ValueError, "Y_train must hold the labels 0 and 1 only; found -1, 1: map"),
        (np.arange(20), ValueError, r"found 0, 1, 2, 3, 4, 5, \.\.\.: map"),
        (Y * 0.5, ValueError, r"found 0\.0, 0\.5"),
        (
            with_value(Y.astype(float), (0, 3), np.nan),
            ValueError,
            "Input Y_train contains NaN: 1 of 20 labels are missing; drop these rows",
        ),
        (
            np.where(Y[0], "yes", "no"),
            TypeError,
            "Y_train must hold numbers; it holds text, e.g. '.*': encode it, say with LabelEncoder, or use",
        ),
    ],
)
def test_bad_labels(bad, error, message):
    with pytest.raises(error, match=message):
        jitlogit.train_logistic_regression(X, bad)


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("learning_rate", 0, ValueError),
        ("learning_rate", -0.1, ValueError),
        ("learning_rate", np.inf, ValueError),
        ("learning_rate", np.nan, ValueError),
        ("learning_rate", "0.1", TypeError),
        ("learning_rate", None, TypeError),
        ("learning_rate", True, TypeError),
        ("learning_rate", 10**400, ValueError),
        ("num_iterations", 0, ValueError),
        ("num_iterations", -5, ValueError),
        ("num_iterations", 2.5, ValueError),
        ("num_iterations", None, TypeError),
        ("batch_size", 0, ValueError),
        ("batch_size", -32, ValueError),
        ("batch_size", 0.5, ValueError),
        ("batch_size", "32", TypeError),
        ("batch_size", True, TypeError),
        ("record_every", 0, ValueError),
        ("record_every", 1.5, ValueError),
    ],
)
def test_bad_numbers(name, value, error):
    with pytest.raises(error, match=rf"{name} must .*; got {value!r}"):
        jitlogit.train_logistic_regression(X, Y, **{name: value})


def test_bad_random_state():
    for value in ("seed", -1):
        with pytest.raises((TypeError, ValueError), match=f"random_state must be .* got {value!r}"):
            jitlogit.train_logistic_regression(X, Y, batch_size=4, random_state=value)


def test_bad_shuffle():
    with pytest.raises(ValueError, match="shuffle must be True, False or \"blocks\"; got 'no'"):
        jitlogit.train_logistic_regression(X, Y, batch_size=4, shuffle="no")


def test_numpy_numbers_are_numbers():
    expected, *_ = jitlogit.train_logistic_regression(X, Y, 0.1, 2, batch_size=4, random_state=0)
    W, *_ = jitlogit.train_logistic_regression(
        X, Y, np.float32(0.1), np.int8(2), batch_size=np.array(4), random_state=np.int64(0)
    )
    assert np.allclose(W, expected, rtol=1e-6)


def test_a_short_run_that_diverged_says_so():
    with pytest.warns(RuntimeWarning, match="diverged in iteration 49"):
        jitlogit.train_logistic_regression(X * 1e3, Y, 100.0, 50)
    with pytest.warns(RuntimeWarning, match="diverged in iteration 49"):
        jitlogit.reference.train_logistic_regression(X * 1e3, Y, 100.0, 50)


def test_a_batch_larger_than_the_set_is_clipped_with_a_warning():
    with pytest.warns(UserWarning, match="batch_size=21 is more than the 20 examples and was clipped to 20"):
        W, *_ = jitlogit.train_logistic_regression(X, Y, 0.1, 2, batch_size=21, random_state=0)
    expected, *_ = jitlogit.train_logistic_regression(X, Y, 0.1, 2, batch_size=20, random_state=0)
    assert np.array_equal(W, expected)


@pytest.mark.parametrize(
    ("weights", "bias", "error", "message"),
    [
        (
            W[:-1],
            0,
            ValueError,
            r"W must hold one weight for each of the 3 features, as shape \(3, 1\); got shape \(2, 1\)",
        ),
        (W.T, 0, ValueError, r"W must hold .* got shape \(1, 3\)"),
        (W + np.nan, 0, ValueError, "W must be finite"),
        (W, np.inf, ValueError, "b must be finite; got inf"),
        (W, "0", TypeError, "b must be a number; got '0'"),
        (W, [0, 1], TypeError, "b must be a number"),
    ],
)
def test_bad_parameters(weights, bias, error, message):
    with pytest.raises(error, match=message):
        jitlogit.forward_pass(X, weights, bias)
    with pytest.raises(error, match=message):
        jitlogit.predict(X, weights, bias)


@pytest.mark.parametrize("threshold", [-0.1, 1.1, np.nan])
def test_bad_threshold(threshold):
    with pytest.raises(ValueError, match="threshold"):
        jitlogit.predict(X, W, 0, threshold)


def test_bad_probabilities():
    with pytest.raises(ValueError, match=r"A must hold probabilities between 0 and 1; found -1 to 0\.5"):
        jitlogit.compute_cost(with_value(A, (0, 0), -1), Y)
    with pytest.raises(ValueError, match="A must hold probabilities"):
        jitlogit.compute_cost(with_value(A, (0, 0), np.nan), Y)
    with pytest.raises(ValueError, match=r"A must be a row .* got shape \(4, 5\)"):
        jitlogit.compute_cost(A.reshape(4, 5), Y)
    with pytest.raises(ValueError, match="A must hold one probability for each of the 20 examples; got 19"):
        jitlogit.compute_gradients(X, Y, A[:, 1:])


def test_bad_update_and_accuracy():
    with pytest.raises(ValueError, match="dW must hold one weight for each of the 3 features"):
        jitlogit.update_parameters(W, 0, W[:2], 0, 0.1)
    with pytest.raises(ValueError, match="learning_rate must be positive; got 0"):
        jitlogit.update_parameters(W, 0, W, 0, 0)
    with pytest.raises(ValueError, match="Y must hold one label for each of the 20 examples"):
        jitlogit.accuracy(Y, Y[:, :3])
    with pytest.raises(ValueError, match=r"predictions must hold the labels 0 and 1 only; found 0\.3, 0\.7"):
        jitlogit.accuracy([0.3, 0.7], [0, 1])
    with pytest.raises(ValueError, match="overflows float32"):
        jitlogit.update_parameters(W.astype("f"), 0, np.ones((3, 1)), 0, 1e300)
    with pytest.raises(TypeError, match="z must hold numbers"):
        jitlogit.sigmoid("a")


@compiled
def test_overflowing_scores_are_an_error():
    """inf - inf has no probability; a plain overflow does."""
    with pytest.raises(ValueError, match="the scores overflow"):
        jitlogit.forward_pass([[1e300, -1e300] * 32], [[1e300]] * 64, 0)
    assert jitlogit.forward_pass([[1e300]], [[1e300]], 0) == 1


@compiled
def test_infinities_in_different_chunks_are_found():
    large = np.ones((40_000, 20))
    large[3, 5], large[39_000, 5] = np.inf, -np.inf
    with pytest.raises(ValueError, match=r"X\[3, 5\] is inf"):
        jitlogit.compute_gradients(large, np.zeros(40_000), np.full(40_000, 0.5))


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("writeable", [False, True])
def test_no_input_is_changed(order, writeable):
    inputs = [np.array(array, order=order) for array in (X, Y, W, A)]
    copies = [array.copy() for array in inputs]
    for array in inputs:
        array.flags.writeable = writeable
    x, y, w, a = inputs
    jitlogit.train_logistic_regression(x, y, batch_size=4, num_iterations=3)
    jitlogit.forward_pass(x, w, 0)
    jitlogit.compute_cost(a, y)
    jitlogit.compute_gradients(x, y, a)
    jitlogit.update_parameters(w, 0.0, w, 0.0, 0.1)
    jitlogit.predict(x, w, 0)
    jitlogit.accuracy(y, y)
    for array, copy in zip(inputs, copies, strict=True):
        assert np.array_equal(array, copy)
        assert array.flags.writeable == writeable


@pytest.mark.parametrize("batch_size", [None, 4])
def test_divergence_warns_with_a_rate_that_works(batch_size):
    large = X * 1e3
    with pytest.warns(RuntimeWarning, match="learning_rate=100 is too large; scale .* about .* safe") as caught:
        weights, _, costs = jitlogit.train_logistic_regression(
            large, Y, 100.0, 1000, batch_size=batch_size, random_state=0, record_every=1
        )
    assert 1 <= len(costs) < 1000
    assert np.isfinite(weights).all()
    assert caught[0].filename == __file__
    safe = float(str(caught[0].message).split("about ")[1].split(",")[0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        *_, costs = jitlogit.train_logistic_regression(large, Y, safe, 100, record_every=1)
    assert costs == sorted(costs, reverse=True)


def test_divergence_agrees_with_the_reference():
    for scale, rate in ((1e3, 100.0), (1e200, 1e200)):
        results = []
        for train in (jitlogit.train_logistic_regression, jitlogit.reference.train_logistic_regression):
            with pytest.warns(RuntimeWarning, match="diverged"):
                results.append(train(X * scale, Y, rate, 50, record_every=1))
        (fast_W, _, fast_costs), (slow_W, _, slow_costs) = results
        assert len(fast_costs) == len(slow_costs)
        assert np.allclose(fast_W, slow_W, rtol=1e-12)


def test_progress_prints_recorded_costs(capsys):
    *_, costs = jitlogit.train_logistic_regression(X, Y, 0.1, 201, verbose=True)
    expected = [f"Cost at iteration {i}: {cost:.6f}" for i, cost in zip((0, 100, 200), costs, strict=True)]
    assert capsys.readouterr().out.splitlines() == expected


def test_progress_on_a_terminal_is_a_live_bar(capsys, monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    *_, costs = jitlogit.train_logistic_regression(X, Y, 0.1, 201, verbose=True)
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    assert "201/201" in out.split("\r")[-1]
    assert f"cost {costs[-1]:.6f}" in out.split("\r")[-1]
    jitlogit.reference.train_logistic_regression(X, Y, 0.1, 201, verbose=True)
    assert capsys.readouterr().out.count("\n") == 1


def test_progress_without_tqdm_is_plain_lines(capsys, monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setitem(sys.modules, "tqdm", None)
    jitlogit.train_logistic_regression(X, Y, 0.1, 201, verbose=True)
    assert len(capsys.readouterr().out.splitlines()) == 3
