"""Narrow data, trained on a packed copy: the same numbers, only where it pays, and never against the user's will."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import JIT_OFF, any_members, assert_close, compiled

import jitlogit
from jitlogit import reference
from jitlogit.data.validation import as_rows, check_X
from jitlogit.training import dense, packing
from jitlogit.training.packing import PAYING_EPOCHS

M = 211 if JIT_OFF else 1501
TOLERANCE = 2e-5


def narrow(dtype, order, n=None):
    n = n or (5 if order == "C" else 17)
    rng = np.random.default_rng(0)
    Y = rng.random(M) < 0.5
    values = rng.standard_normal((M, n)) + 0.3 * Y[:, None]
    if dtype == "uint8":
        values = np.clip(values * 40 + 120, 0, 255)
    if dtype == "bfloat16":
        return np.asarray((values.astype("f4").view("u4") >> 16).astype("u2"), order=order).view(jitlogit.bfloat16), Y
    return np.asarray(values, dtype, order), Y


@pytest.fixture
def dimensions(monkeypatch):
    """Number of dimensions of the rows of each fit that could have been packed."""
    found = []

    def spy(*arguments):
        rows, labels = packing.packed(*arguments)
        found.append(rows.ndim)
        return rows, labels

    monkeypatch.setattr(dense, "packed", spy)
    return found


@pytest.mark.parametrize("shuffle", [False, "blocks"])
@pytest.mark.parametrize(
    ("dtype", "order"), [("float32", "C"), ("float32", "F"), ("uint8", "C"), ("float16", "C"), ("bfloat16", "C")]
)
def test_training(dtype, shuffle, order, dimensions):
    X, Y = narrow(dtype, order)
    scaling = {"offset": np.linspace(100, 130, X.shape[1]), "scale": 60.0} if dtype == "uint8" else {}
    batch_sizes = (32, 100, None) if JIT_OFF else (32, 100, 512, 1000, None)
    for batch_size in batch_sizes:
        options = {"batch_size": batch_size, "shuffle": shuffle, "random_state": 0, "record_every": 1} | scaling
        W, b, costs = reference.train_logistic_regression(X, Y, 0.02, PAYING_EPOCHS, **options)
        fast_W, fast_b, fast_costs = jitlogit.train_logistic_regression(X, Y, 0.02, PAYING_EPOCHS, **options)
        assert_close(np.append(fast_W, fast_b), np.append(W, b), TOLERANCE)
        assert_close(fast_costs, costs, TOLERANCE)
    assert dimensions == [3] * len(batch_sizes)


@pytest.mark.parametrize(
    ("n", "order", "dtype", "batch_size", "epochs", "expected"),
    [
        (8, "C", "float32", 32, 16, 3),
        (8, "C", "float32", 32, 15, 2),
        (9, "C", "float32", 32, 16, 2),
        (10, "C", "float16", 32, 16, 3),
        (11, "C", "float16", 32, 16, 2),
        (8, "C", "float64", 32, 16, 2),
        (8, "C", "float32", 31, 16, 2),
        (8, "C", "float32", 33, 16, 2),
        (16, "F", "float32", 32, 40, 3),
        (16, "F", "float32", 32, 39, 2),
        (33, "F", "float32", 32, 40, 2),
        (16, "F", "float16", 32, 40, 2),
    ],
)
def test_rule(n, order, dtype, batch_size, epochs, expected, dimensions):
    X, Y = narrow(dtype, order, n)
    jitlogit.train_logistic_regression(X[:80].copy(order), Y[:80], 0.01, epochs, batch_size=batch_size, shuffle=False)
    assert dimensions == [expected]


def test_rows_shuffled_or_the_copy_forbidden(dimensions):
    X, Y = narrow("float32", "C")
    jitlogit.train_logistic_regression(X, Y, 0.01, 16, batch_size=32)
    W, b, _ = jitlogit.train_logistic_regression(X, Y, 0.1, 16, pack=False)
    assert dimensions == []
    packed_W, packed_b, _ = jitlogit.train_logistic_regression(X, Y, 0.1, 16)
    assert dimensions == [3]
    assert_close(np.append(packed_W, packed_b), np.append(W, b), TOLERANCE)
    with pytest.raises(TypeError, match="pack must be True or False; got 'no'"):
        jitlogit.train_logistic_regression(X, Y, pack="no")


def test_memory(monkeypatch, dimensions):
    X, Y = narrow("float32", "C")
    for available in (2 * X.nbytes, 4 * X.nbytes, None):
        monkeypatch.setattr(packing, "available_memory", lambda available=available: available)
        jitlogit.train_logistic_regression(X, Y, 0.1, 16)
    assert dimensions == [2, 3, 3]


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, None),
        ({"proc/meminfo": "MemTotal: 9 kB\n"}, None),
        ({"proc/meminfo": "MemTotal: 9 kB\nMemAvailable:    3000 kB\n"}, 3000 * 1024),
        ({"sys/fs/cgroup/memory.max": "5000000", "sys/fs/cgroup/memory.current": "4000000"}, 1_000_000),
        ({"sys/fs/cgroup/memory.max": "max", "sys/fs/cgroup/memory.current": "4000000"}, 3000 * 1024),
        ({"sys/fs/cgroup/memory.max": "5000000", "sys/fs/cgroup/memory.current": "6000000"}, 0),
        (
            {
                "sys/fs/cgroup/memory/memory.limit_in_bytes": "3000000",
                "sys/fs/cgroup/memory/memory.usage_in_bytes": "1",
            },
            2_999_999,
        ),
    ],
)
def test_available_memory_is_that_of_the_system_or_of_a_tighter_group(files, expected, tmp_path, monkeypatch):
    if files and "proc/meminfo" not in files:
        files = files | {"proc/meminfo": "MemAvailable: 3000 kB\n"}
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(packing, "Path", lambda path: tmp_path / path.lstrip("/"))
    assert packing.available_memory() == expected


@compiled
def test_same_bits_for_any_number_of_threads(monkeypatch):
    any_members(monkeypatch, 7)
    rng = np.random.default_rng(0)
    X = rng.standard_normal((30_000, 6), np.float32)
    Y = X[:, 0] > 0
    results = []
    for n_threads in (1, 2, 3, 7):
        W, b, costs = jitlogit.train_logistic_regression(X, Y, 0.1, 16, record_every=1, n_threads=n_threads)
        results.append((W.tobytes(), b, costs))
    assert results == results[:1] * 4


@pytest.fixture
def orders(monkeypatch):
    """Whether the rows of each fit were turned: copied from F order to C order."""
    found = []

    def spy(rows, *arguments):
        out = packing.in_c_order(rows, *arguments)
        found.append(out is not rows and out.flags.c_contiguous)
        return out

    monkeypatch.setattr(dense, "in_c_order", spy)
    return found


@pytest.mark.parametrize("n", [1, 7, 16, 23, 70])
@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8", "int8", "float16", "bfloat16"])
def test_turned_rows_are_the_same_rows(dtype, n, monkeypatch):
    any_members(monkeypatch, 3)
    for m in (1, 15, 16, 257, 700):
        values = np.random.default_rng(m).integers(0, 2**16, (m, n)).astype(np.uint16)
        if dtype == "bfloat16":
            X = values.view(jitlogit.bfloat16)
        else:
            X = (values % 200).astype(dtype) if np.dtype(dtype).itemsize > 1 else (values % 128).astype(dtype)
        rows = as_rows(check_X(np.asfortranarray(X)))
        for n_threads in (1, 3):
            out = packing.in_c_order(rows, 32, True, 2, n_threads)
            assert out.flags.c_contiguous
            assert not out.flags.writeable
            assert np.array_equal(out.view(f"u{out.itemsize}"), as_rows(X).view(f"u{out.itemsize}"))


@pytest.mark.parametrize("classes", [2, 3])
def test_shuffled_rows_in_f_order_give_the_bits_of_c_order(classes, orders):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((M, 20), np.float32)
    y = rng.integers(classes, size=M)
    train = jitlogit.train_logistic_regression if classes == 2 else jitlogit.train_softmax_regression
    results = [train(rows, y, 0.1, 2, batch_size=32, random_state=0) for rows in (X, np.asfortranarray(X))]
    assert orders == [False, True]
    assert all(np.array_equal(a, b) for a, b in zip(*results, strict=True))


@pytest.mark.parametrize("train", [jitlogit.train_logistic_regression, jitlogit.train_softmax_regression])
def test_rows_are_turned_only_if_it_pays_and_is_allowed(train, orders, monkeypatch):
    X = np.asfortranarray(np.random.default_rng(0).standard_normal((400, 20), np.float32))
    Y = (X[:, 0] > 0).astype(int)
    train(X, Y, 0.1, 1, batch_size=32)  # one epoch
    train(X, Y, 0.1, 7, batch_size=32, shuffle=False)
    train(X, Y, 0.1, 8, batch_size=65, shuffle=False)
    assert orders == [False, False, False]
    train(X, Y, 0.1, 8, batch_size=64, shuffle=False)
    assert orders == [False, False, False, True]
    train(X, Y, 0.1, 2, batch_size=32, pack=False)
    assert len(orders) == 4
    for available in (2 * X.nbytes - 1, 2 * X.nbytes):
        monkeypatch.setattr(packing, "available_memory", lambda available=available: available)
        train(X, Y, 0.1, 2, batch_size=32)
    assert orders[4:] == [False, True]
