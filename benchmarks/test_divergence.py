"""The verdicts of `divergence` on made-up outcomes, and that a problem can be had again."""

from __future__ import annotations

import math

import divergence
import numpy as np
import pytest
from scipy import sparse

WORDS = "training ended at a cost of 5"


def outcome(loss, words="", factor=1.0, noise=0.0, one_batch=False):
    """An outcome of two classes; `loss` is a multiple of the first one."""
    start = math.log(2)
    return divergence.Outcome(0, "function", factor, start, loss * start, noise * start, one_batch, words)


def test_nonsense_needs_words():
    assert divergence.verdict(outcome(1.2)) == "silent nonsense"
    assert divergence.verdict(outcome(1.2, WORDS)) == ""
    assert divergence.verdict(outcome(1.2, WORDS, factor=1e-4)) == ""
    assert divergence.verdict(outcome(1.2, noise=0.2)) == "within noise"
    assert divergence.verdict(outcome(1.0, noise=0.2)) == ""
    for loss in (math.nan, math.inf):
        assert divergence.verdict(outcome(loss)) == "silent nonsense"


def test_with_one_update_an_epoch_less_goes_without_words():
    assert divergence.verdict(outcome(1.03)) == ""
    assert divergence.verdict(outcome(1.03, one_batch=True)) == "silent nonsense"
    assert divergence.verdict(outcome(1.0, one_batch=True)) == ""


def test_words_at_a_sound_rate_need_nonsense():
    assert divergence.verdict(outcome(0.9, WORDS, factor=0.1)) == "false alarm"
    assert divergence.verdict(outcome(math.nan, "training diverged", factor=0.1)) == "false alarm"
    assert divergence.verdict(outcome(0.9, WORDS)) == ""  # oscillation, say
    assert divergence.verdict(outcome(1.1, WORDS, factor=0.1, noise=0.2)) == ""


@pytest.mark.parametrize("fault", [outcome(1.2), outcome(0.9, WORDS, factor=0.01)])
def test_few_faults_of_many_fits_are_allowed(fault, capsys):
    fine = [outcome(0.5)] * 2000
    assert not divergence.report([*fine, fault])
    assert "| all | 2001 |" in capsys.readouterr().out
    assert divergence.report([*fine, *[fault] * 3])
    assert divergence.report([*fine[:20], fault])


def test_a_seed_makes_the_same_problem_again():
    one, again = divergence.make_task(3), divergence.make_task(3)
    assert one.options == again.options
    np.testing.assert_array_equal(one.X, again.X)
    assert np.unique(one.y).size == one.n_classes


def test_the_loss_is_weighted_and_some_rows_bring_noise():
    task = divergence.Task(np.array([[0.0], [2.0]]), np.array([0, 0]), 2, np.array([3.0, 1.0]), 1, {})
    losses = 3 / 2 * np.log(2), 1 / 2 * np.log1p(np.exp(2))
    for W, b in ((np.array([[1.0]]), 0.0), (np.array([[0.0, 1.0]]), np.zeros(2))):
        assert divergence.loss_and_noise(task, W, b, 2) == (pytest.approx(np.mean(losses)), 0)
        assert divergence.loss_and_noise(task, W, b, 1)[1] == pytest.approx(4 * np.std(losses))


def test_safe_rates_are_half_of_those_that_diverge():
    """One feature that is 2 everywhere: the bound of the curvature is 5 / 4, and the penalty adds 3."""
    task = divergence.Task(np.full((4, 1), 2.0), np.zeros(4), 2, None, 1, {"alpha": 4.0, "l1_ratio": 0.25})
    assert divergence.safe_rate(task) == pytest.approx(1 / (1.25 + 3))
    assert divergence.safe_rate(task._replace(X=sparse.csr_array(task.X))) == pytest.approx(1 / (1.25 + 3))
