"""Samples of rows: how they are drawn, and the one that a search for the optimum begins with."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..compiler.threads import members_for, run
from ..data.moments import RunningMoments
from ..data.validation import Array, is_sparse, read_only
from ..kernels.passes.gather import gather

# Sizes (all: Zen 4, two cores). The usual size: the largest of a number of rows, a number per feature, and m / 50.
_ROWS, _ROWS_A_FEATURE, _CHEAP_PART = 10_000, 8, 50
# It is at most all rows over 12. A sample of fewer rows than the least, in all or per feature, tells too little.
_PART, _LEAST_ROWS, _LEAST_ROWS_A_FEATURE = 12, 1000, 4
# Largest relative difference between the variances of half of a sample and of all of it, for these to be trusted.
_ALIKE = 0.25


class Sample(NamedTuple):
    chosen: Array  # (size,), both halves ascending
    X: Any  # (size, n)


def first_size(m: int, n: int) -> int:
    """Size of a sample whose optimum costs less time than one read of X; 0 if that is too small to be useful."""
    size = min(m // _PART, max(_ROWS, _ROWS_A_FEATURE * n, m // _CHEAP_PART))
    return size if size >= max(_LEAST_ROWS, _LEAST_ROWS_A_FEATURE * n) else 0


def first_sample(X: Any, rng: np.random.Generator, n_threads: int | None) -> Sample | None:
    """One random row of each of equal stretches, every second stretch first; None if the sample is too small."""
    size = first_size(*X.shape)
    if not size:
        return None
    chosen = spread(X.shape[0], size, rng)
    chosen = np.concatenate([chosen[::2], chosen[1::2]])
    return Sample(chosen, rows_of(X, chosen, n_threads))


def rows_of(X: Any, chosen: Array, n_threads: int | None) -> Any:
    """X[chosen], by a team of threads where rows are dense and in C order."""
    if is_sparse(X) or not X.flags.c_contiguous:
        return X[chosen]
    rows = np.empty((chosen.size, X.shape[1]), X.dtype)
    members = members_for(n_threads, chosen.size, rows.nbytes)
    run(gather, members, read_only(X).view(np.uint8), chosen, rows.view(np.uint8))
    return rows


def spread(m: int, size: int, rng: np.random.Generator) -> Array:
    """One random row of each of `size` stretches of m rows, ascending; all rows if there are no more."""
    if size >= m:
        return np.arange(m)
    bounds = np.arange(size + 1) * m // size
    return np.asarray(bounds[:-1] + (rng.random(size) * np.diff(bounds)).astype(np.int64))


def moments_of(
    sample: Sample, nothing: RunningMoments, labels: Array, weights: Array | None, n_threads: int | None
) -> RunningMoments | None:
    """Moments of the sample for a scale; None where they may be far from the moments of all rows.

    The variances of the first half must be near those of the sample. They aren't where a feature is rare, or where the
    sample has a few large values; large values that the sample lacks go unnoticed. Labels (m,) and weights (m,) or None
    belong to all rows; `nothing` are moments of no rows.
    """
    if is_sparse(sample.X):
        return None
    middle = (sample.chosen.size + 1) // 2
    seen = [nothing]
    for half in (slice(middle), slice(middle, None)):
        chosen, rows = sample.chosen[half], sample.X[half]
        if not rows.flags.c_contiguous:
            rows = rows.copy(order="K")
        of_rows = None if weights is None else weights[chosen]
        if of_rows is not None and _count(of_rows) < chosen.size / 2:
            return None
        try:
            seen.append(seen[-1].after(rows, labels[chosen], of_rows, True, n_threads))
        except ValueError:  # not finite: a read of all rows raises an error that says where
            return None
    first, both = seen[1].variance, seen[2].variance
    return seen[2] if (np.abs(first - both) < _ALIKE * both).all() else None


def _count(weights: Array) -> float:
    """Number of rows of equal weight that tell as much (Kish, "Survey Sampling", 1965)."""
    squares = float(np.vdot(weights, weights))
    return float(weights.sum(dtype=np.float64)) ** 2 / squares if squares else 0.0
