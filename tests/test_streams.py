"""MiniBatchLogisticRegression on data that change: streams, warm starts, weights, held-out rows; and what it says."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import JIT_OFF, compiled, make_data, slow_without_jit
from scipy import sparse
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import log_loss

from jitlogit import MiniBatchLogisticRegression, learning_rate_finder
from jitlogit.data.moments import RunningMoments
from jitlogit.estimators.weights import generator_from, held_out
from jitlogit.kernels.storage import sparse_work
from jitlogit.reference import DIVERGED_COST
from jitlogit.training.defaults import auto_epochs

M = 100 if JIT_OFF else 1000


def two_columns(m=M):
    X = np.random.default_rng(0).standard_normal((m, 2))
    return X, (X[:, 0] > 0).astype(int)


def test_training_goes_on_from_parameters_whose_cost_alone_would_be_called_divergence():
    X, Y = make_data(60, 3, np.float32)
    model = MiniBatchLogisticRegression(
        batch_size=None, optimizer="adam", schedule="constant", standardize=False, max_iter=1, random_state=0
    )
    model.fit(X * 3e4, Y[0])
    for _ in range(3):
        model.partial_fit(X * 3e4, Y[0])
    loss = model.history_["loss"]
    assert loss[1] > DIVERGED_COST
    assert loss[-1] < loss[1]
    model.set_params(warm_start=True, max_iter=30).fit(X * 3e4, Y[0])
    assert model.history_["loss"][-1] < DIVERGED_COST


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_an_epoch_that_is_done_again_may_cost_what_smaller_steps_leave(seed, monkeypatch):
    """A cost that falls steeply isn't what the same epoch is measured by at half of the rate."""
    monkeypatch.setattr("jitlogit.estimators.mini_batch.auto_learning_rate", lambda *_: 1000.0)
    X, Y = make_data(100, 3, seed=seed)
    model = MiniBatchLogisticRegression(warm_start=True, max_iter=1, batch_size=16, random_state=seed).fit(X, Y[0])
    model.coef_ = np.random.default_rng(seed).standard_normal((1, 3)) * 1e6
    loss = model.set_params(max_iter=12).fit(X, Y[0]).history_["loss"]
    assert loss[-1] < loss[0] / 2


@slow_without_jit
def test_training_goes_on_where_the_model_is_wrong_about_the_new_rows():
    X, y = two_columns()
    turned = MiniBatchLogisticRegression(random_state=0).fit(X, y)
    before = turned.coef_[0, 0]
    assert turned.partial_fit(X, 1 - y).coef_[0, 0] < before
    warm = MiniBatchLogisticRegression(batch_size=None, warm_start=True, max_iter=50).fit(X, y)
    assert warm.fit(X, 1 - y).score(X, 1 - y) > 0.9
    single = MiniBatchLogisticRegression(random_state=0)
    for row in range(50 if JIT_OFF else 300):
        single.partial_fit(X[row : row + 1] * 5, y[row : row + 1], classes=[0, 1])
    assert single.score(X, y) > 0.7
    one_class = MiniBatchLogisticRegression(random_state=0)
    for k in (0, 1, 0, 1, 0, 1):
        one_class.partial_fit(X[y == k], y[y == k], classes=[0, 1])
    assert one_class.score(X, y) > 0.8


@compiled
@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "nesterov"])
def test_float32_sparse_columns_far_from_zero_end_at_the_model_that_was_trained(optimizer, monkeypatch):
    monkeypatch.setattr(sparse_work, "_ALL_FEATURES", 1e9)  # each feature is left alone until a row has it
    rng = np.random.default_rng(0)
    X = np.zeros((5000, 23), np.float32)
    X[:, :3] = np.round(2020 + rng.standard_normal((5000, 3)))
    X[np.arange(5000), 3 + rng.integers(20, size=5000)] = 1
    y = ((X[:, 0] - X[:, 1]) + 2 * X[:, 5] + 0.5 * rng.standard_normal(5000) > 0).astype(int)
    rows = sparse.csr_array(X)
    model = MiniBatchLogisticRegression(random_state=0, max_iter=200, optimizer=optimizer).fit(rows, y)
    wide = model.decision_function(rows.astype(np.float64))
    assert np.mean(np.logaddexp(0, wide) - y * wide) == pytest.approx(model.history_["loss"][-1], rel=0.01)


