"""Measure the throughput of training over a grid, beside rivals and the machine's read bandwidth.

A cell of the grid has an n, a batch size, a dtype and an order of X. A fit of ten epochs calls the public function,
with all threads and with one. Its rate is shown as a share of the read bandwidth of the same number of threads,
measured in the same minute. The fastest rival's pass runs in turn with ours. A slow rival gets the first rows only,
which favours it, since they fit the caches better. Results are compared before anything is timed.

    python -m benchmarks grid --json grid.json --readme benchmarks/README.md
"""

from __future__ import annotations

import json
import math
import os
import platform
import statistics
import time
import warnings
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import history
import numba
import numpy as np
from cases import DTYPES, EPOCHS, FEATURES, arguments, check_equal, make_data, settle
from checkout import provenance
from options import Parser, replace_table, write_json
from rivals import RATE, epoch_rivals, installed_version, make, version
from roofline import read_bandwidth

import jitlogit

MEGABYTES = 200
BATCH_SIZES = (1, 32, 64, 256, 1024, 4096, None)
# Greatest difference from a rival's weights after a pass, relative to the largest. Sums in other orders add up to this.
_CLOSE = {"float32": 2e-2, "float64": 1e-6}


def seconds_of(run: Any) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def check_rival(name: str, run: Any, X: np.ndarray, Y: np.ndarray, batch_size: int) -> None:
    """Raise if a rival's weights after a pass are not those of ours; compiles on the way."""
    weights = np.asarray(run())
    ours, _, _ = jitlogit.train_logistic_regression(X, Y, RATE, 1, batch_size=batch_size, shuffle=False)
    error = float(np.max(np.abs(weights - ours[:, 0])) / np.max(np.abs(ours)))
    if not error <= _CLOSE[str(X.dtype)]:
        raise AssertionError(f"{name} differs by {error} at n={X.shape[1]}, batch {batch_size}, {X.dtype}")


def measure_cell(
    X: np.ndarray, Y: np.ndarray, batch_size: int | None, rounds: int, rivals: bool, epochs: int = EPOCHS
) -> dict[str, Any]:
    """Rows per second of ours (all threads, one thread) and of each rival, and shares of the bandwidth; medians."""
    check_equal(X, Y, batch_size, shuffle=False)
    m, n = X.shape
    size = batch_size or m
    threads = {"all": numba.get_num_threads(), "one": 1}
    options = arguments(batch_size, False, epochs=epochs if size > 1 else 1)
    contestants = {}
    missing = []
    for rival in epoch_rivals(size) if rivals else []:
        name = rival.name
        if version(rival) is None:
            missing.append(name)
            continue
        run, rows = make(rival, X, Y[0], size)
        part = X[:rows] if X.flags.c_contiguous else np.asfortranarray(X[:rows])
        if size * 10 <= m:  # in larger batches, a pass is a few updates, and ours is checked above
            check_rival(name, run, part, Y[:, :rows], size)
        run()
        contestants[name] = run, rows
    rates: dict[str, list[float]] = {name: [] for name in [*threads, *contestants]}
    shares: dict[str, list[float]] = {name: [] for name in threads}
    for _ in range(rounds):
        for name, (run, rows) in contestants.items():
            settle()
            rates[name].append(rows / seconds_of(run))
        settle()
        for name, count in threads.items():
            bandwidth = read_bandwidth(X, count, repeats=1)
            seconds = seconds_of(
                lambda count=count: jitlogit.train_logistic_regression(X, Y, n_threads=count, **options)
            )
            rates[name].append(m * options["num_iterations"] / seconds)
            shares[name].append(rates[name][-1] * n * X.itemsize / bandwidth)
    cell: dict[str, Any] = {f"{name}_rows_per_second": statistics.median(values) for name, values in rates.items()}
    cell |= {f"{name}_share": statistics.median(values) for name, values in shares.items()}
    cell["batch_size"] = batch_size
    cell["not_installed"] = missing
    if contestants:
        best = max(contestants, key=lambda name: statistics.median(rates[name]))
        cell["best_rival"] = best
        cell["speedup"] = statistics.median(a / b for a, b in zip(rates["all"], rates[best], strict=True))
    return cell


def measure(given: Namespace) -> list[dict[str, Any]]:
    cells = []
    for order in given.orders:
        for n in given.features:
            for dtype in given.dtypes:
                X, Y = make_data(n, dtype, MEGABYTES * given.size, order)
                for batch_size in given.batch_sizes:
                    if batch_size is not None and batch_size > X.shape[0]:
                        continue
                    cell = measure_cell(X, Y, batch_size, given.rounds, not given.alone)
                    cells.append({"n": n, "dtype": dtype, "order": order, **cell})
                    print(line(cells[-1]), flush=True)
    return cells


