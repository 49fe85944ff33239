"""Fast against reference over trajectories, for rows that are stored and cut up in many ways."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import JIT_OFF, assert_close, compiled, make_data
from hypothesis import given, settings
from hypothesis import strategies as st

import jitlogit
from jitlogit import reference
from jitlogit.kernels.epochs import team
from jitlogit.kernels.epochs.epoch import epoch
from jitlogit.kernels.passes import objective
from jitlogit.kernels.simd.arrays import PADDING
from jitlogit.kernels.steps.batches import Cut, Rates, RowOrder
from jitlogit.kernels.storage.plan import EIGHTS, PAIRS, TILES, Plan, Tiles, plan
from jitlogit.kernels.storage.work_spaces import work_space
from jitlogit.training import order as orders

# Relative to the largest element. float64: rounding of sums in another order. float32: the same, times the number of
# updates whose rounding errors gradient descent has not yet forgotten.
TOLERANCE = {np.float32: 2e-5, np.float64: 1e-12}
DTYPES = [np.float32, np.float64]
LAYOUTS = ["C", "F", "strided", "read-only", "memory-mapped"]
M, N = (67, 5) if JIT_OFF else (1003, 13)


def with_layout(X, layout, path):
    if layout == "F":
        return np.asfortranarray(X)
    if layout == "strided":
        wide = np.zeros((2 * X.shape[0], 3 * X.shape[1]), X.dtype)
        wide[::2, ::3] = X
        return wide[::2, ::3]
    if layout == "read-only":
        X = X.copy()
        X.flags.writeable = False
    if layout == "memory-mapped":
        np.save(path / "X.npy", X)
        X = np.load(path / "X.npy", mmap_mode="r")
    return X


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shuffle", [False, True])
def test_layouts(dtype, layout, shuffle, tmp_path):
    X, Y = make_data(M, N, dtype)
    X = with_layout(X, layout, tmp_path)
    arguments = {"batch_size": 64, "shuffle": shuffle, "random_state": 0, "record_every": 1}
    W, b, costs = reference.train_logistic_regression(X, Y, 0.05, 5, **arguments)
    fast_W, fast_b, fast_costs = jitlogit.train_logistic_regression(X, Y, 0.05, 5, **arguments)
    assert_close(fast_W, W, TOLERANCE[dtype])
    assert_close(fast_b, b, TOLERANCE[dtype])
    assert_close(fast_costs, costs, TOLERANCE[dtype])


@compiled
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("batch_size", [None, 100])
def test_long_trajectories_of_layouts(dtype, layout, batch_size, tmp_path):
    X, Y = make_data(M, N, dtype)
    X = with_layout(X, layout, tmp_path)
    arguments = {"batch_size": batch_size, "random_state": 7, "record_every": 1}
    W, b, costs = reference.train_logistic_regression(X, Y, 0.05, 300, **arguments)
    fast_W, fast_b, fast_costs = jitlogit.train_logistic_regression(X, Y, 0.05, 300, **arguments)
    assert_close(np.append(fast_W, fast_b), np.append(W, b), TOLERANCE[dtype])
    assert_close(fast_costs, costs, TOLERANCE[dtype])


@compiled
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("batch_size", [32, 4096])
def test_shuffles_of_large_sets(dtype, order, batch_size):
    """More rows than are shuffled by NumPy: the kernel fills in the order."""
    m = reference.SMALL_SHUFFLE + 123
    X, Y = make_data(m, 20, dtype, order)
    arguments = {"batch_size": batch_size, "random_state": 1, "record_every": 1}
    W, b, costs = reference.train_logistic_regression(X, Y, 0.05, 3, **arguments)
    fast_W, fast_b, fast_costs = jitlogit.train_logistic_regression(X, Y, 0.05, 3, **arguments)
    assert_close(np.append(fast_W, fast_b), np.append(W, b), TOLERANCE[dtype])
    assert_close(fast_costs, costs, TOLERANCE[dtype])


@pytest.mark.parametrize("m", [4, 31, 64, 65])
@pytest.mark.parametrize("batch_size", [7, 64])
def test_shuffles_by_tables(m, batch_size, monkeypatch):
    """The grid's corners: full and ragged last rows, batches that start within a row."""
    for module in (orders, reference.orders):
        monkeypatch.setattr(module, "SMALL_SHUFFLE", 3)
    X, Y = make_data(m, 3)
    arguments = {"batch_size": min(batch_size, m), "random_state": 2, "record_every": 1}
    W, b, costs = reference.train_logistic_regression(X, Y, 0.3, 6, **arguments)
    fast_W, fast_b, fast_costs = jitlogit.train_logistic_regression(X, Y, 0.3, 6, **arguments)
    assert_close(np.append(fast_W, fast_b), np.append(W, b), 1e-12)
    assert_close(fast_costs, costs, 1e-12)


