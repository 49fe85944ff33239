"""What the data say about how to train on them, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import make_data
from scipy import sparse
from scipy.special import log_softmax
from sklearn.utils.sparsefuncs import mean_variance_axis

from jitlogit.data.moments import RunningMoments, curvature
from jitlogit.data.prediction import log_probabilities_of, losses_of, probabilities_of
from jitlogit.data.scaling import ScaledRows, raw_parameters, scaled_features, scaled_gradient, scaled_parameters
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


def test_raw_and_scaled_space_agree_on_scores_and_gradients():
    rng = np.random.default_rng(0)
    X, offset, scale = rng.standard_normal((50, 4)), rng.standard_normal(4), rng.uniform(0.1, 9, 4)
    weights, bias, residuals = rng.standard_normal((3, 4)), rng.standard_normal(3), rng.standard_normal((50, 3))
    scaled = scaled_features(X, offset, scale)
    coef, intercept = raw_parameters(weights, bias, offset, scale)
    np.testing.assert_allclose(X @ coef.T + intercept, scaled @ weights.T + bias, rtol=1e-12)
    parameters = scaled_parameters(coef, intercept, offset, scale)
    np.testing.assert_allclose(parameters, np.column_stack([weights, bias]), rtol=1e-12)
    gradient = scaled_gradient(residuals.T @ X, residuals.sum(axis=0)[:, np.newaxis], offset, scale)
    np.testing.assert_allclose(gradient, residuals.T @ scaled, rtol=1e-12)
    for rows in (ScaledRows(X, offset, scale), ScaledRows(sparse.csr_array(X), offset, scale)):
        np.testing.assert_allclose(rows.times(weights[0]), scaled @ weights[0], rtol=1e-10)
        np.testing.assert_allclose(rows.transposed_times(residuals[:, 0]), scaled.T @ residuals[:, 0], rtol=1e-10)
        np.testing.assert_allclose(rows.squares(), (scaled**2).sum(axis=1), rtol=1e-10)


@pytest.mark.parametrize("n_scores", [1, 3])
def test_probabilities_and_losses_follow_from_one_log_softmax(n_scores):
    rng = np.random.default_rng(0)
    scores, labels = rng.standard_normal((60, n_scores)) * 1000, rng.integers(0, max(2, n_scores), 60)
    expected = log_softmax(scores if n_scores > 1 else np.column_stack([np.zeros(60), scores]), axis=1)
    with np.errstate(all="raise"):  # as a user may have set it
        log = log_probabilities_of(scores if n_scores > 1 else scores[:, 0])
        losses, probabilities = losses_of(scores, labels), probabilities_of(scores)
    np.testing.assert_allclose(log, expected, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(losses, -expected[np.arange(60), labels], rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(probabilities, np.exp(expected[:, -n_scores:]), rtol=1e-12, atol=1e-15)
