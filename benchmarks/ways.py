"""Say which way fits take through the package, by running their first rows with the JIT switched off.

Plans and copies are chosen by the package itself, for the whole batch. Without the JIT, calls of its compiled functions
can be traced. So a benchmark sees whether a fit uses an optimisation, and nothing is compiled.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import numpy as np
from beside import Cell

# Rows that are trained on: at least a vector of them, and whole pairs and eights.
_ROWS = 16
_KERNELS = "jitlogit.kernels."


class Way(NamedTuple):
    """What a fit of a cell does."""

    dtype: str
    packed: bool
    work: str  # name of the work space's type
    n_parts: int  # of the features
    n_chunks: int  # of a batch
    tile_rows: int  # at most the rows of a chunk
    #: "module.function" of each function of kernels that is called, and "module.function > module" of what it calls.
    calls: frozenset[str]
    parameters: list[float]  # after two epochs of the first rows


class _Calls:
    """Context that notes the calls of functions of kernels."""

    def __init__(self) -> None:
        self.found: set[str] = set()

    def __enter__(self) -> set[str]:
        sys.setprofile(self._note)
        return self.found

    def __exit__(self, *error: object) -> None:
        sys.setprofile(None)

    def _note(self, frame: FrameType, event: str, _: Any) -> None:
        if event != "call" or not _is_kernel(frame):
            return
        module = _module(frame)
        self.found.add(f"{module}.{frame.f_code.co_name}")
        caller = frame.f_back
        while caller and not _is_kernel(caller):  # the choice of an implementation by types lies between
            caller = caller.f_back
        if caller:
            self.found.add(f"{_module(caller)}.{caller.f_code.co_name} > {module}")


def _is_kernel(frame: FrameType) -> bool:
    return str(frame.f_globals.get("__name__")).startswith(_KERNELS)


def _module(frame: FrameType) -> str:
    return str(frame.f_globals["__name__"]).rpartition(".")[2]


def _way(cell: Cell) -> Way:
    from jitlogit.training.dense import DenseFit
    from jitlogit.training.order import Order
    from jitlogit.training.problem import Problem

    rng = np.random.default_rng(0)
    X = rng.standard_normal((_ROWS, cell.n_features))
    X = np.asarray(abs(X) * 64 if cell.dtype == "uint8" else X, cell.dtype, order=cell.order)
    several = cell.n_classes > 2
    labels = rng.integers(0, cell.n_classes, _ROWS).astype(np.uint32 if several else np.uint8)
    problem = Problem(X, labels, cell.batch_size, cell.shuffle, n_classes=cell.n_classes if several else None)
    order = Order(_ROWS, cell.batch_size, cell.shuffle, rng)
    fit = DenseFit(problem, order, cell.epochs, 1, watched=False)
    rows, labels, arrays, cut = fit._batches
    n_parts = fit._work.partial_scores.shape[1] if hasattr(fit._work, "partial_scores") else 1
    n_chunks = cut.n_chunks if n_parts == 1 else 1
    if n_parts == 1:  # the rows are those of the first chunk
        fit._batches = rows, labels, arrays, cut._replace(n_chunks=1)
    with _Calls() as calls:
        _train(fit, order, cell)
    _train(fit, order, cell)  # the first scores were zeros
    tile_rows = min(cut.tile_rows, cell.batch_size // n_chunks)
    work, parameters = type(fit._work).__name__, np.ravel(fit.parameters()).tolist()
    return Way(cell.dtype, rows.ndim == 3, work, n_parts, n_chunks, tile_rows, frozenset(calls), parameters)


def _train(fit: Any, order: Any, cell: Cell) -> None:
    order.draw()
    fit.start_epoch((1e-4 if cell.dtype == "uint8" else 0.5, 0.0), True, False)
    fit.run()


def ways(source: Path, cells: Sequence[Cell]) -> dict[Cell, Way]:
    """The ways of cells through the package with that source, in a process of their own."""
    done = subprocess.run(
        [sys.executable, "-c", "import ways; ways.worker()"],
        cwd=Path(__file__).parent,
        input="".join(json.dumps(cell) + "\n" for cell in cells),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env=os.environ | {"PYTHONPATH": str(source), "NUMBA_DISABLE_JIT": "1"},
    )
    found = [Way(*json.loads(line)) for line in done.stdout.splitlines()]
    return {cell: way._replace(calls=frozenset(way.calls)) for cell, way in zip(cells, found, strict=True)}


def worker() -> None:
    """Answer each cell that is read with its way."""
    for line in sys.stdin:
        way = _way(Cell(*json.loads(line)))
        print(json.dumps(way._replace(calls=sorted(way.calls))), flush=True)
