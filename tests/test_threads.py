"""Same bits for any thread count, and a whole process in every situation that is hard on thread pools."""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading

import numba
import numpy as np
import pytest
from conftest import JIT_OFF, compiled, make_data, run_python

import jitlogit
from jitlogit.compiler import scheduling as _scheduling
from jitlogit.compiler import team as _team
from jitlogit.kernels.epochs import barrier

BITS = """
import sys, zlib, numpy as np, jitlogit
from jitlogit import _team, fits
_team._LEAST_BYTES = 0

met = set()
class Counted(_team.Team):
    def __exit__(self, *error):
        met.add(max(1, int(self._control[_team.TASK]) % _team.MOST_MEMBERS))
        super().__exit__(*error)
fits.Team = Counted

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
from jitlogit import _team
_team._LEAST_BYTES = 0
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
    monkeypatch.setattr(_team, "_LEAST_BYTES", 0)
    monkeypatch.setattr(numba.config, "NUMBA_NUM_THREADS", max(2, numba.config.NUMBA_NUM_THREADS))
    for n_threads in (None, 2):
        W, b, costs = jitlogit.train_logistic_regression(X, Y, 0.1, 2, record_every=1, n_threads=n_threads)
        assert (W.tobytes(), b, costs) == (alone[0][0].tobytes(), *alone[0][1:])
    assert np.array_equal(jitlogit.predict(X, np.ones(20), 0.0), alone[1])


@compiled
def test_threads_do_take_part():
    assert run_python(BITS + "all_bits(2); print(met)", NUMBA_NUM_THREADS="2").strip() == "{1, 2}"


@compiled
def test_helpers_that_never_come_are_not_waited_for():
    code = """
expected = all_bits(2)
met.clear()
import threading
threading.Thread.start = lambda self: None
threading.Thread.join = lambda self: None
print(all_bits(2) == expected, met)
"""
    assert run_python(BITS + code, NUMBA_NUM_THREADS="2").strip() == "True {1}"


@compiled
def test_members_who_sleep_in_turn_are_fewer_for_a_while(tmp_path):
    code = """
from jitlogit.kernels import barrier
barrier._MEETINGS_A_SLEEP, barrier._LEAST_SLEEPS = -1, 0  # as if members had slept
expected = all_bits(1)
for n in (2, 3): print(all_bits(n) == expected)
penalties = []
class Rested(Counted):
    def __exit__(self, *error):
        super().__exit__(*error)
        penalties.append(int(self._control[barrier._PENALTY]))
fits.Team = Rested
for _ in range(30):  # on a busy machine a helper may come after the fit
    bits(2, "f4", "C", 500, 64, m=10_001)
    if penalties[-1] == 7: break
print(penalties[-1])
"""
    printed = run_python(BITS + code, NUMBA_NUM_THREADS="3", NUMBA_CACHE_DIR=str(tmp_path)).split()
    # 157 batches an epoch: after each task of 8 in company, 64, 192 and 448 batches alone.
    assert printed == ["True", "True", "7"]


@compiled
def test_parts_that_have_no_thread_are_done_all_the_same():
    code = """
X = np.random.default_rng(0).standard_normal((10_003, 100), np.float32)
W = np.linspace(-1, 1, 100, dtype=np.float32)
expected = jitlogit.forward_pass(X, W, 0.1)
_team.members_for = jitlogit.data.prediction.members_for = lambda *_: 2
print(np.array_equal(jitlogit.forward_pass(X, W, 0.1), expected))
import threading
def start(self):
    raise RuntimeError("can't start new thread")
threading.Thread.start = start
print(np.array_equal(jitlogit.forward_pass(X, W, 0.1), expected))
"""
    setting = {"NUMBA_NUM_THREADS": "1"}
    assert run_python("import jitlogit.data.prediction\n" + SMALL + code, **setting).split() == ["True", "True"]


@compiled
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems have no such setting of sleeps")
def test_helpers_at_hand_are_the_same_threads_until_the_end(monkeypatch):
    monkeypatch.setattr(_team, "max_threads", lambda: 3)
    seen = []

    def kernel(factor, part, first, stop):
        seen.append(threading.current_thread())
        if factor < 0 and part:
            raise ZeroDivisionError
        return [factor * c for c in range(first, stop)]

    before = _scheduling.set_timer_slack(12_345)
    try:
        with _team.Helpers():
            with pytest.raises(ZeroDivisionError):
                _team.share(kernel, 2, 2, -1)
            for members in (3, 1, 2, 3):
                for factor in range(20):
                    parts = _team.share(kernel, members, 7, factor)
                    assert len(parts) == members
                    assert [value for part in parts for value in part] == [factor * c for c in range(7)]
            assert _team._at_hand() is not None
            assert _scheduling.set_timer_slack(12_345) == 12_345
        assert _team._at_hand() is None
        assert len(set(seen)) == 3
        assert not any(thread.is_alive() for thread in set(seen) - {threading.current_thread()})
    finally:
        _scheduling.set_timer_slack(before)


@compiled
@pytest.mark.skipif(not hasattr(os, "fork"), reason="other systems don't fork")
def test_a_forked_child_has_helpers_of_its_own():
    code = """
import os, signal
def part(*arguments): return arguments
with _team.Helpers():
    parts = _team.share(part, 2, 2)
    child = os.fork()
    if not child:
        signal.alarm(60)
        os._exit(0 if _team.share(part, 2, 2) == parts == [(0, 0, 1), (1, 1, 2)] else 1)
    print(os.waitpid(child, 0)[1])
