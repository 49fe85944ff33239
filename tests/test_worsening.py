"""Training that ends above where it began says so, and what helps."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from conftest import slow_without_jit
from sklearn.exceptions import ConvergenceWarning

import jitlogit
from jitlogit.estimators.endings import check_ending
from jitlogit.training.divergence import judge_ending, worsening
from jitlogit.training.loop import TrainingResult
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
    *_, costs = train(*noise, 0.02, 11, batch_size=1, random_state=0, record_every=10)
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


def told(train, *args, **options):
    """The texts of the warnings of a call, and what it returns."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = train(*args, **options)
    return [str(warning.message) for warning in caught], result


def random_problem(seed):
    """Rows, labels, number of classes, a safe rate and options of a fit."""
    rng = np.random.default_rng(seed)
    m, n, classes = int(rng.integers(20, 200)), int(rng.integers(1, 9)), int(rng.choice([2, 2, 3, 5]))
    X = rng.standard_normal((m, n))
    scores = X @ rng.standard_normal((n, classes))
    y = (scores + rng.choice([0, 1, 1e3]) * rng.gumbel(size=scores.shape)).argmax(axis=1)
    X = X * 10 ** rng.uniform(-3, 3, n)
    alpha = float(rng.choice([0, 0, 1e-2, 1e5]))
    options = {
        "batch_size": int(rng.choice([1, 16, m])),
        "optimizer": str(rng.choice(["sgd", "sgd", "nesterov", "adam"])),
        "alpha": alpha,
        "random_state": seed,
    }
    return X, y, classes, 1 / (0.25 * (1 + np.mean(np.sum(X**2, axis=1))) + alpha), options


def mean_loss(X, y, W, b):
    scores = X @ W + b
    if scores.shape[1] == 1:
        scores = np.hstack([np.zeros_like(scores), scores])
    return float(np.mean(np.logaddexp.reduce(scores, axis=1) - scores[np.arange(len(y)), y]))


@slow_without_jit
def test_no_problem_and_rate_end_in_silent_nonsense_or_a_false_alarm():
    """60 random problems at rates from 1e-4 to 1e4 times a safe one; of few rows, so that all are looked at."""
    warned = 0
    for seed in range(60):
        X, y, classes, safe, options = random_problem(seed)
        softmax = {"n_classes": classes} if classes > 2 else {}
        train = jitlogit.train_softmax_regression if softmax else jitlogit.train_logistic_regression
        for factor in (1e-4, 1e-2, 1, 10, 1e2, 1e4):
            case = seed, factor, options
            texts, (W, b, _) = told(train, X, y, factor * safe, 1 + seed % 8, **softmax, **options)
            loss = mean_loss(X, y, W, b) / np.log(classes)
            warned += bool(texts)
            if not texts:
                assert loss <= 1.06, case
            if factor <= 1e-4 or (factor <= 1 and options["optimizer"] == "sgd" and options["batch_size"] == len(y)):
                assert not texts, case
            elif texts and "diverged" not in texts[0] and options["optimizer"] != "sgd":
                assert loss > 1, case
    assert warned > 60


def test_reference_and_kernels_warn_of_the_same_in_the_same_words():
    """At high rates rounding grows from update to update; fits that end apart are left out."""
    kinds, compared = set(), 0
    for seed in range(12):
        X, y, classes, safe, options = random_problem(seed)
        name = "train_softmax_regression" if classes > 2 else "train_logistic_regression"
        options["batch_size"] = max(16, options["batch_size"])
        for factor in (1, 10, 1e2, 1e4):
            trains = getattr(jitlogit, name), getattr(jitlogit.reference, name)
            (fast, ended), (slow, expected) = (told(train, X, y, factor * safe, 3, **options) for train in trains)
            if not all(np.allclose(ended[k], expected[k], rtol=1e-6) for k in range(2)):
                continue
            compared += 1
            assert fast == slow, (seed, factor)
            kinds |= {" ".join(text.split()[:2]) for text in fast}
    assert compared >= 40
    assert kinds == {"training diverged", "training ended"}


def test_some_rows_of_many_are_the_same_for_reference_and_kernels():
    rng = np.random.default_rng(0)
    X, y, weights = rng.standard_normal((3000, 2)) * 50, rng.integers(0, 2, 3000), rng.random(3000)
    trains = jitlogit.train_logistic_regression, jitlogit.reference.train_logistic_regression
    fast, slow = (told(train, X, y, 1.0, 2, sample_weight=weights)[0] for train in trains)
    assert len(fast) == 1
    assert fast == slow


