"""Compare the throughput of two revisions in each cell of the grid, by fits in turn on the same data.

    python -m benchmarks beside BASE [HEAD]

BASE and HEAD (by default the working tree) are revisions, or folders that hold a checkout. Each runs in its own
process, with its own copy of the data. A cell's ratio is the median over the rounds of BASE's seconds / HEAD's. Above
1, HEAD is faster.
"""

from __future__ import annotations

import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from options import Parser
from same_bits import source_of

# Learning rates that are low enough: after a divergence, training ends early. Bytes up to 255 aren't scaled.
_RATE, _BYTE_RATE = 1e-4, 1e-8
# Parameters of a fit that a worker answers with.
_SHOWN = 64


class Cell(NamedTuple):
    """A fit whose time is compared."""

    n_features: int
    batch_size: int
    dtype: str = "float32"
    order: str = "C"
    shuffle: bool | str = False
    n_threads: int = 1
    n_classes: int = 2
    epochs: int = 5
    megabytes: float = 64

    def __str__(self) -> str:
        classes = "" if self.n_classes == 2 else f", {self.n_classes} classes"
        shuffled = {False: "", True: ", rows shuffled", "blocks": ", blocks shuffled"}[self.shuffle]
        threads = "1 thread" if self.n_threads == 1 else f"{self.n_threads} threads"
        return f"{self.n_features} {self.dtype} {self.order} batch {self.batch_size}{shuffled}{classes}, {threads}"


class Fitter:
    """A process that times fits with one source of the package."""

    def __init__(self, source: Path, cache: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", "import beside; beside.worker()"],
            cwd=Path(__file__).parent,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(source), "NUMBA_CACHE_DIR": str(cache)},
        )

    def seconds(self, cell: Cell) -> float:
        return self.fit(cell)[0]

    def fit(self, cell: Cell) -> tuple[float, list[float]]:
        """Seconds of a fit, and its first parameters; the first of a cell makes data and compiles."""
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("the process has no pipes")
        self._process.stdin.write(json.dumps(cell) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"a fit failed: {cell}")
        seconds, *parameters = json.loads(line)
        return seconds, parameters

    def close(self) -> None:
        self._process.communicate()


def worker() -> None:
    """Answer each cell that is read with the seconds of a fit, and its first parameters."""
    import jitlogit

    warnings.simplefilter("ignore")

    known, X, labels = None, np.empty((0, 0)), np.empty(0)
    for line in sys.stdin:
        cell = Cell(*json.loads(line))
        data = cell._replace(batch_size=0, shuffle=False, n_threads=0)
        if data != known:
            known = data
            rng = np.random.default_rng(0)
            m = max(cell.batch_size, int(cell.megabytes * 1e6 / cell.n_features / np.dtype(cell.dtype).itemsize))
            X = np.empty((m, cell.n_features), cell.dtype, order=cell.order)
            for start in range(0, m, 4096):
                block = rng.standard_normal((min(4096, m - start), cell.n_features), np.float32)
                X[start : start + 4096] = abs(block) * 64 if X.dtype == np.uint8 else block
            labels = rng.integers(0, cell.n_classes, m)
        train = jitlogit.train_logistic_regression if cell.n_classes == 2 else jitlogit.train_softmax_regression
        options: dict[str, Any] = {"batch_size": cell.batch_size, "shuffle": cell.shuffle, "random_state": 0}
        epochs = 1 if cell.batch_size == 1 else cell.epochs
        rate = _BYTE_RATE if cell.dtype == "uint8" else _RATE
        start_time = time.perf_counter()
        W, b, _ = train(X, labels, rate, epochs, record_every=100, n_threads=cell.n_threads, **options)
        seconds = time.perf_counter() - start_time
        parameters = np.concatenate([np.ravel(b), np.ravel(W)])[:_SHOWN]
        print(json.dumps([seconds, *map(float, parameters)]), flush=True)


def compare(base: Path, head: Path, cells: Sequence[Cell], rounds: int, cache: Path) -> dict[Cell, float]:
    """Medians of seconds of base / seconds of head, of sources; prints each as it is known."""
    ratios = {}
    fitters = [Fitter(source, cache) for source in (base, head)]
    try:
        for cell in cells:
            for fitter in fitters:
                fitter.seconds(cell)
            found = []
            for i in range(rounds):
                pair = fitters if i % 2 else fitters[::-1]
                seconds = [fitter.seconds(cell) for fitter in pair]
                base_seconds, head_seconds = seconds if i % 2 else seconds[::-1]
                found.append(base_seconds / head_seconds)
            ratios[cell] = statistics.median(found)
            print(f"{ratios[cell]:6.2f}  {cell}", flush=True)
    finally:
        for fitter in fitters:
            fitter.close()
    return ratios


def geometric_mean(values: Sequence[float]) -> float:
    return math.exp(statistics.fmean(map(math.log, values)))


def grid(megabytes: float) -> list[Cell]:
    """The cells of README's grid, and those of compact dtypes, shuffled rows and classes; with one thread and two."""
    cells = [
        Cell(n, batch, dtype, order, n_threads=threads, megabytes=megabytes)
        for order in ("C", "F")
        for dtype in ("float32", "float64")
        for n in (10, 28, 100, 784, 2000)
        for batch in (1, 32, 256, 4096)
        for threads in (1, 2)
    ]
    for threads in (1, 2):
        some = {"n_threads": threads, "megabytes": megabytes}
        cells += [Cell(n, 1024, "uint8", **some) for n in (100, 784)]
        cells += [Cell(n, 256, shuffle=True, **some) for n in (28, 100, 784)]
        cells += [Cell(n, 256, n_classes=10, **some) for n in (28, 100, 784)]
    return cells


QUICK = ('HEAD --size 0.02 --rounds 1 --only "100 float32 C batch 256, 1 thread"',)


def add_options(parser: Parser) -> None:
    parser.add_revisions()
    parser.add_rounds(15)
    parser.add_size("64 MB of X")
    parser.add_only()


def run(given: Namespace) -> int:
    cells = [cell for cell in grid(64 * given.size) if given.only in str(cell)]
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        sources = source_of(given.base, place / "base"), source_of(given.head, place / "head")
        ratios = compare(*sources, cells, given.rounds, place / "kernels")
    for threads in (1, 2):
        values = [ratio for cell, ratio in ratios.items() if cell.n_threads == threads]
        if values:
            mean = geometric_mean(values)
            print(f"{threads} threads: geometric mean {mean:.3f}, least {min(values):.2f}, {len(values)} cells")
    return 0 if ratios else 2
