"""Measure what each optimisation gains, with copies of the package in which one is switched off.

    python -m benchmarks ablation [NAME ...]

Each optimisation has some cells of the grid. First, `ways` shows that a fit of each cell uses the optimisation, that
it doesn't in the copy, and that both compute the same; if not, nothing is measured. Then fits by two processes with it
and one without it run in turn. A cell is a gain or a loss where the ratio of their times (without / with) is beyond 5 %
and beyond what the two equal processes differ by. An optimisation that gains less than 5 % in every cell, on two kinds
of processor, isn't worth its code. Tuned sizes are halved and doubled; a loss means that the other size is better.

Exit codes: 0 each optimisation gains, 1 one doesn't, 2 nothing can be told about one.

    python -m benchmarks ablation --check

stops before the measurement, and compiles nothing.
"""

from __future__ import annotations

import itertools
import math
import os
import random
import shutil
import tempfile
from argparse import Namespace
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from beside import Cell, Fitter, geometric_mean
from grid import machine
from options import Parser, write_json
from paired import Judgement, conclusion, judge
from planted import CHECKOUT, edit
from ways import Way, ways

from jitlogit.kernels.simd.lane_types import VECTOR_BYTES

_C_ROWS, _F_COLUMNS = "kernels/storage/c_rows.py", "kernels/storage/f_columns.py"
_CLASS_ROWS, _PLAN, _TILE = "kernels/storage/class_rows.py", "kernels/storage/plan.py", "kernels/passes/tile.py"
# Largest difference of parameters after two updates, relative to the largest parameter.
_TOLERANCE = {"float32": 1e-5, "float64": 1e-13, "uint8": 1e-5}
# The same after a whole fit by compiled code, whose sums differ in each of its updates.
_FIT_TOLERANCE = 1e-3
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
    """How it is switched off, the cells that it is about, and what it does to a fit."""

    changes: list[Change]
    cells: list[Cell]
    effect: Callable[[Way], Any]  # true with it, and something else without it
    tuned: bool = False  # whether the change is another size


def _cells(features: tuple[int, ...], batches: tuple[int, ...], **others: Any) -> list[Cell]:
    return [Cell(n, batch, n_threads=threads, **others) for n in features for batch in batches for threads in (1, 2)]


def _size(path: str, name: str, old: str, new: str) -> list[Change]:
    return [Change(path, f"\n{name} = {old}", f"\n{name} = {new}")]


def _calls(*names: str) -> Callable[[Way], bool]:
    return lambda way: not way.calls.isdisjoint(names)


def _other_chunks(new: str, cells: list[Cell]) -> Optimisation:
    return Optimisation(_size(_PLAN, "_CHUNK_BYTES", "64 * 1024", new), cells, lambda way: way.n_chunks, True)


def _other_short_tiles(new: str, cells: list[Cell]) -> Optimisation:
    return Optimisation(_size(_PLAN, "_SHORT_TILE_BYTES", "8 * 1024", new), cells, lambda way: way.tile_rows, True)


def _without_prefetch(*lines: str) -> list[Change]:
    """Changes of `class_rows`; the line after a prefetch, or two, tell it from others."""
    return [
        Change(_CLASS_ROWS, f"        memory.prefetch(rows, upcoming, {j})\n{after}", after)
        for j, after in (line.split("|") for line in lines)
    ]


