"""The loop over epochs: going back where training diverges, and stopping where it is asked to."""

from __future__ import annotations

import signal
import threading

import numpy as np
import pytest
from conftest import JIT_OFF, assert_close, make_data
from sklearn.datasets import make_blobs

import jitlogit
from jitlogit import MiniBatchLogisticRegression
from jitlogit.data.validation import check_labels, check_X
from jitlogit.estimators.interrupts import stopped_by_interrupt
from jitlogit.training.loop import train
from jitlogit.training.problem import Problem, Steps


def trained(X, Y, rate, n_epochs=20, alpha=0.0, initial=None, **options):
    labels = check_labels(Y, len(X))
    problem = Problem(check_X(X), labels, len(X), shuffle=False, steps=Steps(alpha=alpha), initial=initial)
    return train(problem, rate, n_epochs, np.random.default_rng(0), 1, **options)


def test_what_diverges_goes_on_from_the_best_with_half_of_the_rate():
    X, Y = make_data(60, 3)
    seen = []
    result = trained(X, Y, 1e4, retry=True, alpha=0.01, on_epoch=lambda epoch: (seen.append(epoch) or False, np.nan))
    assert not result.diverged
    assert result.n_epochs == 20
    assert max(result.costs) <= 2 * np.log(2)
    rates = [epoch.learning_rate for epoch in seen]
    assert rates[-1] < 1e4
    assert np.log2(1e4 / rates[-1]) == pytest.approx(round(np.log2(1e4 / rates[-1])))
    assert seen[-1].number == 19
    slow = trained(X, Y, rates[-1], alpha=0.01)
    assert result.costs[0] == slow.costs[0]


def test_a_rate_beyond_reason_is_an_error():
    X, Y = make_data(60, 3)
    with pytest.raises(ValueError, match="training diverges at any learning rate"):
        trained(X, Y, 1e300, retry=True, alpha=1.0)


@pytest.mark.parametrize("seed", [0, 1])
def test_costs_that_near_zero_undo_no_epochs(seed):
    """Twice next to nothing is next to nothing: an epoch of separable data may cost more and be sound."""
    X, y = make_blobs(100, 30 if JIT_OFF else 300, centers=5, random_state=seed)
    epochs = []
    model = MiniBatchLogisticRegression(random_state=0, max_iter=50 if JIT_OFF else "auto")
    model.set_params(callbacks=lambda state: epochs.append(state["epoch"])).fit(X, y)
    assert epochs == list(range(model.n_iter_))
    assert model.score(X, y) == 1


def test_a_callback_stops_training():
    X, Y = make_data(60, 3)
    result = trained(X, Y, 0.1, on_epoch=lambda epoch: (epoch.number == 4, np.nan))
    assert result.n_epochs == 5
    assert len(result.costs) == 5


def test_training_goes_on_from_where_it_is_told_to():
    X, Y = make_data(60, 3)
    whole = trained(X, Y, 0.1, n_epochs=6)
    part = trained(X, Y, 0.1, n_epochs=3)
    rest = trained(X, Y, 0.1, n_epochs=3, initial=np.column_stack([part.weights, part.bias]))
    assert_close(rest.weights, whole.weights, 1e-12)
    assert_close(rest.bias, whole.bias, 1e-12)


def test_an_interrupt_is_noted_and_a_second_one_raised():
    usual = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with stopped_by_interrupt() as interrupted:
            signal.raise_signal(signal.SIGINT)
            assert interrupted == [signal.SIGINT]
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, usual)


def test_interrupts_elsewhere_are_left_alone():
    handlers = []

    def run():
        with stopped_by_interrupt() as interrupted:
            handlers.append((interrupted, signal.getsignal(signal.SIGINT)))

    usual = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert handlers == [([], usual)]


@pytest.mark.parametrize(
    ("W", "b", "words"),
    [
        (np.ones((3, 2)), np.ones(3), "W must have shape"),
        (np.ones((2, 1)), np.ones(1), "of two classes or more"),
        (np.full((2, 2), np.nan), np.ones(2), "W and b must be finite"),
    ],
)
def test_bad_parameters_of_classes(W, b, words):
    with pytest.raises(ValueError, match=words):
        jitlogit.forward_softmax(np.ones((4, 2)), W, b)


def test_scores_of_classes_that_overflow():
    with pytest.raises(ValueError, match="overflow"):
        jitlogit.forward_softmax(np.full((4, 2), 1e300), np.full((2, 2), 1e300), np.zeros(2))
    with pytest.raises(ValueError, match=r"X\[1, 0\] is nan"):
        jitlogit.forward_softmax([[1.0, 2.0], [np.nan, 1.0]], np.ones((2, 2)), np.zeros(2))
    with pytest.warns(RuntimeWarning, match="training diverged"):
        jitlogit.train_softmax_regression(np.full((4, 1), 1e150), [0, 1, 2, 0], 1e200, 3)
