"""The loop over epochs: order of the rows, recorded costs, progress, divergence."""

from __future__ import annotations

import math
import sys
import time
import warnings
from typing import NamedTuple

import numpy as np

from ._team import Team, members_for
from .kernels.epoch import epoch_kernel
from .kernels.plan import plan, work_space
from .packing import packed
from .reference import DIVERGED_COST, SMALL_SHUFFLE, shuffled_blocks
from .validation import Array, as_rows, computed_dtype, raise_if_not_finite, widened


class TrainingResult(NamedTuple):
    """What a training run ends with."""

    weights: Array
    bias: float
    costs: list[float]
    n_epochs: int
    diverged: bool


def train(
    X: Array,
    labels: Array,
    *,
    learning_rate: float,
    n_epochs: int,
    batch_size: int,
    rng: np.random.Generator,
    shuffle: bool | str,
    record_every: int,
    n_threads: int | None,
    pack: bool = True,
    verbose: bool = False,
    offset: Array | None = None,
    scale: Array | None = None,
) -> TrainingResult:
    """Gradient descent from zero on validated arguments; see `jitlogit.train_logistic_regression`."""
    m, n = X.shape
    rows = as_rows(X)
    by_row = shuffle is True
    if pack and not by_row:
        rows, labels = packed(rows, labels, batch_size, n_epochs, n_threads)
    cut = plan(batch_size, rows, by_row, offset is not None)
    order = np.empty(m, np.uint32 if m <= 2**32 else np.uint64) if by_row else None
    tables = empty_tables(m if by_row and m > SMALL_SHUFFLE else 0)
    blocks = np.arange(-(-m // batch_size) if shuffle == "blocks" else 0)
    members = members_for(n_threads, max(cut.n_chunks, cut.n_parts), X.nbytes * n_epochs)
    work = work_space(cut, n, computed_dtype(X), members)
    weights, bias = work.weights[0, :n], work.bias[0, :1]
    settings = np.array([learning_rate, 0.0])
    scaling = np.empty(0), np.empty(0)
    if offset is not None and scale is not None:
        scaling = offset, 1 / scale**2
    costs: list[float] = []
    diverged = False
    progress = Progress(n_epochs) if verbose else None
    kernel = epoch_kernel(cut, batch_size, offset is not None)
    with Team(
        kernel, members, rows, labels, tables, order, blocks, batch_size, cut.tile_rows, settings, scaling, work
    ) as run:
        for i in range(n_epochs):
            record = i % record_every == 0
            settings[1] = record or i == n_epochs - 1  # whether to look at the cost, which takes time
            if tables[0].size:
                fill_tables(tables, rng)
            elif order is not None:
                order[:] = rng.permutation(m)
            elif blocks.size:
                blocks[:] = shuffled_blocks(m, batch_size, rng)
            before = weights.copy(), bias.copy()
            cost = run() / m
            finite = bool(np.isfinite(weights).all()) and math.isfinite(bias[0])
            if not (finite and math.isfinite(cost)):
                raise_if_not_finite(X, "X_train")
            if record and math.isfinite(cost):
                costs.append(cost)
            if progress:
                progress.update(i, cost if record else None)
            diverged = not finite or not cost <= DIVERGED_COST
            if diverged:
                if not finite:
                    weights, bias = before
                break
    if progress:
        progress.close()
    weights, b = weights.astype(np.float64), float(bias[0])
    if offset is not None and scale is not None:
        b += float(weights @ offset)
        weights *= scale
    return TrainingResult(weights.astype(work.weights.dtype), b, costs, i + 1, diverged)


def empty_tables(m: int) -> tuple[Array, Array]:
    """Tables of shifts for a random order of m rows; `jitlogit.reference.shuffled_order` says what they mean."""
    n_columns = math.isqrt(m - 1) + 1 if m else 0
    n_rows = -(-m // n_columns) if m else 0
    return np.empty((2, n_columns), np.uint32), np.empty((2, n_rows), np.uint32)


def fill_tables(tables: tuple[Array, Array], rng: np.random.Generator) -> None:
    """Draw new shifts."""
    column_shifts, row_shifts = tables
    column_shifts[:] = rng.integers(row_shifts.shape[1], size=column_shifts.shape)
    row_shifts[:] = rng.integers(column_shifts.shape[1], size=row_shifts.shape)


def warn_of_divergence(
    X: Array,
    offset: Array | None,
    scale: Array | None,
    learning_rate: float,
    result: TrainingResult,
    stacklevel: int,
) -> None:
    """Say that training diverged, and which rate would not.

    The cost's curvature is at most a quarter of the mean squared length of a row, the 1 of the bias included (Bohning,
    "Multinomial logistic regression algorithm", 1992): batch gradient descent can't diverge below 2 / curvature.
    """
    sample = widened(X[:: max(1, X.shape[0] // 1000)]).astype(np.float64)
    if offset is not None and scale is not None:
        sample = (sample - offset) / scale
    with np.errstate(over="ignore"):
        curvature = 0.25 * (1 + float(np.mean(np.einsum("ij,ij->i", sample, sample))))
    safe = 1 / curvature
    advice = f"about {safe:.1g} is safe for these features" if safe > 0 else "these features are too large for any"
    warnings.warn(
        f"training diverged in iteration {result.n_epochs - 1} and was stopped: learning_rate={learning_rate:g} is too "
        f"large; {advice}, and scaling them (to mean 0 and variance 1, say) allows larger ones",
        RuntimeWarning,
        stacklevel=stacklevel,
    )


class Progress:
    """A live line with the cost on a terminal; elsewhere a line for each recorded cost."""

    def __init__(self, n_epochs: int) -> None:
        self._n_epochs = n_epochs
        self._live = sys.stdout.isatty()
        self._start = time.perf_counter()
        self._shown = -math.inf
        self._iteration = 0
        self._cost = math.nan

    def update(self, iteration: int, cost: float | None) -> None:
        """Call after each epoch, with its cost if it was recorded."""
        self._iteration = iteration
        if cost is not None:
            self._cost = cost
            if not self._live:
                print(f"Cost at iteration {iteration}: {cost:.6f}")
        now = time.perf_counter()
        if self._live and now - self._shown >= 0.1:
            self._shown = now
            self._show(now)

    def close(self) -> None:
        if self._live:
            self._show(time.perf_counter())
            print()

    def _show(self, now: float) -> None:
        rate = (self._iteration + 1) / max(now - self._start, 1e-9)
        line = f"iteration {self._iteration}/{self._n_epochs}  cost {self._cost:.6f}  {rate:.1f} iterations/s"
        print(f"\r{line}\033[K", end="", flush=True)
