"""Data, implementations and interleaved timing that the benchmarks share."""

from __future__ import annotations

import os
import statistics
import time

import cases
import numpy as np

import jitlogit
from jitlogit import reference

#: Size of X. The tests make it small.
MEGABYTES = float(os.environ.get("JITLOGIT_BENCHMARK_MEGABYTES", "16"))
IMPLEMENTATIONS = {"reference": reference, "numba": jitlogit}


def make_data(n, dtype, order="C"):
    """X (m, n) of about `MEGABYTES`, and labels (m,)."""
    kind = dtype if dtype in cases.DTYPES else "float32"
    X, Y = cases.make_data(n, kind, MEGABYTES * np.dtype(kind).itemsize / itemsize(dtype), order)
    if dtype == "bfloat16":
        return (X.view(np.uint32) >> 16).astype(np.uint16).view(jitlogit.bfloat16), Y[0]
    if dtype in ("uint8", "int8"):
        limits = np.iinfo(dtype)
        X = np.clip(X * 40 + (limits.max + limits.min + 1) // 2, limits.min, limits.max)
    return np.asarray(X, dtype, order), Y[0]


class Timed:
    """A timing benchmark whose calls take milliseconds; two rounds, so that `asv continuous` can alternate."""

    timeout = 120
    warmup_time = 0
    rounds = 2
    repeat = (2, 5, 0.3)
    number = 1


def itemsize(dtype):
    return 2 if dtype == "bfloat16" else np.dtype(dtype).itemsize


def seconds_in_turn(runs, rounds=5):
    """Median seconds of each of the functions, called in turn."""
    seconds = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            cases.settle()
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}