def line(cell: dict[str, Any]) -> str:
    rivals = ""
    if "speedup" in cell:
        rivals = f"  {cell['speedup']:6.2f}x {cell['best_rival']}{'' if cell['speedup'] >= 1 else '  SLOWER'}"
    return (
        f"n={cell['n']:5d} {cell['dtype']} {cell['order']} batch {cell['batch_size'] or 'm'!s:>5}  "
        f"{cell['all_rows_per_second'] / 1e6:8.2f} Mrows/s  {cell['all_share']:4.0%} of the bandwidth of all threads  "
        f"{cell['one_share']:4.0%} of one{rivals}"
    )


def table(cells: list[dict[str, Any]], order: str) -> str:
    """Markdown: a row for each n and dtype, a column for each batch size; losing cells in bold."""
    found = {(c["n"], c["dtype"], c["batch_size"]): c for c in cells if c["order"] == order}
    sizes = list(dict.fromkeys(size for _, _, size in found))
    lines = [
        f"| {order} order: n | dtype | " + " | ".join(f"batch {size or 'm'}" for size in sizes) + " |",
        "|---|---|" + "---|" * len(sizes),
    ]
    for n, dtype in dict.fromkeys((n, dtype) for n, dtype, _ in found):
        shown = [text(found.get((n, dtype, size))) for size in sizes]
        lines.append(f"| {n} | {dtype} | " + " | ".join(shown) + " |")
    return "\n".join(lines)


def text(cell: dict[str, Any] | None) -> str:
    if cell is None:
        return ""
    shares = f"{100 * cell['all_share']:.0f} / {100 * cell['one_share']:.0f} %"
    if "speedup" not in cell:
        return shares
    ratio = f"{cell['speedup']:.1f}x {cell['best_rival']}, {shares}"
    return ratio if cell["speedup"] >= 1 else f"**{ratio}**"


def summary(result: dict[str, Any]) -> str:
    machine = result["machine"]
    ratios = [cell["speedup"] for cell in result["cells"] if "speedup" in cell]
    when = f"{result['date'][:10]}, {machine['processor']}; " if "date" in result else ""
    words = (
        f"{when}X of {result['megabytes']:g} MB, rows in order, {machine['threads']} threads; "
        + ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
        + "."
    )
    missing = dict.fromkeys(name for cell in result["cells"] for name in cell.get("not_installed", ()))
    if missing:
        words += f" Not installed: {', '.join(missing)}."
    if ratios:
        mean = math.exp(statistics.fmean(map(math.log, ratios)))
        words += (
            f" Against the fastest rival: geometric mean {mean:.1f}x, slower in {sum(r < 1 for r in ratios)} of "
            f"{len(ratios)} cells, less than 1.3 times as fast in {sum(r < 1.3 for r in ratios)}."
        )
    return words


def write_readme(path: Path, result: dict[str, Any]) -> None:
    """Replace the tables of the grid."""
    orders = dict.fromkeys(cell["order"] for cell in result["cells"])
    tables = "\n\n".join(table(result["cells"], order) for order in orders)
    replace_table(path, "grid: made by benchmarks/grid.py", "grid: end", f"{tables}\n\n{summary(result)}")


def versions() -> dict[str, str]:
    names = ["numpy", "numba", *dict.fromkeys(rival.distribution for rival in [*epoch_rivals(1), *epoch_rivals(32)])]
    return {name: found for name in dict.fromkeys(names) if (found := installed_version(name))}


def joined(paths: Sequence[Path]) -> dict[str, Any]:
    """One result with the lists of several, as that of cells."""
    results = [json.loads(path.read_text()) for path in paths]
    lists = (name for name, value in results[0].items() if isinstance(value, list))
    return results[0] | {name: [one for each in results for one in each[name]] for name in lists}


def batch_size(text: str) -> int | None:
    return None if text == "m" else int(text)


def machine() -> dict[str, Any]:
    return {
        "processor": history.machine(),
        "threads": numba.get_num_threads(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "versions": versions(),
    }


QUICK = ("--size 0.02 --rounds 1 --features 10 100 --batch-sizes 1 256 m --json {folder}/grid.json",)


def add_options(parser: Parser) -> None:
    parser.add_size(f"{MEGABYTES} MB of X")
    parser.add_rounds(3)
    parser.add_threads()
    parser.add_features(FEATURES)
    parser.add_dtypes(DTYPES)
    parser.add_alone()
    parser.add_earlier()
    parser.add_json()
    parser.add_readme()
    parser.add_argument(
        "--batch-sizes",
        nargs="+",
        type=batch_size,
        default=list(BATCH_SIZES),
        metavar="ROWS",
        help="numbers, or m for all rows",
    )
    parser.add_argument("--orders", nargs="+", choices=("C", "F"), default=["C", "F"], help="of X in memory")


def run(given: Namespace) -> int:
    warnings.filterwarnings("ignore", message="batch_size=.* is more than")
    if given.earlier:
        result = joined(given.earlier)
    else:
        result = {"megabytes": MEGABYTES * given.size, "machine": machine(), **provenance(), "cells": measure(given)}
    print(f"\n{summary(result)}")
    write_json(given.json, result)
    if given.readme:
        write_readme(given.readme, result)
    return 0
