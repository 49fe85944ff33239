"""Training that ends above where it began says so, and what helps."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import slow_without_jit
from sklearn.exceptions import ConvergenceWarning

import jitlogit
from jitlogit.training.divergence import worsening
from jitlogit.training.problem import Problem, Steps


def exam_scores():
    """Features as they are, 30 ... 100, for which usual rates are far too large; no cost gets near 745 nats."""
    scores = np.random.default_rng(0).uniform(30, 100, (100, 2))
    return scores, (scores.sum(axis=1) > 130).astype(int)


TRAIN = [
    jitlogit.train_logistic_regression,
    jitlogit.reference.train_logistic_regression,
    jitlogit.train_softmax_regression,
    jitlogit.reference.train_softmax_regression,
]


@pytest.mark.parametrize("batch_size", [None, 32])
@pytest.mark.parametrize("train", TRAIN)
def test_training_that_ends_above_where_it_began_says_so(train, batch_size):
    scores, passed = exam_scores()
    words = "training ended at a cost of .*, above the 0.693 that it began with: .*scale the features"
    with pytest.warns(RuntimeWarning, match=words) as caught:
        *_, costs = train(scores, passed, 0.01, 41, batch_size=batch_size, random_state=0, record_every=40)
    assert costs[-1] > 2 * np.log(2)
    assert [warning.filename for warning in caught] == [__file__]
    text = str(caught[0].message)
    rate = float(text.split("a rate of about ")[1].split(",")[0]) if "about" in text else 4e-4
    train(scores, passed, rate, 41, random_state=0)  # as it says: without a warning
    train((scores - 65) / 20, passed, 0.01, 41, batch_size=batch_size, random_state=0)


@slow_without_jit
@pytest.mark.parametrize("train", TRAIN)
def test_the_noise_of_batches_is_no_reason_to_warn(train):
    """Labels that nothing predicts cost a little more than at the beginning, in single rows most."""
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((300, 5)), rng.integers(0, 2, 300)
    *_, costs = train(*noise, 0.1, 11, batch_size=1, random_state=0, record_every=10)
    assert costs[-1] > np.log(2)
    train(*noise, 0.1, 11)
    train(*noise, 0.1, 1, batch_size=32, random_state=0, sample_weight=rng.random(300) * 5)


@pytest.mark.parametrize("train", TRAIN)
def test_the_last_cost_is_looked_at_though_it_isnt_recorded(train):
    scores, passed = exam_scores()
    with pytest.warns(RuntimeWarning, match="training ended"):
        *_, costs = train(scores, passed, 0.01, 41)
    assert costs == [pytest.approx(np.log(2))]


def test_classes_begin_at_the_logarithm_of_their_number():
    scores, passed = exam_scores()
    for train in (jitlogit.train_softmax_regression, jitlogit.reference.train_softmax_regression):
        with pytest.warns(RuntimeWarning, match=r"above the 1\.1 that it began with"):
            train(scores, passed + (scores[:, 0] > 80), 0.01, 41)


def test_a_rate_below_the_safe_one_is_not_told_of_it():
    X = np.ones((4, 1))
    problem = Problem(X, np.zeros(4, np.uint8), batch_size=4)
    assert worsening(problem, 0.1, 5.0, 0.693).endswith("or choose a lower rate")
    assert worsening(problem, 100.0, 5.0, 0.693).endswith("or choose a rate of about 2, which is safe for them")
    penalised = problem._replace(steps=Steps(alpha=1e5))
    assert worsening(penalised, 100.0, 5.0, 0.693).endswith("a rate of about 1e-05, which is safe for them")
    assert worsening(problem._replace(steps=Steps("adam")), 100.0, 5.0, 0.693).endswith("or choose a lower rate")


def test_an_estimator_says_that_its_rate_made_it_worse():
    scores, passed = exam_scores()
    settings = {"standardize": False, "optimizer": "sgd", "schedule": "constant", "max_iter": 40, "random_state": 0}
    with pytest.warns(ConvergenceWarning, match="training ended at a cost of .*scale the features"):
        jitlogit.MiniBatchLogisticRegression(learning_rate=0.01, **settings).fit(scores, passed)
