"""Compare all installed libraries: throughput over batch size, and loss over time.

Writes JSON with versions, threads and machine. Makes Markdown tables from it, which `--readme` puts into the README,
and PNG plots. Libraries that aren't installed are listed as missing.

    python -m benchmarks compete
    python -m benchmarks compete --earlier compete.json --readme benchmarks/README.md
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gaps
import grid
from options import Parser, replace_table, write_json

_FEATURES = (28, 784)
_BATCH_SIZES = (1, 32, 64, 256, 1024, 4096, None)


def throughput_table(cells: list[dict[str, Any]]) -> str:
    """Markdown: a row for each contestant, million rows per second; the most in bold."""
    heads = [f"n={c['n']}, batch {c['batch_size'] or 'm'}" for c in cells]
    names = dict.fromkeys(name for cell in cells for name in [*rates_of(cell), *cell["not_installed"]])
    lines = ["| million rows per second | " + " | ".join(heads) + " |", "|---|" + "---|" * len(heads)]
    for name in names:
        shown = []
        for cell in cells:
            rates = rates_of(cell)
            text = (
                f"{rates[name] / 1e6:.3g}"
                if name in rates
                else "not installed"
                if name in cell["not_installed"]
                else ""
            )
            shown.append(f"**{text}**" if rates.get(name) == max(rates.values()) else text)
        lines.append(f"| {name} | " + " | ".join(shown) + " |")
    return "\n".join(lines)


def rates_of(cell: dict[str, Any]) -> dict[str, float]:
    """Rows per second of each contestant of a cell."""
    suffix = "_rows_per_second"
    found = {key.removesuffix(suffix): value for key, value in cell.items() if key.endswith(suffix)}
    ours = {"jitlogit": found.pop("all"), "jitlogit, one thread": found.pop("one")}
    return ours | found


def plot(result: dict[str, Any], folder: Path) -> list[Path]:
    """PNG files: throughput over batch size under the roofline for each n, and loss gap over time for each set."""
    plt = pyplot()
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for n, dtype in dict.fromkeys((cell["n"], cell["dtype"]) for cell in result["cells"]):
        figure, axes = plt.subplots(figsize=(7, 4.5), layout="constrained")
        draw_throughput(axes, [cell for cell in result["cells"] if (cell["n"], cell["dtype"]) == (n, dtype)])
        axes.legend(fontsize="small")
        paths.append(folder / f"throughput-{n}-{dtype}.png")
        figure.savefig(paths[-1], dpi=120)
        plt.close(figure)
    for each in result["sets"]:
        figure, axes = plt.subplots(figsize=(7, 4.5), layout="constrained")
        for solver in each["solvers"]:
            points = sorted((point["seconds"], max(point["gap"], 1e-10)) for point in solver["points"])
            if points:
                axes.plot(*zip(*points, strict=True), marker="o", label=solver["name"])
        axes.set(xlabel="seconds", ylabel="mean loss above the least", xscale="log", yscale="log")
        axes.set_title(f"{each['set']}, {each['dtype']}, alpha = {each['alpha']:g}")
        axes.legend(fontsize="x-small")
        paths.append(folder / f"gap-{each['set'].replace(' ', '')}.png")
        figure.savefig(paths[-1], dpi=120)
        plt.close(figure)
    return paths


def pyplot() -> Any:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    return plt


def draw_throughput(axes: Any, cells: list[dict[str, Any]]) -> None:
    """Throughput over batch size of all contestants, under the read bandwidth; the cells have one n and one dtype."""
    row_bytes = row_bytes_of(cells[0])
    for name in dict.fromkeys(name for cell in cells for name in rates_of(cell)):
        points = [(k, rates_of(cell)[name] * row_bytes / 1e9) for k, cell in enumerate(cells) if name in rates_of(cell)]
        axes.plot(*zip(*points, strict=True), marker="o", label=name, linewidth=2 if name == "jitlogit" else 1)
    axes.plot(range(len(cells)), [bandwidth_of(cell) for cell in cells], color="black", ls="--", label="read bandwidth")
    title = f"{cells[0]['n']} features of {cells[0]['dtype']}"
    axes.set(xlabel="batch size", ylabel="GB of X per second", yscale="log", title=title)
    axes.set_xticks(range(len(cells)), [str(cell["batch_size"] or "all") for cell in cells])


def row_bytes_of(cell: dict[str, Any]) -> int:
    return int(cell["n"]) * (8 if cell["dtype"] == "float64" else 4)


def bandwidth_of(cell: dict[str, Any]) -> float:
    """What all threads can read, in GB per second."""
    return float(cell["all_rows_per_second"] * row_bytes_of(cell) / cell["all_share"] / 1e9)


def tables(result: dict[str, Any]) -> str:
    return f"{throughput_table(result['cells'])}\n\n{gaps.table(result['sets'])}\n\n{grid.summary(result)}"


def in_c_order(given: Namespace, batch_sizes: Sequence[int | None]) -> Namespace:
    """Settings of `grid.measure` for float32 in C order, beside rivals."""
    cut = {"orders": ("C",), "dtypes": ("float32",), "batch_sizes": batch_sizes, "alone": False}
    return Namespace(features=given.features, size=given.size, rounds=given.rounds, **cut)


def measure(given: Namespace) -> dict[str, Any]:
    settings = in_c_order(given, _BATCH_SIZES)
    return {
        "megabytes": grid.MEGABYTES * given.size,
        "machine": grid.machine(),
        "cells": grid.measure(settings),
        "sets": gaps.measure(given.sets or gaps.SETS, "float32", given.alpha, given.rounds, given.size),
    }


QUICK = ("--size 0.02 --rounds 1 --features 10 --sets '20k x 50' --json {folder}/compete.json --plots {folder}/plots",)


def add_options(parser: Parser) -> None:
    parser.add_size("200 MB of X for throughput, and all rows of the sets")
    parser.add_features(_FEATURES)
    parser.add_rounds(3)
    parser.add_sets(gaps.SETS)
    parser.add_threads()
    parser.add_earlier()
    parser.add_json(Path("compete.json"))
    parser.add_readme()
    parser.add_argument("--alpha", type=float, default=gaps.ALPHA, help="of the penalty")
    parser.add_argument("--plots", type=Path, default=Path("plots"), metavar="FOLDER", help="for PNG files")


def run(given: Namespace) -> int:
    result = grid.joined(given.earlier) if given.earlier else measure(given)
    print(tables(result))
    write_json(given.json, result)
    for path in [given.json, *plot(result, given.plots)]:
        print(path)
    replace_table(given.readme, "rivals: made by benchmarks/compete.py", "rivals: end", tables(result))
    return 0
