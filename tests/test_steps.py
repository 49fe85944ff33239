"""Optimizers, penalties, schedules, averages and weights of examples: the reference against closed forms, scikit-learn
and repeated examples; kernels against the reference."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import JIT_OFF, any_members, assert_close, make_data
from sklearn.linear_model import LogisticRegression

import jitlogit
from jitlogit import reference
from jitlogit.kernels.steps.update import OPTIMIZERS
from jitlogit.training.order import shuffled_blocks
from jitlogit.training.schedule import SCHEDULES, Schedule

TOLERANCE = {"float64": 1e-10, "float32": 1e-4}  # of some hundred updates, rounding the scores differently
RATES = {"sgd": 0.3, "momentum": 0.1, "nesterov": 0.1, "adagrad": 0.3, "adam": 0.02}
M = 150 if JIT_OFF else 3000


# The reference.


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("sgd", [2.0, -1.0]),
        ("momentum", [2.0, 0.8]),
        ("nesterov", [3.8, -0.28]),
        ("adagrad", [1.0, -1 / np.sqrt(5)]),
        # v: 0.2, 0.08; q: 0.004, 0.004996; corrected by 0.1, 0.19 and 0.001, 0.001999
        ("adam", [1.0, (0.08 / 0.19) / np.sqrt(0.004996 / 0.001999)]),
    ],
)
def test_optimizers_literal(name, expected):
    """Steps by the gradients 2 and -1, worked by hand."""
    optimizer = reference.Optimizer(name)
    steps = [float(optimizer.step(np.array([g]))[0][0]) for g in (2.0, -1.0)]
    np.testing.assert_allclose(steps, expected, rtol=1e-7)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_steps_are_gradients_by_their_factor(name):
    """Of the first update, where there is no past; what the proximal step counts on."""
    g = np.array([0.5, -3.0, 1e-3])
    step, size = reference.Optimizer(name).step(g)
    np.testing.assert_allclose(step, size * g, rtol=1e-12)


def test_soft_threshold_literal():
    moved = reference.soft_threshold(np.array([3.0, -3.0, 0.5, -0.5, 0.0]), 1.0)
    assert moved.tolist() == [2.0, -2.0, 0.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("constant", [1, 1, 1, 1, 1]),
        ("adaptive", [1, 1, 1, 1, 1]),
        ("invscaling", [1, 2**-0.5, 3**-0.5, 0.5, (0.5 + 5**-0.5) / 2]),
        ("cosine", [1, 0.5 + 8**-0.5, 0.5, 0.5 - 8**-0.5, (0.5 - 8**-0.5) / 2]),
        ("step", [1, 1, 0.1, 0.01, 0.01]),
    ],
)
def test_schedules_literal(schedule, expected):
    """Of four passes, at the start of each and halfway through the last."""
    rates = [reference.scheduled_rate(schedule, epoch, 4) for epoch in (0, 1, 2, 3, 3.5)]
    np.testing.assert_allclose(rates, expected, rtol=1e-12)


def test_plateau_literal():
    plateau = reference.Plateau()
    assert [plateau.reached(cost) for cost in (1.0, 0.5, 0.49995, 0.51, 0.5, 0.5, 0.3)] == [
        False,
        False,
        False,
        True,
        False,
        True,
        False,
    ]


@pytest.mark.parametrize("l1_ratio", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("optimizer", ["sgd", "nesterov", "adagrad"])
def test_penalties_lead_to_the_optimum(l1_ratio, optimizer):
    """There, the gradient of the cost is opposite to the penalty's, or within it where a weight is zero."""
    X, Y = make_data(300, 8)
    alpha = 0.05
    W, b, _ = reference.train_logistic_regression(
        X, Y, RATES[optimizer], 3000, alpha=alpha, l1_ratio=l1_ratio, optimizer=optimizer
    )
    dW, db = reference.compute_gradients(X, Y, reference.forward_pass(X, W, b))
    away = W != 0
    left = dW + alpha * (1 - l1_ratio) * W + alpha * l1_ratio * np.sign(W)
    assert np.max(np.abs(left[away]), initial=0) <= 1e-7
    assert np.max(np.abs(dW[~away]), initial=0) <= alpha * l1_ratio
    assert abs(db) <= 1e-7
    assert away.all() == (l1_ratio == 0)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_optimizers_reach_the_optimum(optimizer):
    X, Y = make_data(300, 4)
    W, b, _ = reference.train_logistic_regression(
        X, Y, RATES[optimizer], 2000, alpha=0.01, optimizer=optimizer, schedule="cosine"
    )
    model = LogisticRegression(C=1 / (0.01 * 300), tol=1e-12, max_iter=10_000).fit(X, Y[0])
    assert_close(np.append(W, b), np.append(model.coef_, model.intercept_), 1e-4)


@pytest.mark.parametrize("train", [reference.train_logistic_regression, jitlogit.train_logistic_regression])
def test_a_weight_is_a_number_of_repetitions(train):
    X, Y = make_data(60, 5)
    counts = np.arange(60) % 3
    repeated = train(np.repeat(X, counts, axis=0), np.repeat(Y, counts, axis=1), 0.3, 40, alpha=0.1)
    weighted = train(X, Y, 0.3, 40, alpha=0.1, sample_weight=counts)
    assert_close(weighted[0], repeated[0], 1e-12)
    assert_close(weighted[2], repeated[2], 1e-12)


