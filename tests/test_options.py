"""The plain way, for versions of Numba whose private side isn't known: the same bits, by Numba's own pipeline."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import numba
import pytest

from jitlogit.compiler import options

ROOT = Path(__file__).parents[1]
# Fits of small batches and of chunks, by one member and by two, and of classes.
_FITS = """
import json, sys
import numpy as np
import jitlogit
from jitlogit.compiler import options, threads
from jitlogit.compiler.options import PLAIN
from jitlogit.kernels.epochs.epoch import epoch
threads._LEAST_BYTES = 0
rng = np.random.default_rng(0)
X = rng.standard_normal((2000, 30)).astype(np.float32)
y, classes = (X[:, 0] > 0).astype(int), rng.integers(0, 3, 2000)
found = {"plain": PLAIN}
rest = {"random_state": 0, "record_every": 1}
for batch, n_threads in ((32, 1), (1000, 1), (1000, 2)):
    W, b, costs = jitlogit.train_logistic_regression(X, y, 0.1, 2, batch_size=batch, n_threads=n_threads, **rest)
    found[f"dense {batch} {n_threads}"] = [*W[:, 0].tolist(), b, *costs]
W, b, costs = jitlogit.train_softmax_regression(X, classes, 0.1, 2, n_threads=1, **rest)
found["softmax"] = [*np.ravel(W).tolist(), *np.ravel(b).tolist(), *costs]
print(json.dumps(found))
print(epoch.compilations, file=sys.stderr)
"""


def _run(cache: Path, plain: str) -> tuple[dict[str, object], int]:
    environment = os.environ | {
        "PYTHONPATH": str(ROOT / "src"),
        "NUMBA_CACHE_DIR": str(cache),
        "NUMBA_NUM_THREADS": "2",
        "JITLOGIT_PLAIN_NUMBA": plain,
    }
    done = subprocess.run([sys.executable, "-c", _FITS], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    compiled = int(done.stderr.split()[-1])
    assert done.stderr.count("jitlogit: compiling") == compiled  # a line for each
    return json.loads(done.stdout), compiled


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="needs compiled code")
def test_the_plain_way_gives_the_same_bits_and_is_cached(tmp_path):
    ours, _ = _run(tmp_path / "ours", "0")
    plain, compiled = _run(tmp_path / "plain", "1")
    assert (ours.pop("plain"), plain.pop("plain")) == (False, True)
    assert plain == ours
    again, compiled_again = _run(tmp_path / "plain", "1")
    assert compiled > 0 == compiled_again
    assert again == plain | {"plain": True}


@pytest.mark.parametrize(
    ("version", "plain"), [("0.60.9", True), ("0.61.0", False), ("0.68.1", False), ("0.69.0", True), ("1.0.0rc1", True)]
)
def test_versions_that_are_not_known_go_the_plain_way(version, plain, monkeypatch):
    monkeypatch.delenv("JITLOGIT_PLAIN_NUMBA", raising=False)
    monkeypatch.setattr(numba, "__version__", version)
    assert options._is_plain() == plain


def test_the_bounds_of_numba_are_those_that_are_known():
    """The upper bound is one minor version above what is tested."""
    dependencies = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    (least, greatest) = options.KNOWN
    assert f"numba>={least[0]}.{least[1]},<{greatest[0]}.{greatest[1] + 2}" in dependencies
