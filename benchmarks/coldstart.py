"""Seconds that a fresh process spends before its first model: import, first fit uncached, first fit cached.

Each figure comes from its own processes, with their own kernel cache.

    python benchmarks/coldstart.py
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

IMPORT = "import time; start = time.perf_counter(); import {module}; print(time.perf_counter() - start)"
FIRST_FIT = """
import time
start = time.perf_counter()
import numpy as np, jitlogit
imported = time.perf_counter()
X = np.random.default_rng(0).standard_normal((20_000, 100), np.float32)
Y = X[:, 0] > 0
made = time.perf_counter()
jitlogit.train_logistic_regression(X, Y, 0.1, 2, batch_size={batch_size})
print(imported - start + time.perf_counter() - made)
"""


def seconds(code: str, cache: str) -> float:
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"NUMBA_CACHE_DIR": cache},
        capture_output=True,
        text=True,
        check=True,
    )
    return float(done.stdout)


def measure(rounds: int) -> dict[str, float]:
    """Return medians over `rounds` fresh processes; the two imports are measured in turn."""
    with tempfile.TemporaryDirectory() as cache:
        imports: dict[str, list[float]] = {"numba": [], "jitlogit": []}
        for _ in range(rounds):
            for module, times in imports.items():
                times.append(seconds(IMPORT.format(module=module), cache))
        result = {f"import {module}": statistics.median(times) for module, times in imports.items()}
        result["import jitlogit beyond numba"] = statistics.median(
            ours - numba for ours, numba in zip(imports["jitlogit"], imports["numba"], strict=True)
        )
    for kind, batch_size in (("serial", 32), ("parallel", None)):
        code = FIRST_FIT.format(batch_size=batch_size)
        uncached = []
        for _ in range(max(1, rounds // 3)):
            with tempfile.TemporaryDirectory() as cache:
                uncached.append(seconds(code, cache))
                cached = [seconds(code, cache) for _ in range(rounds)]
        result[f"first fit, {kind} kernel, nothing cached"] = statistics.median(uncached)
        result[f"first fit, {kind} kernel, cached"] = statistics.median(cached)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    result = measure(options.rounds)
    for name, value in result.items():
        print(f"{name:45s} {value:7.3f} s")
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
