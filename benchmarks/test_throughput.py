"""Reference against compiled kernels, epoch by epoch, for pytest-benchmark.

pytest benchmarks/test_throughput.py --benchmark-group-by=group --benchmark-columns=median,iqr,rounds
"""

from __future__ import annotations

import os

import pytest
from cases import arguments, check_equal, make_data

import jitlogit
from jitlogit import reference

pytest.importorskip("pytest_benchmark", reason="needs the extra bench")

MEGABYTES = float(os.environ.get("JITLOGIT_BENCHMARK_MEGABYTES", "8"))
TRAIN = {"numpy": reference.train_logistic_regression, "numba": jitlogit.train_logistic_regression}


@pytest.mark.parametrize("implementation", list(TRAIN))
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("batch_size", [32, 256, 4096, None], ids=["32", "256", "4096", "full"])
@pytest.mark.parametrize("n", [10, 100, 784])
def test_epoch(benchmark, n, batch_size, dtype, implementation):
    X, Y = make_data(n, dtype, MEGABYTES)
    batch_size = batch_size and min(batch_size, X.shape[0])
    check_equal(X, Y, batch_size, shuffle=False)
    options = arguments(batch_size, shuffle=False, epochs=1)
    benchmark.group = f"n={n}, batch {batch_size or 'full'}, {dtype}"
    benchmark.pedantic(TRAIN[implementation], (X, Y), options, rounds=5, warmup_rounds=1)
    if benchmark.stats:  # not with --benchmark-disable
        median = benchmark.stats.stats.median
        benchmark.extra_info["GB/s"] = X.nbytes / median / 1e9
        benchmark.extra_info["Mrows/s"] = X.shape[0] / median / 1e6
