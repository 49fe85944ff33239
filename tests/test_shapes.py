"""Shapes that callers pass: the reference and its twins take the same ones, to the same values, and refuse the same."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import assert_close, make_classes, make_data

import jitlogit
from jitlogit import reference

M, N, K = 32, 5, 3
X, Y = make_data(M, N)
A = reference.forward_pass(X, np.full((N, 1), 0.1), 0.2)
W, B = np.linspace(-1, 1, N)[:, None], 0.5
CLASSES = make_classes(M, N, K)[1]

#: Arguments of a call that is right. The trainers stop early, since shapes are seen at the start.
CALLS = {
    "forward_pass": {"X": X, "W": W, "b": B, "offset": 0.5, "scale": np.ones(N)},
    "predict": {"X": X, "W": W, "b": B, "offset": 0.5, "scale": np.ones(N)},
    "compute_cost": {"A": A, "Y": Y},
    "compute_gradients": {"X": X, "Y": Y, "A": A},
    "update_parameters": {"W": W, "b": B, "dW": W, "db": B, "learning_rate": 0.1},
    "accuracy": {"predictions": Y, "Y": Y},
    "forward_softmax": {"X": X, "W": np.ones((N, K)), "b": np.arange(K)},
    "train_logistic_regression": {"X_train": X, "Y_train": Y, "num_iterations": 2, "sample_weight": np.ones(M)},
    "train_softmax_regression": {"X_train": X, "y_train": CLASSES, "num_iterations": 2, "sample_weight": np.ones(M)},
}
ROWS = ("Y", "A", "predictions", "Y_train", "y_train", "sample_weight")


def numbers(result):
    parts = result if isinstance(result, tuple) else (result,)
    return [np.asarray(part) for part in parts]


def cases(shapes):
    """Each argument of each function, in each of the shapes that `shapes` makes of it."""
    return [
        pytest.param(name, argument, wrong, id=f"{name}-{argument}-{np.shape(wrong)}")
        for name, arguments in CALLS.items()
        for argument, value in arguments.items()
        for wrong in shapes(name, argument, value)
    ]


def right(name, argument, value):
    if argument in ROWS:
        return [np.reshape(value, shape) for shape in ((1, M), (M,), (M, 1))]
    if argument in ("W", "dW") and name != "forward_softmax":
        return [np.ravel(value)]
    return [np.array([value]), np.array([[value]])] if argument == "db" or (argument == "b" and value is B) else []


def wrong(name, argument, value):
    if argument in ROWS:
        one_hot = np.eye(2)[np.ravel(value).astype(int) % 2]
        return [np.ravel(value)[:-1], np.ravel(value)[None, :-1], np.ravel(value).reshape(4, -1), one_hot.T, one_hot]
    if argument in ("X", "X_train"):
        return [value.T, value[0], value[:, :0], value[None]]
    if argument in ("W", "dW"):
        return [value.T, value[1:], np.ones((M, 1)), np.ones((N, N))]
    if argument in ("offset", "scale"):
        return [np.ones((N, 1)), np.ones((1, N)), np.ones(M)]
    return [np.zeros(M), np.zeros((1, N))] if argument in ("b", "db") else []


@pytest.mark.parametrize(("name", "argument", "value"), cases(right))
def test_rows_columns_and_vectors_mean_the_same(name, argument, value):
    expected = numbers(getattr(reference, name)(**CALLS[name]))
    for module in (reference, jitlogit):
        actual = numbers(getattr(module, name)(**CALLS[name] | {argument: value}))
        assert [part.shape for part in actual] == [part.shape for part in expected]
        for ours, theirs in zip(actual, expected, strict=True):
            assert_close(ours, theirs, 1e-12)


@pytest.mark.parametrize(("name", "argument", "value"), cases(wrong))
def test_wrong_shapes_are_errors(name, argument, value):
    for module in (reference, jitlogit):
        with pytest.raises((ValueError, TypeError)) as caught:
            getattr(module, name)(**CALLS[name] | {argument: value})
        text = str(caught.value)
        if module is reference:  # what was expected, what came, what to do
            assert " must " in text
            assert "; got shape (" in text
            assert ": " in text.split("; got shape ")[1]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: reference.forward_pass(X.T, W, B),
            "W must hold one number for each of the 32 features of X, as shape (32, 1); got shape (5, 1): samples are "
            "the rows of X (m, n): pass X.T if they are the columns of yours",
        ),
        (
            lambda: reference.compute_gradients(X, Y[:, :-1], A),
            "Y must hold one value for each of the 32 samples of X, as shape (1, 32); got shape (1, 31): samples are "
            "the rows of X (m, n): pass X.T if they are the columns of yours",
        ),
        (
            lambda: reference.train_logistic_regression(X, np.eye(2)[Y[0].astype(int)]),
            "Y_train must hold one value for each of the 32 samples of X, as shape (1, 32); got shape (32, 2): Y_train "
            "is one row; of one-hot labels, argmax gives the classes, for train_softmax_regression",
        ),
        (
            lambda: reference.compute_cost(A, Y[:, 1:]),
            "Y must hold one value for each of the 32 samples of A, as shape (1, 32); got shape (1, 31): pass A and Y "
            "of the same samples",
        ),
        (
            lambda: reference.update_parameters(W, B, W.T, B, 0.1),
            "dW must hold one number for each of the 5 weights of W, as shape (5, 1); got shape (1, 5): pass dW.T",
        ),
    ],
)
def test_errors_say_what_to_do(call, message):
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        call()
    assert str(caught.value) == message


def test_columns_of_labels_give_the_gradient_of_rows():
    dW, db = reference.compute_gradients(X, Y.T, A)
    assert dW.shape == (N, 1)
    expected, bias = reference.compute_gradients(X, Y, A)
    assert np.array_equal(dW, expected)
    assert db == bias
