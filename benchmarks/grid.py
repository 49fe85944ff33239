"""Throughput of the compiled training against the NumPy reference over n, batch size and dtype.

Both run in one process, in turn, on the same data. A fit is ten epochs of which the first records its cost. Where the
reference would take long it is given the first rows only, which fit the cache better: a figure in its favour.

    python benchmarks/grid.py --json grid.json --readme README.md
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import statistics
from pathlib import Path
from typing import Any

import numba
import numpy as np
from cases import BATCH_SIZES, DTYPES, EPOCHS, FEATURES, arguments, check_equal, interleaved, make_data, median_ratio
from roofline import read_bandwidth

import jitlogit
from jitlogit import reference

# About what a mini-batch costs in NumPy, whatever its size; and how long a timed fit of the reference may take.
_UPDATE_SECONDS = 25e-6
_MOST_SECONDS = 1.5


def measure(
    n: int, dtype: str, batch_sizes: tuple[int | None, ...], megabytes: float, rounds: int, order: str, shuffle: bool
) -> list[dict[str, Any]]:
    X, Y = make_data(n, dtype, megabytes, order)
    bandwidth = read_bandwidth(X)
    cells = []
    for batch_size in batch_sizes:
        check_equal(X, Y, batch_size, shuffle)
        m = X.shape[0]
        rows = min(m, int((batch_size or m) * _MOST_SECONDS / EPOCHS / _UPDATE_SECONDS))
        few = X[:rows] if order == "C" else np.asfortranarray(X[:rows])
        options = arguments(batch_size, shuffle)

        def fast(options=options):
            jitlogit.train_logistic_regression(X, Y, **options)

        def slow(few=few, labels=Y[:, :rows], options=options):
            reference.train_logistic_regression(few, labels, **options)

        seconds = interleaved({"numpy": slow, "numba": fast}, rounds)
        rate = X.nbytes * EPOCHS / statistics.median(seconds["numba"])
        cells.append(
            {
                "n": n,
                "dtype": dtype,
                "order": order,
                "shuffle": shuffle,
                "batch_size": batch_size,
                "rows": m,
                "numpy_rows_per_second": rows * EPOCHS / statistics.median(seconds["numpy"]),
                "numba_rows_per_second": m * EPOCHS / statistics.median(seconds["numba"]),
                "gigabytes_per_second": rate / 1e9,
                "share_of_bandwidth": rate / bandwidth,
                "speedup": median_ratio(seconds["numpy"], seconds["numba"]) * m / rows,
            }
        )
        print(line(cells[-1]), flush=True)
    return cells


def line(cell: dict[str, Any]) -> str:
    return (
        f"n={cell['n']:5d} {cell['dtype']} {cell['order']} batch {cell['batch_size'] or 'm'!s:>5}  "
        f"numpy {cell['numpy_rows_per_second'] / 1e6:8.2f} Mrows/s  numba {cell['numba_rows_per_second'] / 1e6:8.2f} "
        f"Mrows/s  {cell['gigabytes_per_second']:5.1f} GB/s ({cell['share_of_bandwidth']:4.0%} of read bandwidth)  "
        f"{cell['speedup']:6.2f}x{'' if cell['speedup'] >= 1 else '  SLOWER'}"
    )


def geometric_mean(cells: list[dict[str, Any]]) -> float:
    return math.exp(statistics.fmean(math.log(cell["speedup"]) for cell in cells))


def table(result: dict[str, Any]) -> str:
    """Markdown: a row for each n and dtype, a column for each batch size; losing cells in bold."""
    cells = {(cell["n"], cell["dtype"], cell["batch_size"]): cell for cell in result["cells"]}
    sizes = list(dict.fromkeys(cell["batch_size"] for cell in result["cells"]))
    lines = [
        "| n | dtype | " + " | ".join(f"batch {size or 'm'}" for size in sizes) + " |",
        "|---|---|" + "---|" * len(sizes),
    ]
    for n, dtype in dict.fromkeys((cell["n"], cell["dtype"]) for cell in result["cells"]):
        row = [cells[n, dtype, size] for size in sizes]
        shown = [f"{c['speedup']:.1f}x, {c['gigabytes_per_second']:.1f} GB/s" for c in row]
        shown = [text if c["speedup"] >= 1 else f"**{text}**" for text, c in zip(shown, row, strict=True)]
        lines.append(f"| {n} | {dtype} | " + " | ".join(shown) + " |")
    return "\n".join(lines) + f"\n\n{summary(result)}"


def summary(result: dict[str, Any]) -> str:
    machine = result["machine"]
    slower = sum(cell["speedup"] < 1 for cell in result["cells"])
    walk = "shuffled" if result["shuffle"] else "in order"
    return (
        f"X of {result['megabytes']:g} MB in {result['order']} order, rows {walk}, "
        f"{machine['threads']} threads, read bandwidth about {machine['bandwidth'] / 1e9:.0f} GB/s; NumPy "
        f"{machine['numpy']}, Numba {machine['numba']}. Geometric mean {result['geometric_mean']:.1f}x, slower in "
        f"{slower} of {len(result['cells'])} cells."
    )


def write_readme(path: Path, result: dict[str, Any]) -> None:
    """Replace what stands between the markers of the table."""
    begin, end = "<!-- grid: made by benchmarks/grid.py -->", "<!-- grid: end -->"
    before, _, rest = path.read_text().partition(begin)
    _, found, after = rest.partition(end)
    if not found:
        raise SystemExit(f"{path} has no markers {begin} and {end}")
    path.write_text(f"{before}{begin}\n{table(result)}\n{end}{after}")


def numbers(text: str) -> tuple[int, ...]:
    return tuple(int(word) for word in text.split(","))


def sizes(text: str) -> tuple[int | None, ...]:
    return tuple(None if word == "m" else int(word) for word in text.split(","))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=float, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--features", type=numbers, default=FEATURES)
    parser.add_argument("--batch-sizes", type=sizes, default=BATCH_SIZES, help="numbers, or m for all rows")
    parser.add_argument("--dtypes", type=lambda text: text.split(","), default=DTYPES)
    parser.add_argument("--order", choices=("C", "F"), default="C")
    parser.add_argument("--shuffle", action="store_true")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--readme", type=Path, help="file whose table is replaced")
    options = parser.parse_args()
    cells = []
    for n in options.features:
        for dtype in options.dtypes:
            cells += measure(
                n, dtype, options.batch_sizes, options.megabytes, options.rounds, options.order, options.shuffle
            )
    result = {
        "megabytes": options.megabytes,
        "order": options.order,
        "shuffle": options.shuffle,
        "machine": {
            "processor": platform.processor() or platform.machine(),
            "threads": numba.get_num_threads(),
            "bandwidth": statistics.median(c["gigabytes_per_second"] * 1e9 / c["share_of_bandwidth"] for c in cells),
            "python": platform.python_version(),
            "numpy": np.__version__,
            "numba": numba.__version__,
        },
        "geometric_mean": geometric_mean(cells),
        "cells": cells,
    }
    print(f"\n{summary(result)}")
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")
    if options.readme:
        write_readme(options.readme, result)


if __name__ == "__main__":
    main()