def test_weights_count_by_all_rows_seen():
    X, Y = make_data(200, 3)
    y = Y[0].astype(int)
    options = {"batch_size": None, "optimizer": "sgd", "schedule": "constant", "standardize": False, "alpha": 0.0}

    def streamed(chunks, **parameters):
        model = MiniBatchLogisticRegression(learning_rate=0.1, **options, **parameters)
        for rows, weight in chunks:
            model.partial_fit(X[rows], y[rows], classes=[0, 1], sample_weight=weight)
        return model.coef_[0]

    ones, zeros = np.flatnonzero(y == 1), np.flatnonzero(y == 0)
    plain = streamed([(zeros, None), (ones, None)])
    assert not np.allclose(streamed([(zeros, None), (ones, None)], class_weight={0: 1, 1: 20}), plain, rtol=0.1)
    # The second chunk's weights, 3 where all that were seen have a mean of 2, lengthen its step by 3 / 2.
    half = np.arange(100), np.arange(100, 200)
    first = streamed([(half[0], None)])
    model = MiniBatchLogisticRegression(learning_rate=0.1, **options).partial_fit(X[half[0]], y[half[0]], [0, 1])
    scores = model.decision_function(X[half[1]])
    gradient = X[half[1]].T @ (1 / (1 + np.exp(-scores)) - y[half[1]]) / 100
    second = streamed([(half[0], None), (half[1], np.full(100, 3.0))])
    np.testing.assert_allclose(second, first - 0.1 * 1.5 * gradient, rtol=1e-10)


@slow_without_jit
def test_balanced_is_nothing_for_classes_that_are_not_there():
    X, y = two_columns()
    model = MiniBatchLogisticRegression(class_weight="balanced", random_state=0)
    model.partial_fit(X[y == 0], y[y == 0], classes=[0, 1])
    assert np.isfinite(model.coef_).all()
    model.fit(X, y, sample_weight=(y == 0) * 1.0)
    assert (model.predict(X) == 0).all()


def test_held_out_rows_are_of_each_class_and_of_no_other_rows():
    labels = np.repeat([0, 1, 2], [100, 30, 4])
    held = held_out(labels, np.arange(3), 0.1, np.random.default_rng(0))
    assert np.bincount(labels[held]).tolist() == [10, 3, 1]
    assert (np.diff(held) > 0).all()
    X, Y = make_data(300, 3)
    model = MiniBatchLogisticRegression(early_stopping=True, random_state=0, max_iter=3, tol=None).fit(X, Y[0])
    held = held_out(Y[0], np.arange(2), 0.1, generator_from(0))
    expected = log_loss(Y[0][held], model.predict_proba(X[held]))
    assert model.history_["val_loss"][-1] == pytest.approx(expected, rel=1e-9)


def test_partial_fit_refuses_early_stopping_as_scikit_learn_does():
    X, y = two_columns(40)
    model = MiniBatchLogisticRegression(max_iter=2).fit(X, y)
    before = model.coef_.copy()
    for stopper in (model.set_params(early_stopping=True), SGDClassifier(early_stopping=True)):
        with pytest.raises(ValueError, match="early_stopping"):
            stopper.partial_fit(X, y, classes=[0, 1])
    assert (model.coef_ == before).all()
    model.set_params(early_stopping=False).partial_fit(X, y)
    assert (model.coef_ != before).any()


def test_a_first_row_that_does_not_count_does_not_shift_the_moments():
    X, _ = two_columns()
    X = X.astype(np.float32)
    X[0], weights = 1e5, np.ones(M)
    weights[0] = 0
    seen = RunningMoments(class_weights=np.zeros(2)).after(X, np.zeros(M, np.uint8), weights, True, 1)
    np.testing.assert_allclose(seen.variance, X[1:].var(axis=0), rtol=1e-4)


def test_warm_starts_need_the_same_features_and_classes():
    X, Y = make_data(60, 3)
    y = Y[0].astype(int)
    three = np.arange(60) % 3
    for first, second in ((y, three), (three, y), (y, y + 5)):
        model = MiniBatchLogisticRegression(warm_start=True, max_iter=2).fit(X, first)
        with pytest.raises(ValueError, match=r"warm_start begins with coef_.*set warm_start=False"):
            model.fit(X, second)
    model = MiniBatchLogisticRegression(warm_start=True, max_iter=2).fit(X, y)
    model.coef_[0, 0] = np.inf
    with pytest.raises(ValueError, match="that aren't finite: set warm_start=False"):
        model.fit(X, y)
    with pytest.raises(ValueError, match="warm_start begins with coef_ of shape"):
        MiniBatchLogisticRegression(warm_start=True, max_iter=2).fit(X, y).fit(X[:, :2], y)


