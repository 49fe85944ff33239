"""Same bits for any thread count, and a whole process in every situation that is hard on thread pools."""

from __future__ import annotations

import concurrent.futures
import multiprocessing
import os
import sys

import numba
import numpy as np
import pytest
from conftest import compiled, make_data, run_python

import jitlogit
from jitlogit import _jit

pytestmark = compiled

BITS = """
import sys, zlib, numpy as np, jitlogit

def bits(n_threads, dtype, order, n, batch_size):
    rng = np.random.default_rng(0)
    X = np.asarray(rng.standard_normal((3001, n)), dtype, order)
    Y = rng.random(3001) < 0.5
    W, b, costs = jitlogit.train_logistic_regression(
        X, Y, 0.1, 3, batch_size=batch_size, random_state=0, record_every=1, n_threads=n_threads)
    return zlib.crc32(W.tobytes()), b.hex(), [cost.hex() for cost in costs]

def all_bits(n_threads):
    return [bits(n_threads, dtype, order, n, batch_size)
            for dtype in ("f4", "f8") for order in "CF" for n in (3, 100, 500) for batch_size in (1, 64, 1000, None)]
"""

SMALL = """
import numpy as np, jitlogit
X = np.random.default_rng(0).standard_normal((20_000, 20))
Y = X[:, 0] > 0
def fit(_=None):
    W, b, costs = jitlogit.train_logistic_regression(X, Y, 0.1, 3, record_every=1)
    return W.tobytes().hex(), b, costs
"""


def test_any_number_of_threads_gives_the_same_bits():
    out = run_python(
        BITS + "expected = all_bits(1)\nfor n in (2, 3, 7, None): print(n, all_bits(n) == expected)",
        NUMBA_NUM_THREADS="8",
    )
    assert out.split() == ["2", "True", "3", "True", "7", "True", "None", "True"]


def test_the_serial_variant_gives_the_same_bits():
    """It stands in where threads can't be used."""
    code = """
import contextlib
expected = all_bits(2)
from jitlogit import training
@contextlib.contextmanager
def no_team(n_threads, wanted=True):
    yield False
training.team = no_team
print(all_bits(2) == expected)
"""
    assert run_python(BITS + code, NUMBA_NUM_THREADS="2").split() == ["True"]


def test_one_thread_is_enough():
    one = run_python(SMALL + "print(fit())", NUMBA_NUM_THREADS="1")
    assert one == run_python(SMALL + "print(fit())", NUMBA_NUM_THREADS="2")


@pytest.mark.parametrize("n_threads", [10_000, 0, -1, 1.5, True, "2"])
def test_a_wrong_thread_count_is_an_error(n_threads):
    X, Y = make_data(10, 2)
    with pytest.raises((ValueError, TypeError), match="n_threads"):
        jitlogit.train_logistic_regression(X, Y, n_threads=n_threads)


def test_too_many_threads_says_what_to_set():
    X, Y = make_data(10, 2)
    with pytest.raises(ValueError, match="set the environment variable NUMBA_NUM_THREADS=10000"):
        jitlogit.train_logistic_regression(X, Y, n_threads=10_000)


def test_the_thread_count_is_restored():
    X, Y = make_data(30_000, 20)
    before = numba.get_num_threads()
    jitlogit.train_logistic_regression(X, Y, 0.1, 1, n_threads=1)
    assert numba.get_num_threads() == before
    X[20_000, 3] = np.nan
    with pytest.raises(ValueError, match="X_train"):
        jitlogit.train_logistic_regression(X, Y, 0.1, 1, n_threads=1)
    assert numba.get_num_threads() == before


@pytest.mark.parametrize("layer", ["workqueue", "omp"])
def test_several_threads_at_once(layer):
    code = """
import concurrent.futures
with concurrent.futures.ThreadPoolExecutor(4) as pool:
    results = list(pool.map(fit, range(24)))
import numba
print(len(set(map(str, results))), numba.threading_layer())
"""
    assert run_python(SMALL + code, NUMBA_THREADING_LAYER=layer, NUMBA_NUM_THREADS="2").split() == ["1", layer]


def test_a_second_thread_under_workqueue_runs_serially(monkeypatch):
    monkeypatch.setattr(_jit, "_threading_layer", lambda: "workqueue")
    with _jit.team(None) as first, concurrent.futures.ThreadPoolExecutor(1) as pool:

        def second():
            with _jit.team(None) as allowed:
                return allowed

        assert first
        assert not pool.submit(second).result()
    with _jit.team(None) as again:
        assert again


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
@pytest.mark.parametrize("layer", ["omp", "workqueue"])
def test_a_child_forked_after_a_parallel_call(layer):
    code = """
import multiprocessing, warnings
warnings.simplefilter("ignore")
expected = fit()
with multiprocessing.get_context("fork").Pool(2) as pool:
    print(all(result == expected for result in pool.map(fit, range(4))), fit() == expected)
"""
    assert run_python(SMALL + code, NUMBA_THREADING_LAYER=layer, NUMBA_NUM_THREADS="2").split() == ["True", "True"]


@pytest.mark.skipif(sys.platform == "win32", reason="needs fork")
def test_a_child_forked_before_any_parallel_call_may_run_in_parallel():
    code = """
import os
from jitlogit import _jit
child = os.fork()
if child == 0:
    with _jit.team(None) as parallel:
        os._exit(0 if parallel and fit() else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    assert run_python(SMALL + code, NUMBA_NUM_THREADS="2").split() == ["0"]


def _fit_in_child(_):
    X, Y = make_data(20_000, 20)
    W, b, costs = jitlogit.train_logistic_regression(X, Y, 0.1, 2, record_every=1)
    return W.tobytes(), b, costs


def test_spawned_children():
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        assert set(map(str, pool.map(_fit_in_child, range(2)))) == {str(_fit_in_child(0))}


def test_loky_children():
    from joblib import Parallel, delayed

    results = Parallel(n_jobs=2, backend="loky")(delayed(_fit_in_child)(i) for i in range(2))
    assert set(map(str, results)) == {str(_fit_in_child(0))}