@pytest.mark.parametrize("train", TRAIN)
def test_one_giant_loss_hides_no_others(train):
    """One row alone makes the mean of some rows so uncertain that it proves nothing; 2 % that are wrong prove it."""
    m = 3000
    looked_at = np.random.default_rng(0).integers(0, m, 1000)
    X = np.resize([1.0, -1.0], (m, 1))
    y = (X[:, 0] > 0).astype(int)
    X[looked_at[0]] *= -500
    assert told(train, X, y, 30.0, 1)[0] == []
    X[::50] *= -20
    texts, (W, b, _) = told(train, X, y, 30.0, 1)
    assert mean_loss(X, y, W, b) > 3
    assert [text[:16] for text in texts] == ["training ended a"]


def stream(rate, labels, X, size, weights=None):
    model = jitlogit.MiniBatchLogisticRegression(
        learning_rate=rate, standardize=False, optimizer="sgd", schedule="constant", random_state=0
    )
    texts = []
    for start in range(0, len(X), size):
        rows = slice(start, start + size)
        weights_of_call = None if weights is None else weights[rows]
        texts.append(told(model.partial_fit, X[rows], labels[rows], [0, 1], weights_of_call)[0])
    return texts


def test_a_stream_that_costs_more_than_guessing_says_so():
    scores, passed = exam_scores()
    texts = stream(0.01, passed, scores, 5)
    later = [text for texts_of_call in texts[1:] for text in texts_of_call]
    assert later
    assert all("above the " in text and "scale the features" in text for text in later)
    assert stream(1e-5, passed, scores, 5) == [[]] * 20
    noise = np.random.default_rng(0).integers(0, 2, 100)
    assert stream(0.05, noise, (scores - 65) / 20, 1) == [[]] * 100
    growing = 1.1 ** np.arange(100)  # the last calls weigh far more than the mean of all
    assert stream(1e-3, noise, (scores - 65) / 20, 5, growing) == [[]] * 20


def judged(problem, losses):
    """What is left to judge after calls that all ended well by themselves, and of which calls the stream was worse."""
    calls, worse = (), []
    for place, loss in enumerate(losses):
        fine = TrainingResult(np.zeros((1, 1)), np.zeros(1), [loss], 1, 0, 0, False, 0.693, 0.693, False)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            calls = check_ending(problem, 1.0, fine, calls)
        assert all("cost of 1, above the 0.693" in str(warning.message) for warning in caught)
        worse += [place] * len(caught)
    return calls, worse


def test_ten_calls_of_a_stream_are_judged_together():
    problem = Problem(np.ones((4, 1)), np.zeros(4, np.uint8), batch_size=4)
    assert judged(problem, [0.1] * 10 + [0.9, 1.1] * 6) == ((0.9, 1.1), [19])
    assert judged(problem, [0.9, 1.1] * 4) == ((0.9, 1.1) * 4, [])  # too few
    assert judged(problem, [0.6, 0.8] * 4 + [0.5, 9.0]) == ((), [])  # one that is new


def test_calls_of_a_stream_are_compared_by_their_mean_weight():
    heavy = Problem(np.ones((4, 1)), np.zeros(4, np.uint8), batch_size=4, sample_weight=np.full(4, 3.0))
    assert judged(heavy, [2.7, 3.3] * 5) == ((), [9])
    assert judged(heavy, [1.8, 2.1] * 5) == ((), [])


def test_a_fit_begins_the_calls_of_a_stream_anew():
    scores, passed = exam_scores()
    model = jitlogit.MiniBatchLogisticRegression(learning_rate=1e-3, random_state=0)
    for calls in range(1, 10):
        assert len(model.partial_fit(scores, passed, [0, 1])._calls) == calls
    assert len(model.fit(scores, passed)._calls) == 0


def test_a_call_of_weights_that_differ_from_the_mean_is_no_oscillation():
    problem = Problem(np.ones((4, 1)), np.ones(4, np.uint8), 4, sample_weight=np.full(4, 2.0), initial=np.zeros((1, 2)))
    assert not judge_ending(problem, np.full((1, 1), 0.1), np.zeros(1), 2 * np.log(2)).is_worse