@compiled
def test_writable_or_not_is_one_compiled_variant():
    X, Y = make_data(50, 3)
    A = np.full((1, 50), 0.5)
    for writeable in (True, False):
        for array in (X, A, labels := Y.astype(bool)):
            array.flags.writeable = writeable
        jitlogit.train_logistic_regression(X, labels, 0.1, 1)
        jitlogit.compute_gradients(X, labels, A)
        jitlogit.forward_pass(X, np.zeros(3), 0)
        jitlogit.compute_cost(A, labels)
        jitlogit.sigmoid(A)
        used = [
            epoch,
            objective.forward,
            objective.gradient,
            objective.cost,
            objective.sigmoid,
        ]
        seen = [len(getattr(kernel, "serial", kernel).signatures) for kernel in used]
        if writeable:
            before = seen
    assert seen == before


@compiled
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("batch_size", [3000, None])
@pytest.mark.parametrize("n", [1, 40, 600])
def test_parallel_trajectories(dtype, order, batch_size, n):
    X, Y = make_data(7001, n, dtype, order)
    size = batch_size or 7001
    assert (plan(size, X).n_chunks > 1) == (n > 1)
    arguments = {"batch_size": batch_size, "random_state": 0, "record_every": 1}
    W, b, costs = reference.train_logistic_regression(X, Y, 1 / n, 10, **arguments)
    fast_W, fast_b, fast_costs = jitlogit.train_logistic_regression(X, Y, 1 / n, 10, **arguments)
    assert_close(fast_W, W, TOLERANCE[dtype])
    assert_close(fast_b, b, TOLERANCE[dtype])
    assert_close(fast_costs, costs, TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_chunks", [1, 2, 8])
def test_chunks_and_tiles_add_up(dtype, n_chunks):
    """However a batch is cut up, also into more chunks than the last, short batch has rows."""
    X, Y = make_data(93, N, dtype)
    W, b, costs = reference.train_logistic_regression(X, Y, 0.1, 1, batch_size=30, shuffle=False)
    no_shifts, loss_sum = np.empty((2, 0), np.uint32), np.zeros(1)
    labels = np.append(Y[0], np.zeros(PADDING)).astype(np.uint8)[:93]
    for tiles in (Tiles(1, TILES), Tiles(2, PAIRS), Tiles(5, TILES), Tiles(8, EIGHTS), Tiles(64, TILES)):
        cut = Plan(tiles, n_chunks, is_small=n_chunks == 1)
        work = work_space(cut, N, np.dtype(dtype), 1)
        order = RowOrder(False, False, no_shifts, no_shifts, None, np.empty(0, np.int64))
        given = X, labels, order, Cut(30, *tiles, n_chunks, 0), Rates(0.1, 0.0, True), None, work, team.control_of(1)
        epoch.serial(*given, loss_sum, 1)
        weights, bias = work.weights[0, :N], work.bias[0, 0]
        assert_close(np.append(weights, bias), np.append(W, b), TOLERANCE[dtype])
        assert_close(loss_sum[0] / 93, costs[0], TOLERANCE[dtype])


@settings(max_examples=10 if JIT_OFF else 150, deadline=None)
@given(
    m=st.integers(1, 30 if JIT_OFF else 3000),
    n=st.integers(1, 40),
    batch_size=st.none() | st.integers(1, 300),
    shuffle=st.booleans(),
    dtype=st.sampled_from(DTYPES),
    order=st.sampled_from("CF"),
    seed=st.integers(0, 2**32 - 1),
)
@pytest.mark.filterwarnings("ignore:training ended")  # single rows of few can be too much for the rate
def test_any_shape(m, n, batch_size, shuffle, dtype, order, seed):
    X, Y = make_data(m, n, dtype, order, seed)
    batch_size = batch_size and min(batch_size, m)
    arguments = {"batch_size": batch_size, "shuffle": shuffle, "random_state": seed, "record_every": 1}
    W, b, costs = reference.train_logistic_regression(X, Y, 0.5 / n, 2, **arguments)
    fast_W, fast_b, fast_costs = jitlogit.train_logistic_regression(X, Y, 0.5 / n, 2, **arguments)
    assert_close(np.append(fast_W, fast_b), np.append(W, b), TOLERANCE[dtype])
    assert_close(fast_costs, costs, TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int16, np.int32, np.float16, ">f4", np.longdouble, object])
