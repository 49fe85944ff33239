"""Measure what each optimisation gains, with copies of the package in which one is switched off.

    python benchmarks/ablation.py [NAME ...]

Each optimisation has some cells of the grid. In these, fits with and without it run in turn, and the ratio of their
times (without / with) is printed. An optimisation that gains less than 5 % in every cell, on two kinds of processor,
isn't worth its code. Tuned sizes are halved and doubled; a ratio below 1 means that the other size is better.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from beside import Cell, compare, geometric_mean
from grid import machine
from planted import CHECKOUT, edit

_LEAST_GAIN = 1.05
_C_ROWS, _F_COLUMNS = "kernels/storage/c_rows.py", "kernels/storage/f_columns.py"
_CLASS_ROWS, _PLAN, _TILE = "kernels/storage/class_rows.py", "kernels/storage/plan.py", "kernels/passes/tile.py"
_LOOPS = """

def scores_by_row(rows, order, first, count, ahead, weights, bias, out_z):
    for t in range(count):
        i = row_at(order, first + t)
        z = bias
        for j in range(rows.shape[1]):
            z += rows[i, j] * weights[j]
        out_z[t] = z


def accumulate_by_row(rows, order, first, count, residual, out_gradient):
    for t in range(count):
        i = row_at(order, first + t)
        for j in range(rows.shape[1]):
            out_gradient[j] += residual[t] * rows[i, j]
