"""Contestants timed in turn, so that whatever slows the machine slows all of them; and the rate of reading memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from ...compiler.jit import JIT_DISABLED, helper, parallel_kernel, prange
from ...compiler.threads import run
from ...data.validation import Array
from ...kernels.steps.shares import share_of

__all__ = ["Ratio", "in_turn", "read_seconds", "timed"]

# Rounds go on to the most while they have taken less than so many seconds.
_LEAST_ROUNDS, _MOST_ROUNDS, _SECONDS = 5, 9, 1.5
# Seconds after the first contestant. The threads of NumPy's BLAS spin for 20 ms after their last product, longer on a
# busy machine, in the way of the others.
_PAUSE = 0.1
# Least bytes of a measurement, so that the time in which threads start is negligible; and the most passes over X,
# since of a tiny X a pass takes no longer than its call.
_LEAST_BYTES, _MOST_PASSES = 2.5e8, 1000


class Ratio(NamedTuple):
    """Ratio of two contestants' seconds: the median of the ratios of the rounds, and the least and the largest one.

    Both seconds of a ratio are of one round. Each round is as likely above the true median as below, so the median lies
    outside of the least and the largest of r rounds with probability 2 / 2^r: 6 % with 5 rounds, 0.4 % with 9.
    """

    median: float
    least: float
    largest: float

    def __str__(self) -> str:
        digits = 1 if self.largest < 100 else 0
        return f"{self.median:.{digits}f}x [{self.least:.{digits}f}-{self.largest:.{digits}f}]"

    @classmethod
    def of(cls, slower: list[float], faster: list[float]) -> Ratio:
        ratios = np.divide(slower, faster)
        return cls(float(np.median(ratios)), float(ratios.min()), float(ratios.max()))


def in_turn(contestants: Mapping[str, Callable[[], float]]) -> dict[str, list[float]]:
    """Return the seconds of five to nine rounds, in each of which every contestant runs once and tells its seconds.

    The first contestant may be of another library, whose threads get time to end.
    """
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    start = time.perf_counter()
    for number in range(_MOST_ROUNDS):
        if number >= _LEAST_ROUNDS and time.perf_counter() - start >= _SECONDS:
            break
        for place, (name, contestant) in enumerate(contestants.items()):
            seconds[name].append(contestant())
            if place == 0:
                time.sleep(_PAUSE)
    return seconds


def timed(call: Callable[[], object]) -> float:
    """Seconds of a call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def read_seconds(X: Array, n_threads: int) -> float:
    """Seconds in which `n_threads` threads read a contiguous array once, which no epoch can beat."""
    numbers = X.reshape(-1, order="A").view(np.uint8)
    numbers = numbers[: numbers.size // 8 * 8].view(np.uint64)
    passes = 1 if JIT_DISABLED else min(_MOST_PASSES, max(1, round(_LEAST_BYTES / X.nbytes)))
    sums = np.zeros(n_threads, np.uint64)
    run(sum_numbers, n_threads, numbers, 0, sums)  # compiles, and wakes the threads
    return timed(lambda: run(sum_numbers, n_threads, numbers, passes, sums)) / passes


# Compiled entry points outside of `kernels` are kept on disk under their names. So new code here needs a new name.


@parallel_kernel
def sum_numbers(numbers, passes, out_sums, members):  # type: ignore[no-untyped-def]
    """Sums of whole numbers, each member's in out_sums (members,), several times: as fast as memory can be read."""
    for member in prange(members):
        share = share_of(member, members, numbers.size)  # type: ignore[no-untyped-call]
        out_sums[member] = _sum(numbers[share.first : share.stop], passes)  # type: ignore[no-untyped-call]


@helper
def _sum(numbers, passes):  # type: ignore[no-untyped-def]
    total = np.uint64(0)
    for _ in range(passes):
        for i in range(numbers.size):
            total += numbers[i]
    return total
