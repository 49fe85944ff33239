"""Sparse rows: the same numbers as from a dense copy, whatever the format, and nothing dense on the way."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from conftest import JIT_OFF, any_members, assert_close, compiled
from scipy import sparse

from jitlogit import MiniBatchLogisticRegression
from jitlogit.data.validation import check_rows, check_sparse
from jitlogit.estimators.weights import places_of
from jitlogit.kernels.steps.update import OPTIMIZERS
from jitlogit.kernels.storage import sparse_work
from jitlogit.optimum import passes
from jitlogit.optimum.cost import Cost

COMMON = {"batch_size": 16, "max_iter": 2 if JIT_OFF else 4, "learning_rate": 0.01, "random_state": 0}


def make_sparse(m=90, n=40, classes=2, density=0.15, seed=0):
    rng = np.random.default_rng(seed)
    X = sparse.random(m, n, density, format="csr", random_state=np.random.RandomState(seed))
    X.data[:] = 2 * rng.standard_normal(X.nnz)
    return X, rng.integers(classes, size=m)


def difference(a, b):
    a, b = (np.column_stack([model.coef_, model.intercept_]) for model in (a, b))
    return np.abs(a - b).max() / np.abs(b).max()


FEW = 1e9  # for `sparse_work._ALL_FEATURES`: no batch is taken to have all features


@pytest.mark.parametrize(
    ("classes", "limit"), [(2, sparse_work._ALL_FEATURES), (2, FEW), (3, sparse_work._ALL_FEATURES), (9, FEW)]
)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"alpha": 0.05},
        {"alpha": 0.01, "l1_ratio": 0.5},
        {"average": True},
        {"standardize": False},
        {"fit_intercept": False},
        {"batch_size": None},
        {"class_weight": "balanced"},
        {"shuffle": "blocks", "schedule": "constant"},
    ],
    ids=str,
)
def test_training_agrees_with_that_on_a_dense_copy(classes, limit, optimizer, options, monkeypatch):
    monkeypatch.setattr(sparse_work, "_ALL_FEATURES", limit)
    X, y = make_sparse(classes=classes)
    settings = {**COMMON, "optimizer": optimizer, **options}
    fitted = MiniBatchLogisticRegression(**settings).fit(X, y)
    expected = MiniBatchLogisticRegression(**settings).fit(X.toarray(), y)
    # Rounding alone: formulas that are put together differently, over some dozen updates. Adagrad and Adam divide by
    # gradients, also by those that are all but zero.
    tolerance = 1e-8 if optimizer in ("adagrad", "adam") else 1e-11
    assert difference(fitted, expected) <= tolerance
    assert_close(fitted.history_["loss"], expected.history_["loss"], tolerance)
    assert_close(fitted.predict_proba(X), expected.predict_proba(X.toarray()), tolerance)
    # From the epoch's step, by the mean of its learning rates.
    exact = settings.get("schedule") == "constant" or optimizer in ("adagrad", "adam")
    assert_close(fitted.history_["gradient_norm"], expected.history_["gradient_norm"], tolerance if exact else 0.3)


@pytest.mark.parametrize("classes", [2, 9])
def test_tables_shorter_than_an_epoch_change_nothing(classes, monkeypatch):
    X, y = make_sparse(classes=classes)
    expected = MiniBatchLogisticRegression(**COMMON | {"batch_size": 2}).fit(X, y)
    monkeypatch.setattr(sparse_work, "_LEAST_ENTRIES", 3)
    monkeypatch.setattr(sparse_work, "_MOST_ENTRIES", 3)
    assert difference(MiniBatchLogisticRegression(**COMMON | {"batch_size": 2}).fit(X, y), expected) <= 1e-11


@pytest.mark.parametrize(("classes", "limit"), [(2, 0), (2, FEW), (9, FEW)])
@pytest.mark.parametrize("optimizer", ["nesterov", "adam"])
def test_any_number_of_threads_gives_the_same_bits(classes, limit, optimizer, monkeypatch):
    m = 120 if JIT_OFF else 3000
    X, y = make_sparse(m, 50, classes, 0.3)
    settings = COMMON | {"batch_size": m // 3, "optimizer": optimizer, "max_iter": 2 if JIT_OFF else 3}
    monkeypatch.setattr(sparse_work, "_CHUNK_WORK", m // 3)
    monkeypatch.setattr(sparse_work, "_ALL_FEATURES", limit)
    alone = MiniBatchLogisticRegression(n_threads=1, **settings).fit(X, y)
    any_members(monkeypatch)
    for n_threads in (2, 3):
        together = MiniBatchLogisticRegression(n_threads=n_threads, **settings).fit(X, y)
        assert together.coef_.tobytes() == alone.coef_.tobytes()
        assert together.intercept_.tobytes() == alone.intercept_.tobytes()
    dense = MiniBatchLogisticRegression(**settings).fit(X.toarray(), y)
    assert difference(alone, dense) <= 1e-8


@pytest.mark.parametrize("kind", ["csr_matrix", "csr_array", "csc_array", "coo_array", "lil_array"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int32, bool])
@pytest.mark.parametrize("index", [np.int32, np.int64])
def test_formats_and_dtypes(kind, dtype, index):
    X, y = make_sparse()
    X = getattr(sparse, kind)((5 * X).astype(dtype))
    if kind.startswith("cs"):
        X.indices, X.indptr = X.indices.astype(index), X.indptr.astype(index)
    before = X.toarray()
    fitted = MiniBatchLogisticRegression(**COMMON).fit(X, y)
    assert np.array_equal(X.toarray(), before)
    expected = MiniBatchLogisticRegression(**COMMON).fit(before.astype(np.float64), y)
    assert difference(fitted, expected) <= (1e-11 if dtype is np.float64 else 1e-5)  # moments of float32 are float32
    scores = fitted.decision_function(X)
    assert scores.dtype == (np.float32 if dtype in (np.float32, bool) else np.float64)
    np.testing.assert_allclose(scores, expected.decision_function(before), rtol=1e-3, atol=1e-4)


def test_csr_is_used_as_it_is():
    X, _ = make_sparse()
    rows = check_sparse(X)
    assert np.shares_memory(rows.data, X.data)
    assert np.shares_memory(rows.indices, X.indices)


def test_values_that_stand_twice_are_added():
    X, y = make_sparse()
    twice = sparse.csr_array((np.repeat(X.data / 2, 2), np.repeat(X.indices, 2), 2 * X.indptr), shape=X.shape)
    fitted = MiniBatchLogisticRegression(**COMMON).fit(twice, y)
    assert twice.nnz == 2 * X.nnz
    assert difference(fitted, MiniBatchLogisticRegression(**COMMON).fit(X, y)) <= 1e-11


@pytest.mark.parametrize(("classes", "limit"), [(2, sparse_work._ALL_FEATURES), (2, FEW), (4, FEW)])
def test_partial_fit_and_validation_sets(classes, limit, monkeypatch):
    monkeypatch.setattr(sparse_work, "_ALL_FEATURES", limit)
    X, y = make_sparse(classes=classes)
    models = []
    for rows in (X, X.toarray()):
        model = MiniBatchLogisticRegression(**COMMON | {"learning_rate": "auto"})
        for part in (slice(0, 40), slice(40, 90)):
            model.partial_fit(rows[part], y[part], classes=np.arange(classes))
        models.append(model)
        models.append(MiniBatchLogisticRegression(**COMMON, early_stopping=True).fit(rows, y))
        warm = MiniBatchLogisticRegression(**COMMON, warm_start=True).fit(rows, y)
        models.append(warm.fit(rows, y, eval_set=(rows, y)))
    for fitted, expected in zip(models[:3], models[3:], strict=True):
        assert difference(fitted, expected) <= 1e-9
    assert_close(models[2].history_["val_loss"], models[5].history_["val_loss"], 1e-11)


def test_what_diverges_goes_on_with_a_lower_rate(monkeypatch):
    X, y = make_sparse(classes=3)
    with monkeypatch.context() as patched:
        patched.setattr("jitlogit.estimators.mini_batch.auto_learning_rate", lambda *_: 1e4)
        wild = MiniBatchLogisticRegression(**COMMON | {"learning_rate": "auto"}).fit(X, y)
    assert wild.history_["learning_rate"][0] in 1e4 / 2.0 ** np.arange(1, 40)
    assert max(wild.history_["loss"]) <= 2 * np.log(3)
    with pytest.raises(ValueError, match=r"learning_rate=1e\+30 is too large"):
        MiniBatchLogisticRegression(**COMMON | {"learning_rate": 1e30}).fit(X, y)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite_are_named(value):
    X, y = make_sparse()
    fitted = MiniBatchLogisticRegression(**COMMON).fit(X, y)
    X.data[X.indptr[4]] = value
    for use in (lambda: fitted.fit(X, y), lambda: fitted.predict(X)):
        with pytest.raises(ValueError, match=rf"X.*\[4, {X.indices[X.indptr[4]]}\] is {value}"):
            use()
    with pytest.raises(ValueError, match="so large that their squares overflow"):
        fitted.fit(sparse.csr_array(np.array([[1e300], [0], [0]])), [0, 1, 0])


@compiled
def test_nothing_dense_is_made():
    X, y = make_sparse(2000, 40_000, density=1e-3)
    fitted = MiniBatchLogisticRegression(max_iter=1, batch_size=500)
    tracemalloc.start()
    fitted.fit(X, y).predict(X)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40e6  # a dense copy takes 640 MB


@pytest.mark.parametrize("classes", [2, 9])
@pytest.mark.parametrize("n", [8, 40])  # chunks that are taken to have all features, and that number theirs
def test_chunks_of_a_batch_are_summed(classes, n, monkeypatch):
    X, y = make_sparse(n=n, classes=classes, density=0.3)
    monkeypatch.setattr(sparse_work, "_CHUNK_WORK", 20)
    settings = COMMON | {"batch_size": 45}
    fitted = MiniBatchLogisticRegression(**settings).fit(X, y)
    assert difference(fitted, MiniBatchLogisticRegression(**settings).fit(X.toarray(), y)) <= 1e-11


@pytest.mark.parametrize("classes", [2, 3])
def test_rows_without_values(classes):
    _, y = make_sparse(classes=classes)
    fitted = MiniBatchLogisticRegression(**COMMON).fit(sparse.csr_array((90, 40)), y)
    expected = MiniBatchLogisticRegression(**COMMON).fit(np.zeros((90, 40)), y)
    assert not fitted.coef_.any()
    np.testing.assert_allclose(fitted.intercept_, expected.intercept_, rtol=1e-11)


@pytest.mark.parametrize("classes", [None, 3])
@pytest.mark.parametrize("weighted", [False, True])
def test_cost_and_hessian_are_those_of_dense_rows(classes, weighted, monkeypatch):
    rng = np.random.default_rng(3)
    m, n = 90, 7
    dense = rng.standard_normal((m, n)) * (rng.random((m, n)) < 0.4)
    dense[:, [0, 3, n - 1]] = 0
    kinds = rng.integers(classes or 2, size=m)
    labels = places_of(kinds, np.unique(kinds), "y")
    weights = rng.random(m) if weighted else None
    offset, scale, l2 = rng.standard_normal(n), rng.random(n) + 0.5, rng.random(n)
    parameters, direction = rng.standard_normal((2, classes or 1, n + 1))
    expected = Cost(check_rows(dense), labels, classes, weights, offset, scale, l2, True, None)
    found = {}
    # In one chunk; in several, by one member or two; the sums row by row, or feature by feature.
    for work, threads, by_column in ((10**9, 1, False), (30, 1, False), (30, 2, False), (30, 1, True), (30, 2, True)):
        monkeypatch.setattr(sparse_work, "_CHUNK_WORK", work)
        monkeypatch.setattr(passes, "members_for", lambda *_, threads=threads: threads)
        monkeypatch.setattr(passes, "_CACHED_BYTES", 0 if by_column else 10**9)
        monkeypatch.setattr(passes, "_MOST_COPIED", 10**9)
        cost = Cost(sparse.csr_array(dense), labels, classes, weights, offset, scale, l2, True, None)
        assert (cost._passes._work.sums.shape[0] > 1) == (work < m * n)
        assert (cost._passes._columns is not None) == by_column
        value, gradient = cost(parameters)
        product = cost.hessian_at(parameters)(direction)
        np.testing.assert_allclose(value, expected(parameters)[0], rtol=1e-12)
        np.testing.assert_allclose(gradient, expected(parameters)[1], rtol=1e-11, atol=1e-13)
        np.testing.assert_allclose(product, expected.hessian_at(parameters)(direction), rtol=1e-11, atol=1e-13)
        found[work, threads, by_column] = value, gradient.tobytes(), product.tobytes()
    assert found[30, 1, False] == found[30, 2, False]
    assert found[30, 1, True] == found[30, 2, True]