"""


class Change(NamedTuple):
    """Text that stands once in a file under src/jitlogit, and what takes its place."""

    path: str
    old: str
    new: str


class Optimisation(NamedTuple):
    """How it is switched off, and the cells that it is about."""

    changes: list[Change]
    cells: list[Cell]


def _cells(features: tuple[int, ...], batches: tuple[int, ...], **others: Any) -> list[Cell]:
    return [Cell(n, batch, n_threads=threads, **others) for n in features for batch in batches for threads in (1, 2)]


def _size(path: str, name: str, old: str, new: str) -> list[Change]:
    return [Change(path, f"{name} = {old}\n", f"{name} = {new}\n")]


_BATCHES = (32, 256, 4096)
_ROWS = _cells((28, 100, 784, 2000), _BATCHES)
_DOUBLE_ROWS = _cells((100, 400, 784, 2000), (32, 4096), dtype="float64")
_COLUMNS = _cells((28, 100, 784), _BATCHES, order="F")
_NARROW = _cells((10, 28, 50), _BATCHES)

OPTIMISATIONS = {
    "vectors": Optimisation(
        [
            Change(_TILE, 'if is_weighted(labels) or rows.ndim == 3 or rows.layout != "C" else', "if True else"),
            Change(_C_ROWS, "\ndef accumulate_by_row(", "\ndef _unused("),
            Change(_C_ROWS, "\ndef scores_by_row(", _LOOPS + "\n\ndef _unused_too("),
        ],
        _ROWS + _DOUBLE_ROWS,
    ),
    "eights": Optimisation([Change(_TILE, "if tile_rows in (PAIR, EIGHT) else", "if tile_rows == PAIR else")], _ROWS),
    "pairs": Optimisation(
        _size(_PLAN, "_PAIR_BYTES", "range(1100, 3601)", "range(0)"), _cells((400, 784), _BATCHES) + _DOUBLE_ROWS
    ),
    "packing": Optimisation(
        [Change("training/packing.py", "if rows.dtype == np.float64 or batch_size < _LEAST_BATCH:", "if True:")],
        _cells((4, 10, 16), _BATCHES, epochs=50) + _cells((10, 28), _BATCHES, order="F", epochs=50),
    ),
    "turned copies": Optimisation(
        _size(_PLAN, "LEAST_TURNED_FEATURES", "16", "1 << 60"), _cells((28, 100, 784), (8, 32, 64), order="F")
    ),
    "shared features": Optimisation(
        _size(_PLAN, "LEAST_SHARED_FEATURES", "64", "1 << 60"), _cells((100, 784, 2000), (32, 64, 256), order="F")
    ),
    "prefetch of shuffled rows": Optimisation(
        [Change(_C_ROWS, "    if order is not None:\n", "    if False:\n")],
        _cells((28, 100, 784), _BATCHES, shuffle=True),
    ),
    "prefetch of columns": Optimisation(_size(_F_COLUMNS, "_COLUMNS_AHEAD", "8", "0"), _COLUMNS),
    "narrow rows": Optimisation(
        [
            Change(_C_ROWS, "    if n <= step:\n        _narrow_scores", "    if n < 0:\n        _narrow_scores"),
            Change(
                _C_ROWS, "    elif n <= 2 * step:\n        _narrow_scores", "    elif n < 0:\n        _narrow_scores"
            ),
            Change(_C_ROWS, "    if n <= step:\n        _narrow_acc", "    if n < 0:\n        _narrow_acc"),
            Change(_C_ROWS, "    elif n <= 2 * step:\n        _narrow_acc", "    elif n < 0:\n        _narrow_acc"),
        ],
        _cells((10, 16, 28, 32), _BATCHES) + _cells((16,), _BATCHES, dtype="float64"),
    ),
    "batches of one row": Optimisation(
        [Change("kernels/epochs/small.py", "if positions.stop - positions.first == 1:", "if False:")],
        _cells((28, 100, 784), (1,), order="C") + _cells((100,), (1,), order="F"),
    ),
    "addresses apart": Optimisation(
        [Change(_C_ROWS, "    i = _apart(rows, i)\n", "")],
        _ROWS + _cells((100, 784), (1024,), dtype="uint8"),
    ),
    "prefetch between classes": Optimisation(
        [
            Change(
                _CLASS_ROWS,
                "    return row_at(order, min(ahead + k % 8, rows.shape[0] - 1))",
                "    return ahead - ahead",
            )
        ],
        _cells((28, 100, 784), (256, 4096), n_classes=10),
    ),
    "chunks of half the size": Optimisation(_size(_PLAN, "_CHUNK_BYTES", "64 * 1024", "32 * 1024"), _ROWS),
    "chunks of twice the size": Optimisation(_size(_PLAN, "_CHUNK_BYTES", "64 * 1024", "128 * 1024"), _ROWS),
    "short tiles of half the size": Optimisation(_size(_PLAN, "_SHORT_TILE_BYTES", "8 * 1024", "4 * 1024"), _NARROW),
    "short tiles of twice the size": Optimisation(_size(_PLAN, "_SHORT_TILE_BYTES", "8 * 1024", "16 * 1024"), _NARROW),
}


def without(optimisation: Optimisation, folder: Path) -> Path:
    """The source of a copy of the package, with an optimisation switched off."""
    source = folder / "src"
    shutil.copytree(CHECKOUT / "src", source, ignore=shutil.ignore_patterns("__pycache__"))
    for change in optimisation.changes:
        edit(folder, change.path, change.old, change.new)
    return source


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=[], metavar="NAME", help=", ".join(OPTIMISATIONS))
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--megabytes", type=float, default=64)
    parser.add_argument("--every", type=int, default=1, help="measure each so many-th cell only")
    parser.add_argument("--json", type=Path, help="write the ratios there")
    chosen = parser.parse_args()
    unknown = set(chosen.names) - OPTIMISATIONS.keys()
    if unknown:
        parser.error(f"no such optimisation: {', '.join(sorted(unknown))}; there are {', '.join(OPTIMISATIONS)}")
    found: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in chosen.names or OPTIMISATIONS:
            print(f"without {name}", flush=True)
            place = Path(folder) / name.replace(" ", "_")
            source = without(OPTIMISATIONS[name], place)
            cells = [cell._replace(megabytes=chosen.megabytes) for cell in OPTIMISATIONS[name].cells[:: chosen.every]]
            ratios = compare(source, CHECKOUT / "src", cells, chosen.rounds, place)
            found[name] = {str(cell): ratio for cell, ratio in ratios.items()}
    print(f"{'':32}  mean  least   most")
    for name, cells_found in found.items():
        values = list(cells_found.values())
        verdict = "" if max(values) >= _LEAST_GAIN else "  gains less than 5 % everywhere"
        print(f"{name:32} {geometric_mean(values):5.2f}  {min(values):5.2f}  {max(values):5.2f}{verdict}")
    if chosen.json:
        chosen.json.write_text(json.dumps({"machine": machine(), "time without / with": found}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
