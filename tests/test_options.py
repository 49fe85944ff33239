"""The plain way, for versions of Numba whose private side isn't known: the same bits, by Numba's own pipeline."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest

from jitlogit.compiler import options

ROOT = Path(__file__).parents[1]
# Kernels of each kind: ordinary small batches; a team of two, on rows in F order; rows that are copied to C order;
# packed rows; passes of the search for the optimum, on sparse rows too; predictions. They are few, since Numba's own
# pipeline takes five times as long.
_FITS = """
import json, sys
import numpy as np
from scipy import sparse
import jitlogit
from jitlogit.compiler import news, threads
from jitlogit.compiler.options import PLAIN
threads._LEAST_BYTES = 0
rng = np.random.default_rng(0)
X = rng.standard_normal((2000, 30)).astype(np.float32)
y = (X[:, 0] > 0).astype(int)
X_F, X_sparse = np.asfortranarray(X), sparse.csr_array(X * (rng.random(X.shape) < 0.1))
rest = {"random_state": 0, "record_every": 1}

def trained(X, batch_size, n_threads=1, epochs=2, **more):
    more |= rest | {"batch_size": batch_size, "n_threads": n_threads}
    return jitlogit.train_logistic_regression(X, y, 0.1, epochs, **more)

def fitted(estimator, X, y, **more):
    model = estimator(random_state=0, n_threads=1, **more).fit(X, y)
    return model.coef_, model.intercept_

found = {
    "small batches": trained(X, 32),
    "F order, a team": trained(X_F, None, n_threads=2),  # of two chunks
    "F order, turned": trained(X_F, 32),
    "packed": trained(X[:, :4].copy(), 32, epochs=16, shuffle=False),
    "optimum, sparse": fitted(jitlogit.LogisticRegression, X_sparse, y),
    "optimum": fitted(jitlogit.LogisticRegression, X, y),
    "probabilities": [jitlogit.forward_pass(X, np.ones(30), 0.5)],
    "predictions": [jitlogit.predict(X, np.ones(30), 0.5)],
    "softmax's probabilities": [jitlogit.forward_softmax(X, np.ones((30, 3)), np.zeros(3))],
}
bits = {name: np.concatenate([np.ravel(one) for one in outputs]).tolist() for name, outputs in found.items()}
print(json.dumps({"plain": PLAIN, "bits": bits}))
print(news.counts()[0], file=sys.stderr)
"""


def _start(cache: Path, plain: str) -> subprocess.Popen[str]:
    environment = os.environ | {
        "PYTHONPATH": str(ROOT / "src"),
        "NUMBA_CACHE_DIR": str(cache),
        "NUMBA_NUM_THREADS": "2",
        "JITLOGIT_PLAIN_NUMBA": plain,
    }
    pipe = subprocess.PIPE
    return subprocess.Popen([sys.executable, "-c", _FITS], env=environment, stdout=pipe, stderr=pipe, text=True)


def _end(process: subprocess.Popen[str]) -> tuple[dict[str, Any], list[str]]:
    """What the fits gave, and the kernels that were compiled."""
    out, error = process.communicate()
    assert process.returncode == 0, error
    compiled = re.findall(r"jitlogit: compiling (.*) \(this", error)
    assert len(compiled) == int(error.split()[-1])  # a line for each
    return json.loads(out), compiled


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="needs compiled code")
def test_the_plain_way_gives_the_same_bits_and_is_cached(tmp_path):
    both = [_start(tmp_path / "plain", "1"), _start(tmp_path / "ours", "0")]  # at the same time, since both take long
    (plain, compiled), (ours, compiled_by_ours) = map(_end, both)
    assert (ours["plain"], plain["plain"]) == (False, True)
    assert plain["bits"].keys() == ours["bits"].keys()
    for name, bits in plain["bits"].items():
        assert np.isfinite(bits).all(), name
        assert bits == ours["bits"][name], name
    assert compiled == compiled_by_ours
    assert {"serial_epoch for float32", "parallel_epoch for float32, F order"} <= {*compiled}
    assert _end(_start(tmp_path / "plain", "1")) == (plain, [])


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
