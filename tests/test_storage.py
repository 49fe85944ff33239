"""Every way of holding X, in every order of visiting it: the same numbers as the reference on the widened array."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import JIT_OFF, assert_close, compiled, run_python

import jitlogit
from jitlogit import reference
from jitlogit.compiler.jit import kernel
from jitlogit.kernels.simd import lanes
from jitlogit.tools.cli import main

M, N = (83, 5) if JIT_OFF else (1501, 37)
# float32 products of numbers of like size; W and b of some hundred updates
TOLERANCE = 2e-5


def stored(dtype, order="C"):
    """Features of a dtype, the classes' means apart, and the labels."""
    rng = np.random.default_rng(0)
    Y = rng.random(M) < 0.5
    values = rng.standard_normal((M, N)) + 0.3 * Y[:, None]
    if dtype == "bool":
        X = values > 0
    elif dtype == "uint8":
        X = np.clip(values * 40 + 120, 0, 255).astype(dtype)
    elif dtype == "int8":
        X = np.clip(values * 40, -128, 127).astype(dtype)
    elif dtype == "bfloat16":
        X = (values.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16).view(jitlogit.bfloat16)
    else:
        X = values.astype(dtype)
    return np.asarray(X, order=order), Y


def scaling(dtype):
    return {"offset": np.linspace(100, 130, N), "scale": 60.0} if dtype == "uint8" else {}


def assert_same_training(X, Y, **options):
    options = {"learning_rate": 0.05, "num_iterations": 3, "record_every": 1, "random_state": 0} | options
    W, b, costs = reference.train_logistic_regression(X, Y, **options)
    fast_W, fast_b, fast_costs = jitlogit.train_logistic_regression(X, Y, **options)
    assert fast_W.dtype == np.float32
    assert_close(np.append(fast_W, fast_b), np.append(W, b), TOLERANCE)
    assert_close(fast_costs, costs, TOLERANCE)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("shuffle", [False, True, "blocks"])
@pytest.mark.parametrize("dtype", ["uint8", "int8", "bool", "float16", "bfloat16", "float32"])
def test_training(dtype, shuffle, order):
    X, Y = stored(dtype, order)
    if dtype == "int8":
        X = X // 16  # whole numbers that need no scaling
    for batch_size in (1, 7, 32, min(1000, M), None):
        rate = 0.01 if batch_size == 1 else 0.05
        assert_same_training(X, Y, learning_rate=rate, batch_size=batch_size, shuffle=shuffle, **scaling(dtype))


