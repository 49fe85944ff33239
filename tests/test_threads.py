"""Same bits for any thread count, and a whole process in every situation that is hard on thread pools."""

from __future__ import annotations

import multiprocessing
import os
import sys
from pathlib import Path

import numba
import numpy as np
import pytest
from conftest import JIT_OFF, any_members, compiled, make_data, run_python

import jitlogit
from jitlogit.compiler import threads
from jitlogit.kernels.epochs import team
from jitlogit.kernels.steps.labels import with_padding
from jitlogit.optimum.cost import Cost

BITS = """
import sys, zlib, numpy as np, jitlogit
from jitlogit.compiler import threads
from jitlogit.kernels.epochs import team
from jitlogit.training import loop
threads._LEAST_BYTES = 0

met = set()
controls = []
class Counted(loop.DenseFit):
    def run(self):
        loss_sum = super().run()
        met.add(max(1, int(self._control[team._MEMBERS])))
        controls.append(self._control)
        return loss_sum
loop.DenseFit = Counted

def bits(n_threads, dtype, order, n, batch_size, shuffle=True, m=3001):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((m, n))
    X = np.asarray(100 * X % 200 if dtype == "u1" else X, dtype, order)
    Y = rng.random(m) < 0.5
    W, b, costs = jitlogit.train_logistic_regression(
        X, Y, 0.1 / (1 + X.max()), 3, batch_size=batch_size, shuffle=shuffle, random_state=0, record_every=1,
        n_threads=n_threads)
    return zlib.crc32(W.tobytes()), b.hex(), [cost.hex() for cost in costs]

def all_bits(n_threads):
    found = [bits(n_threads, dtype, order, n, batch_size)
             for dtype in ("f4", "f8") for order in "CF" for n in (3, 100, 500) for batch_size in (1, 64, 1000, None)]
    found += [bits(n_threads, "f4", "F", n, batch_size, shuffle)
              for n in (64, 70, 601) for batch_size in (32, 100, 256) for shuffle in (False, "blocks")]
    found += [bits(n_threads, dtype, "F", 513, 128, False) for dtype in ("f8", "u1", "f2")]
    return [*found, bits(n_threads, "f4", "C", 500, 64, m=10_001)]  # several tasks an epoch
"""

SMALL = """
import numpy as np, jitlogit
from jitlogit.compiler import threads
threads._LEAST_BYTES = 0
X = np.random.default_rng(0).standard_normal((20_000, 20))
Y = X[:, 0] > 0
def fit(_=None):
    W, b, costs = jitlogit.train_logistic_regression(X, Y, 0.1, 3, record_every=1)
    return W.tobytes().hex(), b, costs
"""


@compiled
def test_any_number_of_threads_gives_the_same_bits():
    out = run_python(
        BITS + "expected = all_bits(1)\nfor n in (2, 3, 7, None): print(n, all_bits(n) == expected)",
        NUMBA_NUM_THREADS="8",
    )
    assert out.split() == ["2", "True", "3", "True", "7", "True", "None", "True"]


@compiled
def test_a_team_in_this_process(monkeypatch):
    X, Y = make_data(20_000, 20)
    alone = [jitlogit.train_logistic_regression(X, Y, 0.1, 2, record_every=1), jitlogit.predict(X, np.ones(20), 0.0)]
    monkeypatch.setattr(threads, "_LEAST_BYTES", 0)
    monkeypatch.setattr(numba.config, "NUMBA_NUM_THREADS", max(2, numba.config.NUMBA_NUM_THREADS))
    for n_threads in (None, 2):
        W, b, costs = jitlogit.train_logistic_regression(X, Y, 0.1, 2, record_every=1, n_threads=n_threads)
        assert (W.tobytes(), b, costs) == (alone[0][0].tobytes(), *alone[0][1:])
    assert np.array_equal(jitlogit.predict(X, np.ones(20), 0.0), alone[1])


@compiled
def test_threads_do_take_part():
    code = """
for _ in range(1000):  # on a busy machine a member may come after an epoch of a millisecond
    bits(2, "f4", "C", 500, 64, m=10_001)
    if 2 in met: break
print(met)
"""
    assert run_python(BITS + code, NUMBA_NUM_THREADS="2").strip() in ("{1, 2}", "{2}")


@compiled
def test_members_that_come_late_or_one_after_the_other_are_not_waited_for():
    code = """
print(all_bits(2))
met.clear()
threads.run = lambda kernel, members, *given: getattr(kernel, "serial", kernel)(*given, members)
print(all_bits(2))
print(met)
"""
    setting = {"NUMBA_NUM_THREADS": "2"}
    together, in_turn, met = run_python(BITS + code, **setting).splitlines()
    assert in_turn == together
    assert met == "{1}"
    assert run_python(BITS + "print(all_bits(2))", OMP_THREAD_LIMIT="1", **setting).strip() == together


