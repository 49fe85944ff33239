"""Training ends by itself when it is done, keeps the best epoch, and counts what it computed."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from conftest import make_classes, make_data, slow_without_jit
from scipy.sparse import csr_array
from sklearn.datasets import load_digits, make_blobs
from sklearn.linear_model import LogisticRegression

from jitlogit import MiniBatchLogisticRegression
from jitlogit.estimators.history import Record
from jitlogit.training.loop import _Best
from jitlogit.training.plateau import Plateau
from jitlogit.training.problem import Epoch
from jitlogit.training.schedule import Schedule


def reached(costs, n_epochs=1000, began=1.0):
    """Epochs until the plateau is reached; None if it isn't."""
    plateau = Plateau(began, n_epochs)
    return next((i + 1 for i, cost in enumerate(costs) if plateau.is_reached(i, cost, cost)), None)


def test_a_plateau_is_a_cost_that_moves_by_its_noise_alone():
    rng = np.random.default_rng(0)
    epochs = np.arange(300)
    noise = 0.01 * rng.standard_normal(300)
    assert reached(0.5 + 1 / (1 + epochs)) is None  # a third later, it is still lower by more than a thousandth
    assert reached(np.full(300, 0.5)) == 20
    assert reached(0.5 + noise) < 40
    assert reached(0.5 + 0.2 * np.exp(-epochs / 10) + noise) in range(40, 250)
    assert reached(0.7 - 0.002 * epochs + noise) is None
    assert reached(0.5 + 0.001 * epochs + noise) == 20  # it rises
    assert reached(np.full(300, 0.5), n_epochs=20) is None  # too few to see one


def test_a_negligible_loss_is_one():
    assert reached([0.5, 0.0021, 0.0019], n_epochs=3) == 3
    assert reached([0.5, 0.0041, 0.0039], n_epochs=3, began=2.0) == 3


def test_a_plateau_is_reached_once_and_epochs_that_were_undone_do_not_count():
    plateau = Plateau(1.0, 100)
    assert not any(plateau.is_reached(i, 0.5, 0.5) for i in range(19))
    assert not any(plateau.is_reached(i, 0.5, 0.5) for i in range(10, 19))  # 10 to 18 again
    assert plateau.is_reached(19, 0.5, 0.5)
    assert not any(plateau.is_reached(i, 0.5, 0.5) for i in range(20, 60))


@pytest.mark.parametrize("name", ["invscaling", "cosine", "step"])
def test_the_rest_of_a_schedule_is_passed_in_fewer_epochs(name):
    whole, early = Schedule(name, 1.0, 400, 5), Schedule(name, 1.0, 400, 5)
    assert early.finish_early(40) == 160
    for epoch in range(41):
        assert early.rates(epoch)[0] == whole.rates(epoch)[0]
    for epoch in range(40, 160):  # each takes three
        assert early.rates(epoch)[0] == pytest.approx(whole.rates(40 + 3 * (epoch - 40))[0], rel=1e-12)
    assert Schedule(name, 1.0, 400, 5).finish_early(2) == 102
    assert Schedule(name, 1.0, 50, 5).finish_early(40) == 50


@pytest.mark.parametrize("name", ["constant", "adaptive"])
def test_without_a_rate_that_falls_over_time_training_ends_at_once(name):
    assert Schedule(name, 1.0, 400, 5).finish_early(40) == 40


@slow_without_jit
@pytest.mark.parametrize("seed", range(4))
def test_separable_data_need_few_epochs(seed):
    X, y = make_blobs(100, 30, centers=5, random_state=seed)
    seen = []
    model = MiniBatchLogisticRegression(random_state=0, callbacks=lambda state: seen.append(state["epoch"])).fit(X, y)
    assert model.score(X, y) == 1
    assert model.n_iter_ <= 140
    assert len(seen) + sum(model.history_["undone"]) == model.n_iter_
    never = MiniBatchLogisticRegression(random_state=0, tol=None, max_iter=300).fit(X, y)
    assert never.n_iter_ >= 300


@slow_without_jit
def test_data_with_noise_end_near_the_optimum():
    rng = np.random.default_rng(0)
    for m, n, classes in ((500, 20, 2), (2000, 20, 2), (3000, 30, 4)):
        X = rng.standard_normal((m, n))
        y = (X @ rng.standard_normal((n, classes)) + 2 * rng.gumbel(size=(m, classes))).argmax(axis=1)
        Z = (X - X.mean(axis=0)) / X.std(axis=0)
        optimum = LogisticRegression(C=1 / (1e-4 * m), tol=1e-8, max_iter=1000).fit(Z, y)
        least = -optimum.predict_log_proba(Z)[np.arange(m), y].mean()
        model = MiniBatchLogisticRegression(random_state=0).fit(X, y)
        assert model.n_iter_ <= 160
        assert -model.predict_log_proba(X)[np.arange(m), y].mean() <= 1.005 * least