@pytest.mark.parametrize("dtype", ["uint8", "int8", "bool", "float16", "bfloat16"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_functions(dtype, order):
    X, Y = stored(dtype, order)
    W, b = np.linspace(-0.01, 0.01, N, dtype=np.float32).reshape(-1, 1), 0.25
    A = reference.forward_pass(X, W, b, **scaling(dtype))
    fast_A = jitlogit.forward_pass(X, W, b, **scaling(dtype))
    assert fast_A.dtype == np.float32
    assert_close(fast_A, A, TOLERANCE)
    assert np.array_equal(jitlogit.predict(X, W, b, 0.55, **scaling(dtype)), (fast_A >= 0.55).astype(int))
    widened = np.asarray(reference.descent.as_float(X))
    dW, db = reference.compute_gradients(widened, Y.reshape(1, -1), A)
    fast_dW, fast_db = jitlogit.compute_gradients(X, Y, A)
    assert_close(fast_dW, dW, TOLERANCE)
    assert_close(fast_db, db, TOLERANCE)


def test_bfloat16_of_ml_dtypes():
    ml_dtypes = pytest.importorskip("ml_dtypes", reason="reads its arrays where it is installed")
    X, Y = stored("bfloat16")
    same = X.view(np.uint16).view(ml_dtypes.bfloat16)
    W, b, _ = jitlogit.train_logistic_regression(X, Y, 0.1, 2)
    other_W, other_b, _ = jitlogit.train_logistic_regression(same, Y, 0.1, 2)
    assert np.array_equal(W, other_W)
    assert b == other_b


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_scaling_floats(dtype):
    X, Y = stored(dtype)
    options = {"batch_size": 16, "offset": X.mean(0), "scale": X.std(0), "record_every": 1, "shuffle": False}
    W, b, costs = reference.train_logistic_regression(X, Y, 0.1, 3, **options)
    fast_W, fast_b, fast_costs = jitlogit.train_logistic_regression(X, Y, 0.1, 3, **options)
    tolerance = TOLERANCE if dtype == np.float32 else 1e-12
    assert_close(np.append(fast_W, fast_b), np.append(W, b), tolerance)
    assert_close(fast_costs, costs, tolerance)


def test_scaling_equals_training_on_a_scaled_copy():
    X, Y = stored("uint8")
    W, b, _ = jitlogit.train_logistic_regression(X, Y, 0.1, 5, scale=255)
    copy = X.astype(np.float32) / 255
    copy_W, copy_b, _ = jitlogit.train_logistic_regression(copy, Y, 0.1, 5)
    assert_close(np.append(W, b), np.append(copy_W, copy_b), TOLERANCE)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"scale": 0}, ValueError, "scale must be finite and positive: use 1 for constant features"),
        ({"scale": np.ones(N + 1)}, ValueError, f"one for each of the {N} features"),
        ({"offset": np.nan}, ValueError, "offset must be finite"),
        ({"offset": "mean"}, TypeError, "offset must hold numbers"),
        ({"shuffle": "rows"}, ValueError, 'shuffle must be True, False or "blocks"'),
        ({"shuffle": 1}, TypeError, "shuffle must be True or False"),
    ],
)
def test_wrong_options(options, error, words):
    X, Y = stored("float32")
    with pytest.raises(error, match=words):
        jitlogit.train_logistic_regression(X, Y, 0.1, 1, **options)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_not_a_number_in_few_bits(dtype):
    X, Y = stored(dtype)
    bits = X.view(np.uint16)
    bits[11, 3] = 0x7FFF
    with pytest.raises(ValueError, match=r"X_train\[11, 3\] is nan"):
        jitlogit.train_logistic_regression(X, Y, 0.1, 1)
    with pytest.raises(ValueError, match=r"X\[11, 3\] is nan"):
        jitlogit.predict(X, np.ones(N), 0.0)


def test_blocks_of_large_data():
    m, batch_size = 1_000_003, 1000
    order = reference.shuffled_blocks(m, batch_size, np.random.default_rng(0))
    assert sorted(order.tolist()) == list(range(1001))
    follows = np.diff(order) == 1
    assert 0.7 < follows.mean() < 0.8  # blocks of four batches


def test_blocks_are_the_batches_in_another_order():
    X, Y = stored("float32")
    X, Y = X[:6], Y[:6]
    options = {"batch_size": 2, "num_iterations": 1, "learning_rate": 1.0}
    seen = {
        jitlogit.train_logistic_regression(X, Y, shuffle="blocks", random_state=seed, **options)[0].tobytes()
        for seed in range(40)
    }
    assert 3 <= len(seen) <= 6  # the orders of three blocks


def test_warmup_takes_what_fits_take():
    jitlogit.warmup(np.float32)
    jitlogit.warmup(["uint8", jitlogit.bfloat16], orders="F")
    assert main(["warmup", "--dtypes", "float32,bfloat16"]) == 0
    with pytest.raises(ValueError, match="orders must be"):
        jitlogit.warmup("float32", orders="A")
    with pytest.raises(TypeError):
        jitlogit.warmup("text")


