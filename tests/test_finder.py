"""The range test of learning rates."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import JIT_OFF
from matplotlib.figure import Figure

from jitlogit import MiniBatchLogisticRegression, learning_rate_finder
from jitlogit.tools import learning_rate as finder


@pytest.mark.parametrize("k", [2, 3])
def test_range_test_finds_rates_that_train(k, monkeypatch):
    if JIT_OFF:  # plain Python takes long
        monkeypatch.setattr(finder, "_STEPS", 30)
        monkeypatch.setattr(finder, "_BATCHES_A_STEP", 3)
    rng = np.random.default_rng(0)
    X = rng.standard_normal((2000, 5)) * [1, 10, 100, 1, 1] + 7
    y = np.array(["a", "b", "c"])[(X[:, 0] > 7).astype(int) + (k == 3) * (X[:, 1] > 7)]
    found = learning_rate_finder(X, y, random_state=0)
    assert np.all(np.diff(found.rates) > 0)
    assert len(found.losses) == len(found.rates)
    assert found.losses[0] == pytest.approx(np.log(k), rel=0.05)
    assert found.losses.min() < (0.95 if JIT_OFF else 0.7) * np.log(k)
    epochs = 1 if JIT_OFF else 20
    usual, suggested = (
        MiniBatchLogisticRegression(learning_rate=rate, random_state=0, max_iter=epochs).fit(X, y).score(X, y)
        for rate in ("auto", found.suggested)
    )
    assert suggested >= usual - (0.15 if JIT_OFF else 0.03)
    ax = found.plot(Figure().subplots())
    assert ax.get_xscale() == "log"
    assert ax.lines[0].get_ydata().tolist() == found.losses.tolist()
    assert ax.lines[1].get_xdata()[0] == found.suggested
    with pytest.raises(ValueError, match="of two kinds at least"):
        learning_rate_finder(X, np.zeros(2000))
