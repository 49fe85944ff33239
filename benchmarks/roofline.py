"""Measure the machine's read bandwidth, the rate of summing an array larger than the caches. It bounds an epoch's rate.

Run as a script, it prints the figure for one thread and for all.
"""

from __future__ import annotations

import argparse
import statistics
import threading
import time

import numba
import numpy as np

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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=200)
    array = np.ones(parser.parse_args().megabytes * 250_000, np.float32)
    for n_threads in sorted({1, numba.get_num_threads()}):
        print(f"{n_threads} threads: {read_bandwidth(array, n_threads) / 1e9:.1f} GB/s")


if __name__ == "__main__":
    main()