@compiled
@pytest.mark.parametrize("order", ["C", "F"])
def test_nothing_is_compiled_after_warmup(order, tmp_path):
    words = ["warmup", "--dtypes", "float32", "--orders", order]
    for given in (words, [*words, "--check"]):
        run_python(
            f"import sys; from jitlogit.tools.cli import main; sys.exit(main({given}))", NUMBA_CACHE_DIR=str(tmp_path)
        )
    kept = sorted(tmp_path.rglob("*.kernel"))
    code = """
import numpy as np, jitlogit
for m, n in ((9_000, 5), (9_000, 60), (9_000, 100), (900, 600)):
    X = np.asarray(np.random.default_rng(0).standard_normal((m, n)), np.float32, order)
    Y = X[:, 0] > 0
    for batch_size in (1, 32, 64, 128, min(m, 4096), None):
        for shuffle in (True, False, "blocks"):
            for n_epochs, n_threads in ((1, None), (8, 1), (40, 1)):  # for many, rows are copied or packed
                options = {"batch_size": batch_size, "shuffle": shuffle, "n_threads": n_threads}
                W, b, _ = jitlogit.train_logistic_regression(X, Y, 0.01, n_epochs, **options)
    jitlogit.compute_cost(jitlogit.forward_pass(X, W, b), Y)
    jitlogit.predict(X, W, b)
"""
    run_python(f"order = '{order}'\n{code}", NUMBA_CACHE_DIR=str(tmp_path))
    assert kept
    assert sorted(tmp_path.rglob("*.kernel")) == kept


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [16, 33, 70, 131, 301, 601])
@pytest.mark.parametrize(("order", "shuffle"), [("C", True), ("F", False), ("F", "blocks")])
def test_rows_of_many_vectors(n, dtype, order, shuffle):
    """Rows longer than the vectors that are held in registers, with and without remainders."""
    rng = np.random.default_rng(0)
    X, Y = np.asarray(rng.standard_normal((143, n)), dtype, order=order), rng.random(143) < 0.5
    for batch_size in (1, 5, 16, 33, None):
        options = {"batch_size": batch_size, "random_state": 0, "shuffle": shuffle}
        W, b, _ = reference.train_logistic_regression(X, Y, 0.01, 2, **options)
        fast_W, fast_b, _ = jitlogit.train_logistic_regression(X, Y, 0.01, 2, **options)
        assert_close(np.append(fast_W, fast_b), np.append(W, b), TOLERANCE if dtype == np.float32 else 1e-12)


@compiled
def test_every_half_without_the_instruction(monkeypatch):
    def widen(halves, out):
        for t in range(0, out.size, lanes.width(out)):
            lanes.store(out, t, lanes.load(halves, t))

    monkeypatch.setattr(lanes, "WIDENS_HALF", False)
    entry = kernel(widen)
    entry._cache.disable()
    halves = np.arange(2**16, dtype=np.uint16)
    out = np.empty(halves.size, np.float32)
    entry(halves, out)
    np.testing.assert_array_equal(out, halves.view(np.float16).astype(np.float32))


@compiled
@pytest.mark.parametrize(("features", "dtypes", "width"), [("", ["f2", "f4"], 16), ("+avx2,+fma", ["f2", "f8"], 32)])
def test_lesser_processors(features, dtypes, width, tmp_path):
    """Shorter vectors, and float16 where no instruction widens it; each in a cache of its own name."""
    code = (
        "import numpy as np, jitlogit\n"
        "from jitlogit import reference\n"
        "rng = np.random.default_rng(0)\n"
        "for n in (5, 40, 300):\n"
        f"    for dtype in {dtypes}:\n"
        "        X = (50 * rng.random((61, n)) - 25).astype(dtype)\n"
        "        X[0, :4] = [0, 6e-8, -3e-5, 2.5]\n"
        "        Y = rng.random(61) < 0.5\n"
        "        for size in (1, 16, None):\n"
        "            options = dict(learning_rate=1e-4, num_iterations=20, batch_size=size, random_state=0, scale=10)\n"
        "            W, b, _ = reference.train_logistic_regression(X, Y, **options)\n"
        "            fast, c, _ = jitlogit.train_logistic_regression(X, Y, **options)\n"
        "            error = max(abs(fast - W).max() / abs(W).max(), abs(b - c))\n"
        "            assert error <= (1e-12 if dtype == 'f8' else 2e-5), (n, dtype, size, error)\n"
        "from jitlogit.kernels.simd.lane_types import VECTOR_BYTES\n"
        "print(VECTOR_BYTES)\n"
    )
    out = run_python(code, NUMBA_CPU_NAME="generic", NUMBA_CPU_FEATURES=features, NUMBA_CACHE_DIR=str(tmp_path))
    assert out.split() == [str(width)]