@compiled
def test_members_that_run_in_turn_are_fewer_for_a_while(tmp_path):
    code = """
team._SPINS, team._SLEEP_BYTES = 0, 10**12  # members sleep at once, and lose much by it
expected = all_bits(1)
for n in (2, 3): print(all_bits(n) == expected)
for _ in range(1000):  # on a busy machine a member may come after an epoch of a millisecond
    bits(2, "f4", "C", 500, 64, m=10_001)
    if controls[-1][team._PENALTY]: break
print(controls[-1][team._PENALTY] in (1, 3, 7, 15), controls[-1][team._DIVISOR])
"""
    printed = run_python(BITS + code, NUMBA_NUM_THREADS="3", NUMBA_CACHE_DIR=str(tmp_path)).split()
    assert printed == ["True", "True", "True", "2"]


@compiled
def test_a_pass_by_fewer_threads_than_members_is_whole():
    code = """
X = np.random.default_rng(0).standard_normal((10_003, 100), np.float32)
W = np.linspace(-1, 1, 100, dtype=np.float32)
expected = jitlogit.forward_pass(X, W, 0.1)
jitlogit.data.prediction.members_for = lambda *_: 2
print(np.array_equal(jitlogit.forward_pass(X, W, 0.1), expected))
threads.run = jitlogit.data.prediction.run = lambda kernel, members, *given: kernel.serial(*given, members)
print(np.array_equal(jitlogit.forward_pass(X, W, 0.1), expected))
"""
    setting = {"NUMBA_NUM_THREADS": "2"}
    assert run_python("import jitlogit.data.prediction\n" + SMALL + code, **setting).split() == ["True", "True"]


@compiled
def test_one_thread_is_enough():
    one = run_python(SMALL + "print(fit())", NUMBA_NUM_THREADS="1")
    assert one == run_python(SMALL + "print(fit())", NUMBA_NUM_THREADS="2")


@compiled
@pytest.mark.parametrize("n_threads", [10_000, 0, -1, 1.5, True, "2"])
def test_a_wrong_thread_count_is_an_error(n_threads):
    X, Y = make_data(10, 2)
    with pytest.raises((ValueError, TypeError), match="n_threads"):
        jitlogit.train_logistic_regression(X, Y, n_threads=n_threads)


@compiled
def test_too_many_threads_says_what_to_set():
    X, Y = make_data(10, 2)
    with pytest.raises(ValueError, match="set the environment variable NUMBA_NUM_THREADS=10000"):
        jitlogit.train_logistic_regression(X, Y, n_threads=10_000)


@compiled
def test_the_thread_count_is_honoured_and_restored():
    code = """
import numba
numba.set_num_threads(2)
fit(); print(numba.get_num_threads(), threads.members_for(None, 8, 1))
real = threads.run
seen = []
def fail(*given):
    seen.append(numba.get_num_threads())
    raise ZeroDivisionError
class Failing(threads.ParallelKernel):
    def __init__(self): self.parallel = self.serial = fail
try: threads.run(Failing(), 3)
except ZeroDivisionError: print(*seen, numba.get_num_threads())
X[3, 4] = np.nan
try: fit()
except ValueError: print(numba.get_num_threads())
"""
    out = run_python(SMALL + code, NUMBA_NUM_THREADS="3")
    assert out.split() == ["2", "2", "3", "2", "2"]


@compiled
def test_one_thread_starts_no_layer():
    code = """
import sys
jitlogit.train_logistic_regression(X, Y, 0.1, 3, n_threads=1)
print(threads._layer())
fit()
print(threads._layer() is not None)
"""
    assert run_python(SMALL + code, NUMBA_NUM_THREADS="2").split() == ["None", "True"]


# Numba's own parallel code runs beside: its threading layers differ in what they forbid.
NUMBA_THREADS = """
import numba
@numba.njit(parallel=True)
def count(n):
    total = 0
    for i in numba.prange(n):
        total += i
    return total
count(10)
"""


# The loader doesn't look for TBB where its wheel puts it.
LIBRARIES = Path(sys.prefix) / "lib"
LAYERS = ["omp", "workqueue", *(["tbb"] if list(LIBRARIES.glob("libtbb.so*")) else [])]


def _run_with(layer, code, **environment):
    paths = {"LD_LIBRARY_PATH": str(LIBRARIES)} if layer == "tbb" else {}
    return run_python(SMALL + code, NUMBA_THREADING_LAYER=layer, **paths, **environment)


@compiled
@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("n_threads", ["1", "2", "8"])
def test_every_layer_gives_the_same_bits(layer, n_threads):
    code = "\nimport numba; print(fit()); print(threads._layer())"
    out = _run_with(layer, code, NUMBA_NUM_THREADS=n_threads).splitlines()
    assert out[0] == run_python(SMALL + "print(fit())", NUMBA_NUM_THREADS="1").strip()
    assert out[1] == ("None" if n_threads == "1" else layer)


