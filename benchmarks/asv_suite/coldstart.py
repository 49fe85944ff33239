"""Seconds that a fresh process spends before its first model."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time

FIT = """
import numpy as np, jitlogit
X = np.random.default_rng(0).standard_normal((20_000, 100), np.float32)
jitlogit.train_logistic_regression(X, X[:, 0] > 0, 0.1, 2)
"""


def seconds(code, cache):
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], env=os.environ | {"NUMBA_CACHE_DIR": cache}, check=True)
    return time.perf_counter() - start


class ColdStart:
    """Seconds of a whole process."""

    unit = "s"
    timeout = 120

    def setup_cache(self):
        cache = os.path.join(os.getcwd(), "kernels")  # asv removes the current folder
        seconds(FIT, cache)
        return cache

    def track_import(self, cache):
        return min(seconds("import jitlogit", cache) for _ in range(3))

    def track_first_fit_cached(self, cache):
        return min(seconds(FIT, cache) for _ in range(3))

    def track_first_fit_uncached(self, cache):
        with tempfile.TemporaryDirectory() as empty:
            return seconds(FIT, empty)

    track_import.unit = track_first_fit_cached.unit = track_first_fit_uncached.unit = "s"