def test_other_dtypes_are_converted(dtype):
    X = np.abs(make_data(50, 3)[0]).round().astype(dtype)
    Y = make_data(50, 3)[1]
    W, *_ = jitlogit.train_logistic_regression(X, Y, 0.1, 20)
    expected, *_ = reference.train_logistic_regression(X.astype(np.float64), Y, 0.1, 20)
    assert W.dtype == (np.float64 if dtype in (np.int32, np.longdouble, object) else np.float32)
    assert_close(W, expected, TOLERANCE[np.float32])


@pytest.mark.parametrize("shape", [(-1,), (1, -1), (-1, 1)])
@pytest.mark.parametrize("kind", [bool, np.int8, np.float32, list])
def test_labels_of_any_shape_and_kind(shape, kind):
    X, Y = make_data(30, 2)
    expected, *_ = reference.train_logistic_regression(X, Y, 0.1, 3)
    labels = Y.reshape(shape)
    labels = labels.tolist() if kind is list else labels.astype(kind)
    assert_close(jitlogit.train_logistic_regression(X, labels, 0.1, 3)[0], expected, 1e-14)
    assert_close(reference.train_logistic_regression(X, labels, 0.1, 3)[0], expected, 1e-14)


def test_generators_are_advanced_alike():
    X, Y = make_data(40, 3)
    one, other = np.random.default_rng(5), np.random.default_rng(5)
    for _ in range(2):
        fast = jitlogit.train_logistic_regression(X, Y, 0.1, 2, batch_size=8, random_state=one)
        slow = reference.train_logistic_regression(X, Y, 0.1, 2, batch_size=8, random_state=other)
        assert_close(fast[0], slow[0], 1e-13)


def test_different_seeds_walk_different_orders():
    X, Y = make_data(40, 3)
    first, second = (
        jitlogit.train_logistic_regression(X, Y, 0.1, 2, batch_size=8, random_state=seed)[0] for seed in (0, 1)
    )
    assert not np.array_equal(first, second)


@pytest.mark.parametrize("label", [0, 1])
def test_saturated_scores_are_exact(label):
    W, _, costs = jitlogit.train_logistic_regression([[1000.0]], [label], 1.0, 2, record_every=1)
    assert costs == [pytest.approx(np.log(2), rel=1e-15), 0.0]
    assert W[0, 0] == (500 if label else -500)
    # the same score on the wrong side: the loss is the score itself
    with pytest.warns(RuntimeWarning, match="training ended at a cost of 250, above the 0.693"):
        *_, costs = jitlogit.train_logistic_regression([[1.0], [1.0]], [1, 0], 500.0, 1, batch_size=1, shuffle=False)
    assert costs == [pytest.approx((np.log(2) + 500) / 2, rel=1e-15)]
