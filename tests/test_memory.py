"""Peak memory of a fit above X and y: no copy of X, no temporary of its size."""

from __future__ import annotations

import sys

import pytest
from conftest import compiled, run_python

# A small set of the same width, dtype, layout and variant is trained first, so that compiling doesn't count.
PEAK = """
import resource, sys, numpy as np, jitlogit
def peak():
    return int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0]) * 1024
def data(m):
    X = np.ones((m, 50), "f4", {order!r})
    X[: m // 2] = -1
    return X, np.arange(m) >= m // 2
def fit(X, Y):
    {call}
fit(*data(20_000))
X, Y = data(m := 500_000)
X.sum()
open("/proc/self/clear_refs", "w").write("5")
before = peak()
fit(X, Y)
print(peak() - before, 16 * m + 32e6)
"""


@compiled
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize(
    "call",
    [
        "jitlogit.train_logistic_regression(X, Y, 0.1, 2)",
        "jitlogit.train_logistic_regression(X, Y, 0.1, 2, batch_size=256, pack=False)",
        "jitlogit.train_logistic_regression(X, Y.astype(int), 0.1, 1, batch_size=5000)",
        "jitlogit.predict(X, np.ones(50), 0.0)",
    ],
)
def test_peak_memory(order, call):
    used, allowed = map(float, run_python(PEAK.format(order=order, call=call), NUMBA_NUM_THREADS="2").split())
    assert used < allowed


@compiled
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_copy_in_c_order_is_the_only_one():
    call = "jitlogit.train_logistic_regression(X, Y, 0.1, 2, batch_size=256)"
    used, allowed = map(float, run_python(PEAK.format(order="F", call=call), NUMBA_NUM_THREADS="2").split())
    copy = 500_000 * 50 * 4
    assert 0.9 * copy < used < allowed + copy  # pages that were freed before may hold a little of it


WIDE = """
import numpy as np, jitlogit
def peak():
    return int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0]) * 1024
jitlogit.train_logistic_regression(np.ones((2000, 50), "f4"), np.arange(2000) > 999, 0.1, 1)
X = np.ones((1024, 60_000), "f4")
open("/proc/self/clear_refs", "w").write("5")
before = peak()
jitlogit.train_logistic_regression(X, np.arange(1024) > 511, 1e-6, 2)
print(peak() - before, 16 * 1024 + 32e6)
"""


@compiled
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_peak_memory_of_wide_data():
    used, allowed = map(float, run_python(WIDE, NUMBA_NUM_THREADS="2").split())
    assert used < allowed


@compiled
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_measure_sees_a_copy():
    call = "jitlogit.train_logistic_regression(X.copy(), Y, 0.1, 1)"
    used, allowed = map(float, run_python(PEAK.format(order="C", call=call), NUMBA_NUM_THREADS="2").split())
    assert used > allowed
