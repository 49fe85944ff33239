"""Measure the machine's read bandwidth, the rate of summing an array larger than the caches. It bounds an epoch's rate.

The figure is printed for one thread and for all.

    python -m benchmarks roofline
"""

from __future__ import annotations

import statistics
import threading
import time
from argparse import Namespace

import numba
import numpy as np
from options import Parser

# Least bytes of a measurement, so that the 0.1 ms in which threads start is negligible.
_LEAST_BYTES = 1e9


@numba.njit(fastmath=True, nogil=True)
def _sum(values, passes):
    total = values.dtype.type(0)
    for _ in range(passes):
        for i in range(values.size):
            total += values[i]
    return total


def read_bandwidth(array: np.ndarray, n_threads: int | None = None, repeats: int = 7) -> float:
    """Median rate, in bytes per second, of summing a contiguous array with `n_threads` (None: as Numba is set).

    The threads are Python's, and end: those of Numba's parallel regions would stay and wait, in the way of the next
    contestant.
    """
    flat = array.reshape(-1, order="A").view()
    flat.flags.writeable = False
    n_threads = n_threads or numba.get_num_threads()
    passes = max(1, round(_LEAST_BYTES / flat.nbytes))
    parts = np.array_split(flat, n_threads)
    _sum(flat[:1000], 1)
    seconds = []
    for _ in range(repeats):
        threads = [threading.Thread(target=_sum, args=(part, passes)) for part in parts[1:]]
        start = time.perf_counter()
        for thread in threads:
            thread.start()
        _sum(parts[0], passes)
        for thread in threads:
            thread.join()
        seconds.append(time.perf_counter() - start)
    return passes * flat.nbytes / statistics.median(seconds)


QUICK = ("--size 0.25",)


def add_options(parser: Parser) -> None:
    parser.add_size("200 MB")
    parser.add_threads()


def run(given: Namespace) -> int:
    array = np.ones(round(200 * given.size * 250_000), np.float32)
    for n_threads in sorted({1, numba.get_num_threads()}):
        print(f"{n_threads} threads: {read_bandwidth(array, n_threads) / 1e9:.1f} GB/s")
    return 0
