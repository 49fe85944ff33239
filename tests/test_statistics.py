"""What the data say about how to train on them, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import make_data
from scipy import sparse
from sklearn.utils.sparsefuncs import mean_variance_axis

from jitlogit.data.moments import RunningMoments, curvature
from jitlogit.data.validation import check_X


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("n", [3, 40])
def test_running_moments_are_those_of_all_rows(weighted, dtype, order, n):
    rng = np.random.default_rng(0)
    X = np.asarray(rng.integers(0, 200, (1000, n)), dtype, order=order)
    X[:, 0] = 7
    weights = rng.random(1000) if weighted else np.ones(1000)
    labels = rng.random(1000) < 0.3
    moments = RunningMoments(class_weights=np.zeros(2))
    for part in (slice(0, 300), slice(300, 301), slice(301, 1000)):
        rows = check_X(np.asarray(X[part], order=order))
        moments = moments.after(rows, labels[part], weights[part] if weighted else None, True, None)
    mean = np.average(X.astype(float), axis=0, weights=weights)
    deviation = np.sqrt(np.average((X - mean) ** 2, axis=0, weights=weights))
    found_mean, found_scale = moments.mean_and_scale()
    tolerance = 1e-12 if dtype == np.float64 else 1e-5
    np.testing.assert_allclose(found_mean, mean, rtol=tolerance)
    np.testing.assert_allclose(found_scale[1:], deviation[1:], rtol=tolerance)
    assert found_scale[0] == 1
    np.testing.assert_allclose(moments.class_weights, np.bincount(labels, weights), rtol=1e-12)


def test_curvature_is_the_largest_eigenvalue():
    X, _ = make_data(500, 6)
    X *= [1, 2, 3, 1, 1, 9]
    found, trace = curvature(X, None, np.zeros(6), np.ones(6), True, np.random.default_rng(0))
    rows = np.append(X, np.ones((500, 1)), axis=1)
    assert found == pytest.approx(np.linalg.eigvalsh(rows.T @ rows / 2000)[-1], rel=0.01)
    assert trace == pytest.approx(np.trace(rows.T @ rows / 2000))


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array])
def test_curvature_is_not_that_of_one_long_row_of_a_sample(form):
    X = np.random.default_rng(0).standard_normal((5000, 40))
    X[np.arange(0, 5000, 125), np.arange(40)] = 1000.0
    found, _ = curvature(form(X), None, np.zeros(40), np.ones(40), False, np.random.default_rng(0))
    assert found == pytest.approx(np.linalg.eigvalsh(X.T @ X / 20_000)[-1], rel=0.02)


@pytest.mark.parametrize("value", [3.0, 1e5, 1e-7])
def test_constant_sparse_columns_have_no_variance(value):
    """Rounding must not make it negative."""
    rng = np.random.default_rng(0)
    least = 0.0
    for _ in range(20):
        weights = rng.integers(0, 4, 74).astype(float)
        X = sparse.csr_array(np.column_stack([np.full(74, value), rng.standard_normal(74)]))
        least = min(least, mean_variance_axis(X, axis=0, weights=weights / weights.mean())[1][0])
        seen = RunningMoments(class_weights=np.zeros(2)).after(X, np.zeros(74, np.uint8), weights, True, 1)
        assert (seen.variance >= 0).all()
        assert np.isfinite(seen.mean_and_scale()[1]).all()
    assert least < 0  # of scikit-learn's own