_BATCHES = (32, 256, 4096)
# Values of a vector. Narrow rows are as long as one or two.
_LANES = VECTOR_BYTES // 4
# float32 rows from 61 to 274 features and from 901 to 1024, and float64 rows of half the length, are taken by eights.
_EIGHTS = (
    _cells((100, 200, 1000), _BATCHES)
    + _cells((100,), (32, 4096), dtype="float64")
    + _cells((784,), (1024,), dtype="uint8")
)
_LONG_ROWS = _cells((2000,), _BATCHES)
_PAIRS = _cells((400, 784), _BATCHES) + _cells((200, 400), (32, 4096), dtype="float64")
_NARROW = _cells((_LANES * 5 // 8, _LANES, 2 * _LANES), _BATCHES) + _cells((_LANES,), _BATCHES, dtype="float64")

OPTIMISATIONS = {
    "vectors": Optimisation(
        [
            Change(_TILE, 'if is_weighted(labels) or rows.ndim == 3 or rows.layout != "C" else', "if True else"),
            Change(_C_ROWS, "\ndef accumulate_by_row(", "\ndef _unused("),
            Change(_C_ROWS, "\ndef scores_by_row(", _LOOPS + "\n\ndef _unused_too("),
            *_size(_PLAN, "_PAIR_BYTES", "range(1100, 3601)", "range(0)"),
            *_size(_PLAN, "_EIGHT_WIDE_BYTES", "4096", "0"),
        ],
        _NARROW + _EIGHTS + _PAIRS + _LONG_ROWS,
        lambda way: any(call.startswith("c_rows.") and call.endswith("> lanes") for call in way.calls),
    ),
    "eights": Optimisation(
        [Change(_TILE, "0 if tiles.way == TILES else", "0 if tiles.way != PAIRS else")],
        _EIGHTS,
        _calls("tile._add_eights"),
    ),
    "pairs": Optimisation(
        _size(_PLAN, "_PAIR_BYTES", "range(1100, 3601)", "range(0)"), _PAIRS, _calls("tile._add_pairs")
    ),
    "packing": Optimisation(
        [Change("training/packing.py", "if rows.dtype == np.float64 or batch_size < _LEAST_BATCH:", "if True:")],
        _cells((4, 8), _BATCHES, epochs=50)
        + _cells((10,), _BATCHES, dtype="uint8", epochs=50)
        + _cells((16, 28), _BATCHES, order="F", epochs=50),
        lambda way: way.packed,
    ),
    "turned copies": Optimisation(
        _size(_PLAN, "LEAST_TURNED_FEATURES", "16", "1 << 60"),
        _cells((28,), (8, 32, 64), order="F") + _cells((100,), (8, 32), order="F") + _cells((784,), (8, 16), order="F"),
        lambda way: way.work == "TurnedWorkSpace",
    ),
    "shared features": Optimisation(
        _size(_PLAN, "LEAST_SHARED_FEATURES", "64", "1 << 60"),
        _cells((100,), (64, 256), order="F") + _cells((784, 2000), (32, 64, 256), order="F"),
        lambda way: way.n_parts > 1,
    ),
    "prefetch of shuffled rows": Optimisation(
        [Change(_C_ROWS, "    if order is not None:\n", "    if False:\n")],
        _cells((28, 100, 784), _BATCHES, shuffle=True),
        _calls("c_rows.fetch > memory"),
    ),
    "prefetch of columns": Optimisation(
        [
            Change(
                _F_COLUMNS,
                "            for k in range(4):\n                memory.prefetch(rows, i_ahead + t, j_ahead + k)\n",
                "",
            )
        ],
        _cells((28, 100, 784), (256, 4096), order="F") + _cells((784,), (32,), order="F"),
        _calls("f_columns.scores_by_column > memory"),
    ),
    "narrow rows": Optimisation(
        [
            Change(_C_ROWS, "    if n <= step:\n        _narrow_scores", "    if n < 0:\n        _narrow_scores"),
            Change(
                _C_ROWS, "    elif n <= 2 * step:\n        _narrow_scores", "    elif n < 0:\n        _narrow_scores"
            ),
            Change(_C_ROWS, "    if n <= step:\n        _narrow_acc", "    if n < 0:\n        _narrow_acc"),
            Change(_C_ROWS, "    elif n <= 2 * step:\n        _narrow_acc", "    elif n < 0:\n        _narrow_acc"),
        ],
        _NARROW,
        _calls("c_rows._narrow_scores", "c_rows._narrow_accumulate"),
    ),
    "batches of one row": Optimisation(
        [Change("kernels/epochs/small_walk.py", "if positions.stop - positions.first == 1:", "if False:")],
        _cells((28, 100, 784), (1,), order="C") + _cells((100,), (1,), order="F"),
        _calls("small_walk._single_row"),
    ),
    "addresses apart": Optimisation(
        [Change(_C_ROWS, "    i = eights.apart(rows, i)\n", "")], _EIGHTS + _LONG_ROWS, _calls("eights._plain_apart")
    ),
    "prefetch between classes": Optimisation(
        _without_prefetch(
            "j|        x = eights.load(rows, i, j)\n        a = ",
            "whole|        x = eights.load_masked(rows, i, whole, lanes.first(rows, n - whole))\n        a = ",
            "j|        x = eights.load(rows, i, j)\n        lanes",
            "whole|        x = eights.load_masked(rows, i, whole, lanes.first(rows, n - whole))\n        lanes",
        ),
        _cells((28, 100, 784), (256, 4096), n_classes=10),
        _calls("class_rows._scores_of_two > memory", "class_rows._add_eight_to_two > memory"),
    ),
    "chunks of half the size": _other_chunks(
        "32 * 1024", _cells((784,), (32,)) + _cells((100,), (256, 1024)) + _cells((40,), (4096,))
    ),
    "chunks of twice the size": _other_chunks(
        "128 * 1024",
        _cells((2000,), (32,)) + _cells((784,), (48,)) + _cells((100,), (1024, 4096)) + _cells((40,), (4096,)),
    ),
    "short tiles of half the size": _other_short_tiles("4 * 1024", _cells((40, 50, 60), _BATCHES)),
    "short tiles of twice the size": _other_short_tiles("16 * 1024", _cells((40, 50, 60), (256, 4096))),
}


def without(optimisation: Optimisation, folder: Path) -> Path:
    """The source of a copy of the package, with an optimisation switched off."""
    source = folder / "src"
    shutil.copytree(CHECKOUT / "src", source, ignore=shutil.ignore_patterns("__pycache__"))
    for change in optimisation.changes:
        edit(folder, change.path, change.old, change.new)
    return source


def difference(one: list[float], other: list[float]) -> float:
    """Largest difference of parameters, relative to the largest parameter; infinite where it isn't known."""
    a, b = np.array(one), np.array(other)
    found = np.max(np.abs(a - b)) / np.max(np.abs(a)) if a.shape == b.shape else np.inf
    return float(found) if np.isfinite(found) else math.inf


def problem(name: str, base: Way, other: Way) -> str | None:
    """What is wrong with a cell of an optimisation, by the ways of a fit with it and without it."""
    effect = OPTIMISATIONS[name].effect
    if not effect(base):
        return f"the fit doesn't use {name}, so another cell is needed"
    if effect(other) == effect(base):
        return f"without {name}, the fit takes the same way, so nothing was switched off"
    differs = difference(base.parameters, other.parameters)
    return f"without {name}, results differ by {differs:.2g}" if differs > _TOLERANCE[base.dtype] else None


def usable(name: str, base: dict[Cell, Way], other: dict[Cell, Way]) -> list[Cell]:
    """The cells of an optimisation, without those of two threads in which one of them would have no work.

    Raises RuntimeError if a cell has a problem.
    """
    wrong = {cell: problem(name, base[cell], other[cell]) for cell in other}
    if any(wrong.values()):
        raise RuntimeError("\n".join(f"{cell}: {words}" for cell, words in wrong.items() if words))

    def has_work(cell: Cell) -> bool:
        one = cell._replace(n_threads=1)
        return cell == one or any(way.n_chunks * way.n_parts > 1 for way in (base[one], other[one]))

    return [cell for cell in OPTIMISATIONS[name].cells if has_work(cell)]


def check(names: Iterable[str], folder: Path) -> dict[str, tuple[Path, list[Cell]]]:
    """The source without each optimisation, and its cells, after a look at the ways of all."""
    names = list(names)
    cells = {name: [cell for cell in OPTIMISATIONS[name].cells if cell.n_threads == 1] for name in names}
    sources = {name: without(OPTIMISATIONS[name], folder / name.replace(" ", "_")) for name in names}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        every = pool.submit(ways, CHECKOUT / "src", list(dict.fromkeys(itertools.chain(*cells.values()))))
        others = {name: pool.submit(ways, sources[name], cells[name]) for name in names}
        return {name: (sources[name], usable(name, every.result(), others[name].result())) for name in names}


def measure(source: Path, cells: Iterable[Cell], rounds: int, cache: Path) -> dict[Cell, Judgement]:
    """Judge each cell by fits in turn, of the base, of the base again, and of a source; print what is found."""
    found = {}
    fitters = [Fitter(each, cache) for each in (CHECKOUT / "src", CHECKOUT / "src", source)]
    shuffled = random.Random(0)
    try:
        for cell in cells:
            # Compiles; the base's second process finds its kernels in the cache.
            base, _, other = (fitter.fit(cell)[1] for fitter in fitters)
            if difference(base, other) > _FIT_TOLERANCE:
                raise RuntimeError(f"{cell}: the compiled fits' results differ by {difference(base, other):.2g}")
            seconds: list[list[float]] = [[], [], []]
            for _ in range(rounds):
                for k in shuffled.sample(range(3), 3):
                    seconds[k].append(fitters[k].seconds(cell))
            found[cell] = judge(*seconds)
            print(f"{found[cell]}  {cell}", flush=True)
    finally:
        for fitter in fitters:
            fitter.close()
    return found


def report(found: dict[str, dict[Cell, Judgement]]) -> int:
    """Print what was found about each optimisation; return the exit code."""
    codes = set()
    print(f"{'time without / with':32}  mean  least   most")
    for name, judgements in found.items():
        ratios = [judgement.ratio for judgement in judgements.values()]
        words, code = conclusion((each.word for each in judgements.values()), OPTIMISATIONS[name].tuned)
        codes.add(code)
        print(f"{name:32} {geometric_mean(ratios):5.2f}  {min(ratios):5.2f}  {max(ratios):5.2f}  {words}")
    return 1 if 1 in codes else 2 if 2 in codes else 0


QUICK = ("--check",)


def add_options(parser: Parser) -> None:
    parser.add_parts(OPTIMISATIONS, "name")
    parser.add_rounds(25)
    parser.add_size("64 MB of X")
    parser.add_every()
    parser.add_json()
    parser.add_argument("--check", action="store_true", help="check each way, and measure nothing")


def run(given: Namespace) -> int:
    found: dict[str, dict[Cell, Judgement]] = {}
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        checked = check(given.parts or OPTIMISATIONS, place)
        n_cells = sum(len(cells) for _, cells in checked.values())
        print(f"{len(checked)} optimisations are in force in {n_cells} cells, and off in the copies", flush=True)
        for name, (source, cells) in checked.items() if not given.check else ():
            print(f"without {name}", flush=True)
            sized = [cell._replace(megabytes=64 * given.size) for cell in cells[:: given.every]]
            found[name] = measure(source, sized, given.rounds, place / "kernels")
    told = {name: {str(cell): each._asdict() for cell, each in of.items()} for name, of in found.items()}
    write_json(given.json, {"machine": machine(), "time without / with": told})
    return 0 if given.check else report(found)