"""
    assert run_python(SMALL + code, NUMBA_NUM_THREADS="2").split() == ["0"]


@compiled
def test_an_error_in_a_part_is_raised():
    def fail(part, first, stop):
        if part == 1:
            raise ZeroDivisionError
        return first, stop

    with pytest.raises(ZeroDivisionError):
        _team.share(fail, 2, 10)
    assert _team.share(lambda part, first, stop: (first, stop), 2, 10) == [(0, 5), (5, 10)]


@compiled
def test_threads_that_cannot_be_started_are_done_without():
    code = """
expected = fit()
import threading
def start(self):
    raise RuntimeError("can't start new thread")
threading.Thread.start = start
print(fit() == expected)
"""
    assert run_python(SMALL + code, NUMBA_NUM_THREADS="2").split() == ["True"]


@compiled
def test_threads_end_with_the_fit():
    code = """
import threading
fit(); print(threading.active_count())
X[3, 4] = np.nan
try: fit()
except ValueError: print(threading.active_count())
"""
    assert run_python(SMALL + code, NUMBA_NUM_THREADS="2").split() == ["1", "1"]


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
def test_the_thread_count_is_restored():
    X, Y = make_data(30_000, 20)
    before = numba.get_num_threads()
    jitlogit.train_logistic_regression(X, Y, 0.1, 1, n_threads=1)
    assert numba.get_num_threads() == before
    X[20_000, 3] = np.nan
    with pytest.raises(ValueError, match="X_train"):
        jitlogit.train_logistic_regression(X, Y, 0.1, 1, n_threads=1)
    assert numba.get_num_threads() == before


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


@compiled
@pytest.mark.parametrize("layer", ["workqueue", "omp"])
def test_several_threads_at_once(layer):
    code = """
import concurrent.futures
with concurrent.futures.ThreadPoolExecutor(4) as pool:
    results = list(pool.map(fit, range(24)))
import numba
print(len(set(map(str, results))), numba.threading_layer())
"""
    out = run_python(SMALL + NUMBA_THREADS + code, NUMBA_THREADING_LAYER=layer, NUMBA_NUM_THREADS="2")
    assert out.split() == ["1", layer]


@compiled
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
@pytest.mark.parametrize("before", ["", NUMBA_THREADS])
def test_forked_children(before):
    code = """
import multiprocessing, warnings
warnings.simplefilter("ignore")
expected = fit()
with multiprocessing.get_context("fork").Pool(2) as pool:
    print(all(result == expected for result in pool.map(fit, range(4))), fit() == expected)
"""
    assert run_python(SMALL + before + code, NUMBA_NUM_THREADS="2").split() == ["True", "True"]


@compiled
def test_numba_is_asked_for_its_thread_count_once_it_has_threads():
    code = """
print(_team.members_for(None, 8, 1), _team.members_for(1, 8, 1), _team.members_for(None, 1, 1))
numba.set_num_threads(1)
print(_team.members_for(None, 8, 1))
"""
    assert run_python("import numba\n" + SMALL + code, NUMBA_NUM_THREADS="3").split() == ["3", "1", "1", "1"]


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
    """In this process, and so also with the JIT switched off: Python threads then take turns in plain Python."""
    X, Y = make_data(250, n, np.float32, order)
    options = {"batch_size": batch_size, "shuffle": False, "record_every": 1} | more
    expected = jitlogit.train_logistic_regression(X, Y, 0.01, 2, n_threads=1, **options)
    monkeypatch.setattr(_team, "_LEAST_BYTES", 0)
    monkeypatch.setattr(_team, "_CAN_SLEEP", True)
    monkeypatch.setattr(barrier, "_FIRST_SPINS", 10**9)  # in plain Python, a helper takes its time
    monkeypatch.setattr(numba.config, "NUMBA_NUM_THREADS", max(2, numba.config.NUMBA_NUM_THREADS))
    W, b, costs = jitlogit.train_logistic_regression(X, Y, 0.01, 2, n_threads=2, **options)
    assert np.array_equal(W, expected[0])
    assert (b, costs) == expected[1:]


@pytest.mark.skipif(not JIT_OFF, reason="compiled, these are called by kernels alone")
def test_who_sleeps_is_left_out_for_longer_and_longer():
    control = np.zeros(barrier.FLAGS + 4 * barrier.LINE, np.int64)
    for _ in range(3):  # alone, since helpers are late, which says nothing of them
        task = barrier.announce(control, 4, 0, 10_000)
        assert (barrier.members_of(task), control[barrier._STOP_BATCH]) == (1, 8)
        barrier.look_back(control, 4, task, 8, 1000, 0)
    assert [barrier.check_in(control) for _ in range(3)] == [1, 2, 3]

    def members_of_next_task(sleeps):
        task = barrier.announce(control, 4, 0, 10_000)
        members = barrier.members_of(task)
        batches.append(control[barrier._STOP_BATCH])
        barrier.look_back(control, 4, task, batches[-1], 1000, min(sleeps, batches[-1]) if members > 1 else 0)
        return members

    batches = []
    assert [members_of_next_task(0) for _ in range(3)] == [4, 4, 4]
    assert [members_of_next_task(40) for _ in range(4)] == [4, 2, 1, 1]
    assert members_of_next_task(0) == 1
    assert [members_of_next_task(0) for _ in range(3)] == [4, 4, 4]
    assert [members_of_next_task(40), members_of_next_task(0), members_of_next_task(0)] == [4, 2, 4]
    # Short are the first task and those that try: after the rests, and until all is well.
    assert batches == [8, *[64] * 7, 8, 8, 64, 64, 64, 64]
    uneven = np.zeros_like(control)
    assert [barrier.check_in(uneven) for _ in range(2)] == [1, 2]
    for _ in range(3):  # of four chunks, one has two: the others rightly wait for that
        task = barrier.announce(uneven, 3, 0, 10_000)
        assert barrier.members_of(task) == 3
        barrier.look_back(uneven, 3, task, 8, 512 * 1024, 8)