@compiled
@pytest.mark.parametrize("layer", LAYERS)
def test_several_threads_at_once(layer):
    code = """
import concurrent.futures
with concurrent.futures.ThreadPoolExecutor(4) as pool:
    results = list(pool.map(fit, range(24)))
import numba
print(len(set(map(str, results))), numba.threading_layer())
"""
    out = _run_with(layer, NUMBA_THREADS + code, NUMBA_NUM_THREADS="2")
    assert out.split() == ["1", layer]


@compiled
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
@pytest.mark.parametrize("before", ["", NUMBA_THREADS])
@pytest.mark.parametrize("layer", LAYERS)
def test_forked_children(before, layer):
    code = """
import multiprocessing, warnings
warnings.simplefilter("ignore")
expected = fit()
assert threads._layer() is not None
with multiprocessing.get_context("fork").Pool(2) as pool:
    print(all(result == expected for result in pool.map(fit, range(4))), fit() == expected)
"""
    assert _run_with(layer, before + code, NUMBA_NUM_THREADS="2").split() == ["True", "True"]


def _fit_in_child(_):
    X, Y = make_data(20_000, 20)
    W, b, costs = jitlogit.train_logistic_regression(X, Y, 0.1, 2, record_every=1)
    return W.tobytes(), b, costs


@compiled
def test_spawned_children():
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        assert set(map(str, pool.map(_fit_in_child, range(2)))) == {str(_fit_in_child(0))}


@compiled
def test_loky_children():
    from joblib import Parallel, delayed

    results = Parallel(n_jobs=2, backend="loky")(delayed(_fit_in_child)(i) for i in range(2))
    assert set(map(str, results)) == {str(_fit_in_child(0))}


@pytest.mark.parametrize(
    ("order", "n", "batch_size", "more"),
    [("C", 500, 64, {}), ("F", 64, 64, {}), ("C", 500, 64, {"scale": 2.0, "optimizer": "nesterov"})],
    ids=["C", "F", "rule"],
)
def test_two_members_agree_with_one(order, n, batch_size, more, monkeypatch):
    X, Y = make_data(250, n, np.float32, order)
    options = {"batch_size": batch_size, "shuffle": False, "record_every": 1} | more
    expected = jitlogit.train_logistic_regression(X, Y, 0.01, 2, n_threads=1, **options)
    any_members(monkeypatch)
    W, b, costs = jitlogit.train_logistic_regression(X, Y, 0.01, 2, n_threads=2, **options)
    assert np.array_equal(W, expected[0])
    assert (b, costs) == expected[1:]


@pytest.mark.skipif(not JIT_OFF, reason="compiled, these are called by kernels alone")
def test_members_that_run_in_turn_are_left_out_for_longer_and_longer():
    def spans(sleeps, members=4, batch_bytes=512 * 1024):
        """How many members do spans of 32 MiB, in which the leader takes so many sleeps."""
        seen = []
        for count in sleeps:
            span = team.begin_span(control, members, 0, 10_000)
            seen.append(team.members_of(span))
            team.judge_span(control, members, span, batch_bytes, count if seen[-1] > 1 else 0)
        return seen

    control = team.control_of(4)
    control[team._ARRIVED] = 1
    assert spans([0, 0, 0]) == [1, 1, 1]  # the others are late, which says nothing of them
    control[team._ARRIVED] = 4
    assert spans([0, 0, 0, 0]) == [4, 4, 4, 4]
    assert spans([10, 10, 10, 10]) == [4, 4, 4, 4]  # some hundred microseconds lost in milliseconds
    assert spans([100, 100]) == [4, 2]
    assert spans([0] * 6) == [1] * 6
    assert spans([0] * 4) == [4] * 4
    assert spans([100, 0, 0, 0]) == [4, 2, 2, 4]
    control = team.control_of(4)
    control[team._ARRIVED] = 4
    assert spans([100] * 3, members=3) == [3, 3, 3]  # of four chunks, one member has two: the others rightly wait
    assert spans([1000] * 3, batch_bytes=4 * 1024 * 1024) == [4, 4, 4]  # a batch as long as a time slice


@compiled
def test_weighted_sums_have_the_same_bits_wherever_arrays_lie():
    """Weights of rows just before the tile that they are multiplied into, and further away."""
    rng = np.random.default_rng(0)
    m, n = 1250, 20
    X, y = rng.standard_normal((m, n), np.float32), with_padding((rng.random(m) < 0.5).astype(np.uint8))
    weights, parameters = rng.random(m).astype(np.float32), rng.standard_normal((1, n + 1)) / 5
    cost = Cost(X, y, None, weights, np.zeros(n), np.ones(n), np.zeros(n), True, 1)
    cost(parameters)
    walk, tiles = cost._passes, cost._passes._work.tiles
    memory = np.zeros(m + tiles.size + 512, np.float32)
    memory[:m] = weights
    gradients = set()
    for gap in range(0, 512, 5):
        near = memory[m + gap : m + gap + tiles.size].reshape(tiles.shape)
        walk._labels = walk._labels._replace(sample_weight=memory[:m])
        walk._work = walk._work._replace(tiles=near)
        gradients.add(cost(parameters)[1].tobytes())
    assert len(gradients) == 1
