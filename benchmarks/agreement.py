"""Check that asv, pytest-benchmark and the rivals' runner show the same throughput for the same cell.

Each measures the same fit in its own way and its own processes, in turn. Medians over rounds are compared. The fit is
one epoch over 128 MB by one thread. A second thread starts milliseconds late if the machine was idle before, which
differs between the three.

    python -m benchmarks agreement
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from argparse import Namespace
from pathlib import Path

import grid
from cases import make_data
from checkout import CHECKOUT, why_another_is_measured
from options import Parser

MEGABYTES = 128.0
CELLS = ((100, 256), (100, None), (784, 256), (784, None))
_LIMIT = 1.15


def by_runner() -> dict[tuple[int, int | None], float]:
    """GB of X per second."""
    found = {}
    for n, batch_size in CELLS:
        X, Y = make_data(n, "float32", MEGABYTES)
        cell = grid.measure_cell(X, Y, batch_size, rounds=5, rivals=False, epochs=1)
        found[n, batch_size] = cell["one_rows_per_second"] * n * 4 / 1e9
    return found


def by_pytest_benchmark(folder: Path) -> dict[tuple[int, int | None], float]:
    path = folder / "benchmark.json"
    names = [f"{n}-{batch_size or 'full'}-float32-numba" for n, batch_size in CELLS]
    tests = [f"benchmarks/test_throughput.py::test_epoch[{name}]" for name in names]
    command = [sys.executable, "-m", "pytest", "-q", *tests, f"--benchmark-json={path}"]
    subprocess.run(command, cwd=CHECKOUT, check=True, capture_output=True, env=_environment())
    rates = {each["name"]: each["extra_info"]["GB/s"] for each in json.loads(path.read_text())["benchmarks"]}
    return {cell: rates[f"test_epoch[{name}]"] for cell, name in zip(CELLS, names, strict=True)}


def by_asv(folder: Path) -> dict[tuple[int, int | None], float]:
    settings = json.loads((CHECKOUT / "asv.conf.json").read_text())
    settings |= {
        "repo": str(CHECKOUT),
        "benchmark_dir": str(CHECKOUT / "benchmarks" / "asv_suite"),
        "results_dir": str(folder / "results"),
    }
    config = folder / "asv.json"
    config.write_text(json.dumps(settings))
    asv = [sys.executable, "-m", "asv"]
    environment = _environment() | {"HOME": str(folder)}
    subprocess.run([*asv, "machine", "--yes", "--config", config], check=True, capture_output=True, env=environment)
    which = "|".join(rf"\({n}, {batch_size or 0}, 'float32', 'one', 'numba'\)" for n, batch_size in CELLS)
    command = [*asv, "run", "--config", config, "-E", f"existing:{sys.executable}", "--set-commit-hash", "HEAD"]
    command += ["--bench", rf"epochs\.Epoch\.time_epoch({which})$"]
    subprocess.run(command, check=True, capture_output=True, env=environment, cwd=CHECKOUT)
    (path,) = (path for path in (folder / "results").glob("*/*.json") if path.name != "machine.json")
    run = json.loads(path.read_text())
    columns = dict(zip(run["result_columns"], run["results"]["epochs.Epoch.time_epoch"], strict=False))
    sizes, batches, dtypes, threads, implementations = columns["params"]
    found = {}
    for n, batch_size in CELLS:
        place = 0
        for values, value in (
            (sizes, str(n)),
            (batches, str(batch_size or 0)),
            (dtypes, "'float32'"),
            (threads, "'one'"),
            (implementations, "'numba'"),
        ):
            place = place * len(values) + values.index(value)
        X, _ = make_data(n, "float32", MEGABYTES)
        found[n, batch_size] = X.nbytes / columns["result"][place] / 1e9
    return found


def _environment() -> dict[str, str]:
    return {**os.environ, "JITLOGIT_BENCHMARK_MEGABYTES": str(MEGABYTES), "NUMBA_NUM_THREADS": "1"}


def add_options(parser: Parser) -> None:
    parser.add_rounds(3)


def run(given: Namespace) -> int:
    if reason := why_another_is_measured():
        raise SystemExit(reason)
    rates: dict[str, list[dict[tuple[int, int | None], float]]] = {"runner": [], "pytest-benchmark": [], "asv": []}
    for _ in range(given.rounds):
        with tempfile.TemporaryDirectory() as folder:
            rates["runner"].append(by_runner())
            rates["pytest-benchmark"].append(by_pytest_benchmark(Path(folder)))
            rates["asv"].append(by_asv(Path(folder)))
    agree = True
    for cell in CELLS:
        shown = {name: statistics.median(each[cell] for each in measured) for name, measured in rates.items()}
        spread = max(shown.values()) / min(shown.values())
        agree &= spread <= _LIMIT
        words = ", ".join(f"{name} {rate:.1f} GB/s" for name, rate in shown.items())
        print(f"n={cell[0]}, batch {cell[1] or 'm'}: {words}; highest / lowest {spread:.2f}")
    return 0 if agree else 1
