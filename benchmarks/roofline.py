"""The machine's read bandwidth: the rate at which an array larger than the caches can be summed, which bounds an epoch.

Run as a script, it prints the figure for one thread and for all.
"""

from __future__ import annotations

import argparse
import statistics
import time

import numba
import numpy as np

# Parts for the threads to share; each is summed from one end to the other.
_PARTS = 64


@numba.njit(fastmath=True, nogil=True)
def _sum_part(values):
    total = values.dtype.type(0)
    for i in range(values.size):
        total += values[i]
    return total


@numba.njit(parallel=True, nogil=True)
def _sum(values, out_sums):
    for i in numba.prange(_PARTS):
        out_sums[i] = _sum_part(values[values.size * i // _PARTS : values.size * (i + 1) // _PARTS])


def read_bandwidth(array: np.ndarray, n_threads: int | None = None, repeats: int = 7) -> float:
    """Median rate, in bytes per second, of summing a contiguous array with `n_threads` (None: as Numba is set)."""
    flat = array.reshape(-1, order="A").view()
    flat.flags.writeable = False
    before = numba.get_num_threads()
    numba.set_num_threads(n_threads or before)
    try:
        sums = np.empty(_PARTS)
        _sum(flat[:1000], sums)
        seconds = []
        for _ in range(repeats):
            start = time.perf_counter()
            _sum(flat, sums)
            seconds.append(time.perf_counter() - start)
    finally:
        numba.set_num_threads(before)
    return flat.nbytes / statistics.median(seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=200)
    array = np.ones(parser.parse_args().megabytes * 250_000, np.float32)
    for n_threads in sorted({1, numba.get_num_threads()}):
        print(f"{n_threads} threads: {read_bandwidth(array, n_threads) / 1e9:.1f} GB/s")


if __name__ == "__main__":
    main()