@pytest.mark.parametrize("train", [reference.train_logistic_regression, jitlogit.train_logistic_regression])
def test_average_is_the_mean_of_the_updates(train):
    X, Y = make_data(60, 5)
    ends = [train(X, Y, 0.3, k) for k in (2, 3, 4, 5)]  # after one update of the whole set each, but the first
    W, b, _ = train(X, Y, 0.3, 5, average=True)
    assert_close(W, np.mean([end[0] for end in ends], axis=0), 1e-12)
    assert_close(b, np.mean([end[1] for end in ends]), 1e-12)


# Kernels against the reference.

OPTIONS = {
    "none": {},
    "penalties": {"alpha": 0.01, "l1_ratio": 0.5},
    "weights": {"sample_weight": np.random.default_rng(1).random(M) * 3},
    "all": {
        "alpha": 0.01,
        "offset": 0.3,
        "scale": 2.0,
        "sample_weight": np.arange(M) % 3,
        "average": True,
        "schedule": "cosine",
    },
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("options", OPTIONS)
def test_trajectories(dtype, order, optimizer, options):
    X, Y = make_data(M, 20, dtype, order)
    for batch_size, shuffle in ((None, False), (64, True), (1500, "blocks")):
        arguments = {"batch_size": batch_size and min(batch_size, M), "shuffle": shuffle, "random_state": 0}
        arguments |= {"record_every": 1, "optimizer": optimizer} | OPTIONS[options]
        W, b, costs = reference.train_logistic_regression(X, Y, RATES[optimizer], 4, **arguments)
        fast_W, fast_b, fast_costs = jitlogit.train_logistic_regression(X, Y, RATES[optimizer], 4, **arguments)
        assert_close(np.append(fast_W, fast_b), np.append(W, b), TOLERANCE[dtype])
        assert_close(fast_costs, costs, TOLERANCE[dtype])
        assert fast_W.dtype == W.dtype


@pytest.mark.parametrize("schedule", reference.SCHEDULES)
@pytest.mark.parametrize(("n", "order", "batch_size"), [(5, "C", 1), (5, "C", 64), (20, "F", 32), (64, "F", 128)])
def test_schedules_of_each_walk(schedule, n, order, batch_size):
    X, Y = make_data(M, n, order=order)
    arguments = {"batch_size": batch_size, "shuffle": False, "record_every": 1, "schedule": schedule}
    W, b, costs = reference.train_logistic_regression(X, Y, 0.02, 9, **arguments)
    fast_W, fast_b, fast_costs = jitlogit.train_logistic_regression(X, Y, 0.02, 9, pack=False, **arguments)
    assert_close(np.append(fast_W, fast_b), np.append(W, b), 1e-9)
    assert_close(fast_costs, costs, 1e-9)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_same_bits_for_any_number_of_threads(dtype, optimizer, monkeypatch):
    any_members(monkeypatch)
    X, Y = make_data(M, 70, dtype)
    arguments = {"batch_size": min(M, 1000), "random_state": 0, "optimizer": optimizer, "record_every": 1}
    arguments |= {"alpha": 1e-3, "average": True, "sample_weight": np.arange(M) % 3, "offset": 0.1}
    ends = [jitlogit.train_logistic_regression(X, Y, 0.02, 4, n_threads=count, **arguments) for count in (1, 2, 3)]
    for W, b, costs in ends[1:]:
        assert np.array_equal(W, ends[0][0])
        assert (b, costs) == ends[0][1:]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"optimizer": "lbfgs"}, "optimizer must be one of 'sgd', 'momentum', 'nesterov', 'adagrad', 'adam'"),
        ({"schedule": "optimal"}, "schedule must be one of 'constant'"),
        ({"alpha": -1}, "alpha must not be negative"),
        ({"l1_ratio": 2}, "l1_ratio must lie between 0 and 1"),
        ({"sample_weight": [1, 2]}, "one weight for each of the 60 examples"),
        ({"sample_weight": -np.ones(60)}, "sample_weight must be finite, not negative"),
        ({"sample_weight": np.zeros(60)}, "not zero for all"),
        ({"sample_weight": np.full(60, np.nan)}, "sample_weight must be finite"),
    ],
)
def test_bad_options(arguments, words):
    X, Y = make_data(60, 3)
    with pytest.raises(ValueError, match=words):
        jitlogit.train_logistic_regression(X, Y, **arguments)


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize(("n_epochs", "n_batches"), [(1, 1), (4, 1), (7, 3), (100, 10)])
def test_rates_are_those_of_the_reference(name, n_epochs, n_batches):
    """The two share no code."""
    schedule, plateau = Schedule(name, 0.5, n_epochs, n_batches), reference.Plateau()
    costs = np.random.default_rng(0).random(n_epochs) + np.linspace(1, 0, n_epochs)
    lowered = 1.0
    for epoch, cost in enumerate(costs):
        first, growth = schedule.rates(epoch)
        for batch in range(n_batches):
            expected = 0.5 * reference.scheduled_rate(name, epoch + batch / n_batches, n_epochs) / lowered
            assert first + batch * growth == pytest.approx(expected, rel=1e-12, abs=1e-15)
        schedule.note(cost)
        if name == "adaptive" and plateau.reached(cost):
            lowered *= reference.Plateau.DIVISOR


@pytest.mark.parametrize(("m", "batch_size"), [(1, 1), (100, 7), (10_001, 64), (300_000, 1000)])
def test_block_orders_are_those_of_the_reference(m, batch_size):
    ours = shuffled_blocks(m, batch_size, np.random.default_rng(3))
    assert np.array_equal(ours, reference.shuffled_blocks(m, batch_size, np.random.default_rng(3)))