def test_many_rows_take_few_epochs():
    assert [auto_epochs(m, False) for m in (100, 10_000, 20_000, 150_000, 10**7)] == [1000, 100, 10, 7, 5]
    assert auto_epochs(10**7, True) == 1000


@pytest.mark.parametrize(
    ("parameters", "error", "words"),
    [
        ({"schedule": "bogus"}, ValueError, "schedule must be one of"),
        ({"max_iter": -1}, ValueError, "max_iter must be"),
        ({"early_stopping": "x"}, TypeError, "early_stopping must be True or False"),
        ({"warm_start": "x"}, TypeError, "warm_start must be True or False"),
        ({"validation_fraction": 7}, ValueError, "validation_fraction must lie between"),
        ({"callbacks": 5}, TypeError, "callbacks must be None, a callable or a list"),
        ({"callbacks": [1]}, TypeError, "callbacks must be None, a callable or a list"),
        ({"class_weight": {0: -1, 1: 1}}, ValueError, "class_weight must be finite, not negative"),
        ({"class_weight": {0: 0, 1: 0}}, ValueError, "class_weight must be finite, not negative"),
    ],
)
def test_every_call_checks_every_parameter(parameters, error, words):
    X, y = two_columns(40)
    for train in (
        lambda model: model.fit(X, y),
        lambda model: model.fit(X, y, eval_set=(X, y)),
        lambda model: model.partial_fit(X, y, classes=[0, 1]),
    ):
        with pytest.raises(error, match=words):
            train(MiniBatchLogisticRegression(**parameters))


def test_errors_name_what_is_wrong():
    X, y = two_columns(40)
    model = MiniBatchLogisticRegression(max_iter=2)
    bad = X.copy()
    bad[3, 1] = np.nan
    for eval_set, words in (((bad, y), "must be finite"), ((X[:, :1], y), "features"), ((X, y[:5]), "inconsistent")):
        with pytest.raises(ValueError, match=f"eval_set: .*{words}"):
            model.fit(X, y, eval_set=eval_set)
    with pytest.raises(ValueError, match=r"^X must be finite"):
        MiniBatchLogisticRegression(standardize=False, optimizer="adam").fit(bad, y)
    for classes, words in (([], "it is empty"), ([0], "it has one class only")):
        with pytest.raises(ValueError, match=f"classes must hold labels of two classes at least; {words}"):
            model.partial_fit(X, y, classes=classes)
    for fraction in (0, 1):
        with pytest.raises(ValueError, match="validation_fraction must lie between 0 and 1, and be neither"):
            MiniBatchLogisticRegression(early_stopping=True, validation_fraction=fraction).fit(X, y)
    with pytest.raises(ValueError, match="holds out 1 of the 1 rows of class True, which leaves none"):
        MiniBatchLogisticRegression(early_stopping=True).fit(X, np.arange(40) == 0)


def test_callbacks_see_the_epochs_of_a_stream_as_numbered():
    X, y = two_columns(40)
    seen = []
    model = MiniBatchLogisticRegression(callbacks=lambda state: seen.append(state["epoch"]))
    for _ in range(3):
        model.partial_fit(X, y, classes=[0, 1])
    assert seen == [0, 1, 2]


@slow_without_jit
def test_the_range_test_takes_sparse_rows_and_the_usual_batch():
    X, y = two_columns(400)
    found = learning_rate_finder(sparse.csr_array(X), y, batch_size="auto", random_state=0)
    dense = learning_rate_finder(X, y, batch_size="auto", random_state=0)
    assert 0.1 < found.suggested / dense.suggested < 10


def test_the_usual_optimizer_is_adam_for_many_dense_features():
    X, Y = make_data(80, 256)
    y = Y[0]

    def chosen(rows, train="fit", **parameters):
        model = MiniBatchLogisticRegression(max_iter=1, random_state=0, **parameters)
        options = {"classes": [0, 1]} if train == "partial_fit" else {}
        return getattr(model, train)(rows, y, **options)

    model = chosen(X)
    assert model.optimizer_ == "adam"
    assert model.learning_rate_ == pytest.approx(0.2 / 16)
    for other in (
        chosen(X[:, :255]),
        chosen(sparse.csr_array(X)),
        chosen(X, "partial_fit"),
        chosen(X, standardize=False),
        chosen(X, learning_rate=0.1),
    ):
        assert other.optimizer_ == "nesterov"
