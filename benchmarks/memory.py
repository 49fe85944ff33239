"""Peak memory of a fit above X and y, in fresh processes, after a small fit has compiled the kernels (Linux).

python -m benchmarks memory
"""

from __future__ import annotations

import subprocess
import sys
from argparse import Namespace
from pathlib import Path

from options import Parser

FIT = """
import numpy as np, jitlogit
from cases import make_data

def peak():
    with open("/proc/self/status") as status:
        return int(status.read().split("VmHWM:")[1].split()[0]) * 1024

def fit(X, Y):
    jitlogit.train_logistic_regression(X, Y, 0.01, 2, batch_size={batch_size}, random_state=0, pack=False)

X, Y = make_data({n}, {dtype!r}, {megabytes}, {order!r})
fit(np.asarray(X[:{warm}], order={order!r}), Y[:, :{warm}])
with open("/proc/self/clear_refs", "w") as refs:
    refs.write("5")
before = peak()
fit(X, Y)
print(peak() - before, X.shape[0])
"""


def used_and_allowed(n: int, dtype: str, order: str, batch_size: int | None, megabytes: float) -> tuple[float, float]:
    """Return bytes used above X and y, and the bound: 16 bytes per row and 32 MB."""
    itemsize = 4 if dtype == "float32" else 8
    warm = max(batch_size or 0, 4_000_000 // (n * itemsize))
    code = FIT.format(n=n, dtype=dtype, order=order, batch_size=batch_size, megabytes=megabytes, warm=warm)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(__file__).parent, capture_output=True, text=True, check=True
    ).stdout.split()
    return float(done[0]), 16 * float(done[1]) + 32e6


# A copy of 100 MB is more than is allowed, so it would be seen.
QUICK = ("--size 0.5 --features 100 --dtypes float32",)


def add_options(parser: Parser) -> None:
    parser.add_size("200 MB of X")
    parser.add_features((10, 100, 2000))
    parser.add_dtypes(("float32", "float64"))


def run(given: Namespace) -> int:
    over = 0
    for n in given.features:
        for dtype in given.dtypes:
            for order in "CF":
                for batch_size in (32, None):
                    used, allowed = used_and_allowed(n, dtype, order, batch_size, 200 * given.size)
                    over += used > allowed
                    print(
                        f"n={n:5d} {dtype} {order} batch {batch_size or 'm'!s:>3}: {used / 1e6:7.2f} MB "
                        f"of {allowed / 1e6:.0f} allowed{'  OVER' if used > allowed else ''}",
                        flush=True,
                    )
    return int(over > 0)
