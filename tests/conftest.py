from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numba
import numpy as np
import pytest
import sklearn
from sklearn.linear_model import LogisticRegression
from sklearn.utils.fixes import parse_version

from jitlogit.compiler import threads
from jitlogit.kernels.epochs import epoch, team
from jitlogit.tools.comparing import turns
from jitlogit.tools.comparing.comparison import ComparisonRow, Differences
from jitlogit.tools.comparing.turns import Ratio

JIT_OFF = os.environ.get("NUMBA_DISABLE_JIT") == "1"

compiled = pytest.mark.skipif(JIT_OFF, reason="about compiled code; this run has NUMBA_DISABLE_JIT=1")
slow_without_jit = pytest.mark.skipif(JIT_OFF, reason="takes long without the JIT")


@pytest.fixture(autouse=True)
def _global_state_is_left_alone():
    """No test, and so no function of ours, may touch NumPy's global random state."""
    before = np.random.get_state()  # noqa: NPY002
    yield
    after = np.random.get_state()  # noqa: NPY002
    assert all(np.array_equal(x, y) for x, y in zip(before, after, strict=True))


def make_data(m, n, dtype=np.float64, order="C", seed=0):
    """Noisy, not separable: the optimum is finite and gradient descent contracts toward it."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((m, n))
    z = X @ rng.standard_normal(n) / np.sqrt(n) + 0.3
    Y = (rng.random(m) < 1 / (1 + np.exp(-z))).astype(np.int64).reshape(1, -1)
    return np.asarray(X, dtype=dtype, order=order), Y


def make_classes(m, n, classes, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((m, n)) * np.linspace(0.5, 2, n) + np.linspace(-1, 1, n)
    scores = X @ rng.standard_normal((n, classes)) / np.sqrt(n)
    return X, (scores + rng.gumbel(size=scores.shape)).argmax(axis=1)


def their_logistic_regression(l1_ratio, **parameters):
    """scikit-learn's LogisticRegression; until its 1.8, `l1_ratio` counted beside `penalty="elasticnet"` only."""
    if parse_version(sklearn.__version__) < parse_version("1.8"):
        parameters["penalty"] = "elasticnet"
    return LogisticRegression(l1_ratio=l1_ratio, **parameters)


def objective(model, X, y, C, weights=None):
    weights = np.ones(len(y)) if weights is None else weights
    log = model.predict_log_proba(np.asarray(X, np.float64))[np.arange(len(y)), y]
    return -np.sum(weights * log) / weights.sum() + np.sum(model.coef_**2) / (2 * C * weights.sum())


def comparison_row(batch_size=32, **changes):
    """A row of a comparison in which all is well."""
    row = ComparisonRow(
        batch_size=batch_size,
        diverged=False,
        reference_diverged=False,
        unstable=False,
        reference_seconds=0.5,
        fast_seconds=0.125,
        one_thread_seconds=0.25,
        unpacked_seconds=None,
        speedups=Ratio(4.0, 3.5, 4.25),
        rows_per_second=8e6,
        gigabytes_per_second=1.5,
        bandwidth_share=0.3,
        bandwidth=5.0,
        one_thread_bandwidth=2.5,
        reference_cost=0.25,
        fast_cost=0.25,
        differences=[Differences(1, 0.0, 0.0, 0.0), Differences(2, 1e-16, 1e-15, 1e-17)],
        bounds=Differences(2, 1e-12, 2e-12, 3e-12),
        train_accuracy=0.9,
        test_accuracy=0.875,
        reference_costs=[0.7, 0.5],
        fast_costs=[0.7, 0.5],
    )
    return replace(row, **changes)


def relative_difference(actual, expected):
    """Largest difference as a fraction of the largest expected value; NaN if anything isn't finite."""
    actual, expected = np.asarray(actual, np.float64), np.asarray(expected, np.float64)
    assert actual.shape == expected.shape
    return float(np.max(np.abs(actual - expected)) / np.max(np.abs(expected)))


def assert_close(actual, expected, tolerance):
    difference = relative_difference(actual, expected)
    if not difference <= tolerance:  # so that NaN fails
        raise AssertionError(f"relative difference {difference} > {tolerance}")


def run_python(code, *, timeout=240, cwd=None, **environment):
    """Run a script in a fresh interpreter and return what it printed; it must end well."""
    env = {key: value for key, value in os.environ.items() if not key.startswith("NUMBA_")} | environment
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, cwd=cwd, capture_output=True, text=True, timeout=timeout, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def any_members(monkeypatch, most=3):
    """Share out any work among as many members as are asked for, up to `most`, whatever threads there are.

    Those are threads of Numba's as far as it has them. Else one thread does the iterations of a pass one by one; where
    the JIT is off, those of an epoch are done by threads of Python.
    """
    there = numba.config.NUMBA_NUM_THREADS
    monkeypatch.setattr(threads, "_LEAST_BYTES", 0)
    monkeypatch.setattr(numba.config, "NUMBA_NUM_THREADS", max(most, there))
    region = threads._region
    monkeypatch.setattr(
        threads, "_region", lambda members: region(members) if members <= there else contextlib.nullcontext(False)
    )
    if JIT_OFF:
        monkeypatch.setattr(threads, "JIT_DISABLED", False)
        monkeypatch.setattr(threads, "_layer", lambda: None)  # so that Numba isn't asked for its threads
        monkeypatch.setattr(threads, "_region", lambda members: contextlib.nullcontext(False))
        monkeypatch.setattr(team, "count_up", _counted_up)
        monkeypatch.setattr(team, "_FIRST_SPINS", 10**9)  # in plain Python, a member takes its time
        monkeypatch.setattr(epoch, "prange", lambda members: range(1))
        monkeypatch.setattr(team, "open_region", lambda control: control)
        monkeypatch.setattr(threads, "run", _run_by_python_threads)


_counting = threading.Lock()
_open_region = team.open_region


def _counted_up(control, i):
    """As `atomics.count_up`: plain Python has no atomic words."""
    with _counting:
        control[i] += 1
        return int(control[i])


def _run_by_python_threads(kernel, members, *given):
    """As `threads.run`, an iteration of an epoch's region in a thread each."""
    if members == 1 or not kernel.__module__.startswith("jitlogit.kernels.epochs"):
        kernel.serial(*given, members)
        return
    _open_region(given[7])
    with ThreadPoolExecutor(members) as pool:
        list(pool.map(lambda _: kernel.parallel(*given, members), range(members)))


SOURCE = Path(__file__).parents[1] / "src" / "jitlogit"


@pytest.fixture
def few_rounds(monkeypatch):
    """For tests of comparisons that aren't about times."""
    for name, value in {"_LEAST_ROUNDS": 2, "_SECONDS": 0, "_PAUSE": 0}.items():
        monkeypatch.setattr(turns, name, value)


@pytest.fixture
def data():
    X, Y = make_data(120, 3)
    return X, Y[0]
