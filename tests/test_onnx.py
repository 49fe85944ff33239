"""Models as graphs of ONNX, run by onnxruntime."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from conftest import JIT_OFF, make_classes
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression as Theirs
from sklearn.pipeline import make_pipeline

import jitlogit
from jitlogit import LogisticRegression, LogisticRegressionCV, MiniBatchLogisticRegression

onnx = pytest.importorskip("onnx", reason="graphs of ONNX are tested where onnx is installed")
onnxruntime = pytest.importorskip("onnxruntime", reason="graphs of ONNX are tested where onnxruntime is installed")

KINDS = {
    "optimum": lambda: LogisticRegression(),
    "path": lambda: LogisticRegressionCV(Cs=2, cv=3),
    "mini-batch": lambda: MiniBatchLogisticRegression(random_state=0, max_iter=2 if JIT_OFF else 5),
}
LABELS = {
    "integers": np.array([-3, 7, 9]),
    "bytes": np.array([1, 2, 250], np.uint8),
    "text": np.array(["no", "yes", "žluťoučký"]),
    "objects": np.array(["no", "yes"], object),
    "floats": np.array([-1.0, 2.0]),
    "bools": np.array([False, True]),
}
# float64: the same sums in another order. Else: the model's own scores are rounded to float32, the graph's are not.
TOLERANCE = {np.float32: 1e-6, np.float64: 1e-12, np.uint8: 1e-6}


def rows(labels, dtype):
    X, y = make_classes(90, 4, len(labels))
    X = X.astype(dtype) if dtype != np.uint8 else np.clip(X * 20 + 100, 0, 255).astype(dtype)
    return X, labels[y]


def run(graph, X):
    onnx.checker.check_model(graph, full_check=True)
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    assert [output.name for output in session.get_outputs()] == ["label", "probabilities"]
    return session.run(None, {"X": X})


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("labels", LABELS)
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_a_runtime_predicts_the_same(kind, labels, dtype):
    X, y = rows(LABELS[labels], dtype)
    model = KINDS[kind]().fit(X, y)
    label, probabilities = run(jitlogit.to_onnx(model, dtype), X)
    expected = model.predict_proba(X)
    assert probabilities.dtype == (np.float64 if dtype == np.float64 else np.float32)
    assert probabilities.shape == expected.shape
    assert np.abs(probabilities - expected).max() <= TOLERANCE[dtype]
    assert np.array_equal(label, model.predict(X))
    assert label.dtype == {"bytes": np.int64, "text": object}.get(labels, LABELS[labels].dtype)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_extreme_scores_have_exact_tails(n_classes):
    X, y = rows(LABELS["integers"][:n_classes], np.float64)
    model = LogisticRegression().fit(X, y)
    model.coef_ *= 1000
    _, probabilities = run(jitlogit.to_onnx(model), X)
    expected = model.predict_proba(X)
    assert expected[expected > 0].min() < 1e-100
    np.testing.assert_allclose(probabilities, expected, rtol=1e-9, atol=1e-300)


def test_raw_features_lose_no_digits():
    X, y = rows(LABELS["integers"], np.float64)
    X = (X * 10 + [0, 1e3, 1e4, 1e5]).astype(np.float32)
    model = LogisticRegression().fit(X.astype(np.float64), y)
    _, probabilities = run(jitlogit.to_onnx(model, np.float32), X)
    assert np.abs(probabilities - model.predict_proba(X.astype(np.float64))).max() <= 1e-7


def test_the_type_of_the_input():
    X, y = rows(LABELS["integers"], np.float64)
    model = LogisticRegression().fit(X, y)
    expected = jitlogit.to_onnx(model, model.coef_.dtype)
    assert jitlogit.to_onnx(model) == expected
    for dtype in (np.float16, "int16", np.int64, bool):
        _, probabilities = run(jitlogit.to_onnx(model, dtype), X.astype(dtype))
        assert np.abs(probabilities - model.predict_proba(X.astype(dtype))).max() <= 1e-6
        assert probabilities.dtype == (np.float64 if dtype == np.int64 else np.float32)
    for dtype in (np.longdouble, "text", complex, object):
        with pytest.raises(TypeError, match="dtype must be float32, float64"):
            jitlogit.to_onnx(model, dtype)


def test_old_runtimes_read_the_file():
    X, y = rows(LABELS["integers"], np.float64)
    graph = jitlogit.to_onnx(LogisticRegression().fit(X, y))
    assert graph.ir_version == 7
    assert [(opset.domain, opset.version) for opset in graph.opset_import] == [("", 13)]


def test_what_cannot_be_a_graph_is_a_clear_error(monkeypatch):
    X, y = rows(LABELS["integers"], np.float64)
    model = LogisticRegression().fit(X, y)
    for other in (Theirs(), make_pipeline(model), None):
        with pytest.raises(TypeError, match="model must be an estimator of jitlogit; got"):
            jitlogit.to_onnx(other)
    with pytest.raises(NotFittedError):
        jitlogit.to_onnx(LogisticRegression())
    dates = LogisticRegression().fit(X, y.astype("datetime64[D]"))
    with pytest.raises(TypeError, match="classes must be integers, text, bools or floats"):
        jitlogit.to_onnx(dates)
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match=r"pip install 'jitlogit\[onnx\]'"):
        jitlogit.to_onnx(model)
