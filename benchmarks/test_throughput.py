"""Reference beside kernels, timed by pytest-benchmark: epochs, and passes without an update. To look at, not to judge.

    python -m pip install -e '.[track]'
    python -m pytest benchmarks/test_throughput.py --benchmark-group-by=group --benchmark-columns=median,iqr,rounds

Each group is one cell, with a line for each implementation. The number in brackets behind a median is its ratio to the
faster one. `extra_info` in the JSON holds GB of X per second, million rows per second, the share of the read bandwidth
(measured at the same time, over the same X), and the final cost.

The table says nothing about a change. pytest-benchmark's `--benchmark-compare` sets times of now against times of
another hour. On a shared machine identical code then "regresses" by tens of per cent, the untouched reference too.
`benchmarks/gate.py` runs both versions in turn, knows the noise, and judges.

Another jitlogit than this checkout's is refused, since its times are of code that nobody edits here.
"""

from __future__ import annotations

import os

import checkout
import numpy as np
import pytest
from cases import arguments, check_equal, make_data
from roofline import read_bandwidth

import jitlogit
from jitlogit import reference

pytest.importorskip("pytest_benchmark", reason="needs the extra track")
if reason := checkout.why_another_is_measured():
    raise pytest.Collector.CollectError(reason)

MEGABYTES = float(os.environ.get("JITLOGIT_BENCHMARK_MEGABYTES", "16"))
IMPLEMENTATIONS = {"numpy": reference, "numba": jitlogit}


def note(benchmark, X, cost=None):
    """Put the figures of a finished benchmark beside its times."""
    if not benchmark.stats:  # with --benchmark-disable
        return
    rate = X.nbytes / benchmark.stats.stats.median
    benchmark.extra_info["GB/s"] = rate / 1e9
    benchmark.extra_info["Mrows/s"] = rate / X.nbytes * X.shape[0] / 1e6
    benchmark.extra_info["share of bandwidth"] = rate / read_bandwidth(X, repeats=3)
    if cost is not None:
        benchmark.extra_info["final cost"] = cost


@pytest.mark.parametrize("implementation", list(IMPLEMENTATIONS))
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("batch_size", [32, 256, 4096, None], ids=["32", "256", "4096", "full"])
@pytest.mark.parametrize("n", [10, 100, 784])
def test_epoch(benchmark, n, batch_size, dtype, implementation):
    X, Y = make_data(n, dtype, MEGABYTES)
    batch_size = batch_size and min(batch_size, X.shape[0])
    check_equal(X, Y, batch_size, shuffle=False)
    options = arguments(batch_size, shuffle=False, epochs=1)
    benchmark.group = f"epoch, n={n}, batch {batch_size or 'full'}, {dtype}"
    train = IMPLEMENTATIONS[implementation].train_logistic_regression
    W, b, _ = benchmark.pedantic(train, (X, Y), options, rounds=7, warmup_rounds=1)
    z = X.astype(np.float64) @ W[:, 0] + b
    note(benchmark, X, float(np.mean(np.logaddexp(0, z) - Y[0] * z)))


@pytest.mark.parametrize("implementation", list(IMPLEMENTATIONS))
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", [10, 100, 784])
@pytest.mark.parametrize("step", ["forward_pass", "compute_gradients"])
def test_pass(benchmark, step, n, dtype, implementation):
    X, Y = make_data(n, dtype, MEGABYTES)
    W = np.linspace(-1, 1, n, dtype=dtype).reshape(-1, 1) / n
    A = reference.forward_pass(X, W, 0.1)
    arguments = {"forward_pass": (X, W, 0.1), "compute_gradients": (X, Y, A)}[step]
    expected = getattr(reference, step)(*arguments)
    benchmark.group = f"{step}, n={n}, {dtype}"
    found = benchmark.pedantic(getattr(IMPLEMENTATIONS[implementation], step), arguments, rounds=7, warmup_rounds=1)
    if step == "compute_gradients":
        expected, found = expected[0], found[0]
    error = np.max(np.abs(found - expected)) / np.max(np.abs(expected))
    if not error <= 1e-4:
        raise AssertionError(f"{step} differs from the reference by {error}")
    note(benchmark, X)
