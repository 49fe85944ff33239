"""Judge the times of paired rounds: what can be told beyond the noise that the base shows against itself."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

#: Log of the least ratio that counts.
LEAST = math.log(1.05)
# An interval leaves out the true median in at most this part of all cases.
_MISSES = 0.01
# Samples of a bootstrap, and the fewest pairs of processes and rounds of each that it is made from.
_RESAMPLES = 1000
FEWEST_PAIRS, FEWEST_ROUNDS = 3, 5
GAIN, LOSS, LITTLE, UNKNOWN = "gain", "loss", "less than 5 %", "can't tell"


class Judgement(NamedTuple):
    """What an optimisation does in one cell, by the ratio of the times without it and with it."""

    word: str
    ratio: float  # median, and the ends of its interval
    low: float
    high: float
    noise: float  # largest ratio, or its reciprocal, in the interval of the base against itself

    def __str__(self) -> str:
        return f"{self.ratio:6.3f}  {self.low:6.3f} - {self.high:6.3f}  noise {self.noise:6.3f}  {self.word:13}"


def median_interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Median of the values, and the ends of its 99 % interval; too few values give an infinite one.

    The ends are the k-th smallest and the k-th largest value. The median lies outside only if fewer than k values lie
    on one side of it, whatever the values' distribution (Conover, "Practical Nonparametric Statistics", 1999, 3.2).
    """
    n, k, missed = len(values), 0, 0.0
    while (missed := missed + 2 * math.comb(n, k) / 2**n) <= _MISSES:
        k += 1
    ordered = sorted(values)
    middle = float(np.median(ordered))
    return (middle, ordered[k - 1], ordered[n - k]) if k else (middle, -math.inf, math.inf)


def of_processes(pairs: Sequence[Sequence[float]]) -> tuple[float, float, float]:
    """Median of the values of all pairs of processes, and the ends of its interval; too few give an infinite one.

    The lay-out of memory differs from process to process, so rounds of the same two processes err together. Therefore
    pairs of processes are drawn first, and then rounds of each: the hierarchical bootstrap (Davison and Hinkley,
    "Bootstrap Methods and their Application", 1997, 3.8; Kalibera and Jones, "Rigorous Benchmarking in Reasonable
    Time", 2013). The ends are percentiles 0.5 and 99.5. A bootstrap of few pairs is too narrow, so the ends are moved
    apart by sqrt(pairs / (pairs - 1)) (Davison and Hinkley, 2.5). From 4 pairs on it holds the truth in 9 of 10 cases.
    """
    values = np.array([pair[: min(map(len, pairs))] for pair in pairs]) if pairs else np.empty((0, 0))
    n_pairs, n_rounds = values.shape
    middle = float(np.median(values)) if values.size else math.nan
    if n_pairs < FEWEST_PAIRS or n_rounds < FEWEST_ROUNDS:
        return middle, -math.inf, math.inf
    rng = np.random.default_rng(0)
    drawn = rng.integers(n_pairs, size=(_RESAMPLES, n_pairs, 1))
    rounds = rng.integers(n_rounds, size=(_RESAMPLES, n_pairs, n_rounds))
    medians = np.median(values[drawn, rounds].reshape(_RESAMPLES, -1), axis=1)
    low, high = np.quantile(medians, [_MISSES / 2, 1 - _MISSES / 2])
    wider = math.sqrt(n_pairs / (n_pairs - 1))
    return middle, middle - wider * max(0.0, middle - low), middle + wider * max(0.0, high - middle)


def judge(base: Sequence[float], again: Sequence[float], without: Sequence[float]) -> Judgement:
    """Judge seconds of rounds; `base` and `again` are two processes of the same code.

    The optimisation counts as a gain or a loss only beyond 5 % and beyond that pair's difference. It counts as little
    only if that difference is below 5 %, too.
    """
    first, second, third = np.log([base, again, without])
    ratio, low, high = median_interval((third - (first + second) / 2).tolist())
    noise = max(map(abs, median_interval((second - first).tolist())[1:]))
    margin = max(LEAST, noise)
    word = GAIN if low > margin else LOSS if high < -margin else UNKNOWN
    if word == UNKNOWN and noise <= LEAST and high < LEAST:
        word = LITTLE
    return Judgement(word, *map(math.exp, (ratio, low, high, noise)))


def conclusion(words: Iterable[str], tuned: bool) -> tuple[str, int]:
    """What the judgements of all cells say, and the exit code: 0 good, 1 bad, 2 nothing can be told.

    With `tuned`, the rival is another size. That is bad where it is better somewhere and worse nowhere. A switch is bad
    where it gains nothing.
    """
    words = list(words)
    gains, losses, unknown = (words.count(word) for word in (GAIN, LOSS, UNKNOWN))
    if gains:
        return f"gains in {gains} of {len(words)} cells" + (f", loses in {losses}" if losses else ""), 0
    if tuned and losses:
        return f"this size is better, in {losses} of {len(words)} cells", 1
    if unknown or not words:
        return f"can't tell, in {unknown} of {len(words)} cells", 2
    return ("no difference", 0) if tuned else ("gains less than 5 % everywhere", 1)