def test_undone_epochs_are_counted_where_they_were_computed_again(monkeypatch):
    monkeypatch.setattr("jitlogit.estimators.mini_batch.auto_learning_rate", lambda *_: 8.0)
    X, Y = make_data(100, 3)
    undone = 0
    for seed in range(10):
        model = MiniBatchLogisticRegression(max_iter=4, random_state=seed).fit(X, Y[0])
        assert len(model.history_["undone"]) == 4
        assert model.n_iter_ == 4 + sum(model.history_["undone"])
        undone += sum(model.history_["undone"])
        model.partial_fit(X, Y[0])
        assert model.n_iter_ == 5 + sum(model.history_["undone"])
    assert undone > 0


class State:
    """Stands for a fit: notes what is kept."""

    def __init__(self):
        self.now = self.kept = None

    def keep_best(self):
        self.kept = self.now

    def return_to_best(self):
        self.now = self.kept


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([(0, 1.0), (1, 0.6), (2, 0.9)], 1),
        ([(0, 1.0), (1, 0.6), (2, 0.605)], 2),  # as good, but for noise
        ([(0, 1.0), (1, 0.6), (2, 0.8), (1, 0.9), (2, 0.95)], 1),  # 1 and 2 were undone
        ([(0, 1.0), (1, 0.6), (2, 0.8), (1, 0.7), (2, 0.65)], 2),
        ([(0, np.nan), (1, np.nan)], 1),
    ],
)
def test_the_best_epoch_is_kept_unless_the_last_is_as_good(scores, expected):
    state, best = State(), _Best()
    for number, score in scores:
        state.now = number, score
        best.note(number, score, state)
    assert best.end(scores[-1][0] + 1, state) == expected
    assert state.now[0] == expected


def test_a_mean_of_parameters_is_no_epochs_own():
    epoch = Epoch(0, 0, 0.3, 0.4, 0.1, 1.0, 0.1, lambda: np.zeros((1, 4)))
    for average, score in ((False, 0.4), (True, np.nan)):
        model = MiniBatchLogisticRegression(average=average)
        record = Record(model, 10, None, (np.zeros(3), np.ones(3)), {}, None, 9, np.dtype(np.float64))
        np.testing.assert_equal(record.add(epoch), (False, score))


@pytest.mark.parametrize("form", ["dense", "csr"])
@pytest.mark.parametrize("classes", [2, 3])
def test_the_cost_falls_where_the_parameters_are_kept(form, classes, monkeypatch):
    """With a penalty, the loss alone would rise again: the cost with the penalty decides."""
    kept = []
    monkeypatch.setattr(_Best, "note", lambda self, i, score, fit: kept.append((i, score, fit.parameters())))
    X, y = make_classes(300, 5, classes)
    rows = csr_array(X) if form == "csr" else X
    MiniBatchLogisticRegression(batch_size=None, alpha=0.05, max_iter=30, random_state=0).fit(rows, y)
    Z = (X - X.mean(axis=0)) / X.std(axis=0)
    for (_, _, before), (_, score, _) in itertools.pairwise(kept):
        scores = Z @ before[:, :-1].T + before[:, -1]
        if classes == 2:
            scores = np.column_stack([np.zeros(300), scores])
        top = scores.max(axis=1)
        losses = top + np.log(np.exp(scores - top[:, None]).sum(axis=1)) - scores[np.arange(300), y]
        assert score == pytest.approx(losses.mean() + 0.025 * np.sum(before[:, :-1] ** 2), rel=1e-6)


@slow_without_jit
def test_early_stopping_keeps_the_epoch_that_was_best_on_the_held_out_samples():
    X, y = make_classes(400, 40, 3)
    y[::3] = np.random.default_rng(0).integers(3, size=y[::3].size)
    model = MiniBatchLogisticRegression(early_stopping=True, max_iter=200, random_state=0).fit(X, y)
    best = int(np.argmin(model.history_["val_loss"]))
    assert best < len(model.history_["loss"]) - 1
    assert model.loss_ == model.history_["loss"][best]
    again = MiniBatchLogisticRegression(
        early_stopping=True, max_iter=200, random_state=0, callbacks=lambda state: state["epoch"] == best
    ).fit(X, y)
    assert np.array_equal(model.coef_, again.coef_)


@slow_without_jit
def test_digits_are_as_good_as_the_best_known_epoch():
    X, y = load_digits(return_X_y=True)
    train, test = np.arange(y.size) % 4 > 0, np.arange(y.size) % 4 == 0
    model = MiniBatchLogisticRegression(random_state=0).fit(X[train], y[train])
    whole = MiniBatchLogisticRegression(random_state=0, tol=None, max_iter=100).fit(
        X[train], y[train], eval_set=(X[test], y[test])
    )
    assert model.score(X[test], y[test]) >= max(whole.history_["val_accuracy"]) - 0.01
