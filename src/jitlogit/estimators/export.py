"""Fitted models as others have them: scikit-learn's class, and a graph of ONNX."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from ..data.validation import Array, float_dtype, is_sparse

# The operators are those of opset 13, the first in which Softmax has one axis. Runtimes from 2020 on know it.
_OPSET = 13


def to_sklearn(model: Any) -> Any:
    """See `LinearClassifier.to_sklearn`."""
    from sklearn.linear_model import LogisticRegression  # on use, since it takes long to import

    check_is_fitted(model)
    carried = {"fit_intercept": model.fit_intercept, "class_weight": copy.deepcopy(model.class_weight)}
    C = getattr(model, "C_", getattr(model, "C", None))
    theirs = LogisticRegression(**carried, **({} if C is None else {"C": C}))
    for name in ("classes_", "coef_", "intercept_", "n_features_in_", "feature_names_in_"):
        if hasattr(model, name):
            setattr(theirs, name, copy.deepcopy(getattr(model, name)))
    theirs.n_iter_ = np.array(model.n_iter_, np.int32).reshape(-1)
    return theirs


def to_onnx(model: Any, dtype: Any = None) -> Any:
    """A fitted model as a graph of ONNX, for runtimes without Python.

    Input `X` is (n, n_features) of `dtype`, dense and finite. Outputs are `label` (n,) and `probabilities`
    (n, n_classes), in the order of `classes_`, of float32 for X of float32, float16 and small integers, else of
    float64. The names are those of skl2onnx without its option "zipmap".

    Scores are computed in float64 for any `dtype`, because raw features in the thousands lose digits in float32. So
    float64 X gives the model's own probabilities to 1e-12. Differences for other X are the rounding of the model's own
    scores in float32: at most 1e-6 for scaled features, and 2e-5 seen for raw pixels.

    Parameters
    ----------
    model : LogisticRegression, LogisticRegressionCV or MiniBatchLogisticRegression
        Fitted, with classes of integers, text, bools or floats.
    dtype : None or dtype
        Type of `X`: float32, float64, float16, bool or an integer type. None for the type of `coef_`. A runtime refuses
        X of another type.

    Returns
    -------
    onnx.ModelProto
        ``onnx.save(graph, "model.onnx")`` writes it.

    Raises
    ------
    ImportError
        If the package onnx isn't installed; names the extra to install.
    TypeError
        If the model isn't of jitlogit, or ONNX has no type for its classes or for `dtype`.
    sklearn.exceptions.NotFittedError

    Examples
    --------
    >>> import jitlogit
    >>> model = jitlogit.LogisticRegression().fit([[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1])
    >>> graph = jitlogit.to_onnx(model, dtype="float32").graph
    >>> [output.name for output in graph.output]
    ['label', 'probabilities']
    """
    if not (isinstance(model, BaseEstimator) and hasattr(model, "to_sklearn")):
        raise TypeError(
            f"model must be an estimator of jitlogit; got {type(model).__name__}: convert others with skl2onnx, and "
            "a pipeline too, once its last step is the estimator's to_sklearn()"
        )
    check_is_fitted(model)
    try:
        import onnx
        from onnx import helper, numpy_helper
    except ImportError as error:
        raise ImportError(
            "to_onnx needs the package onnx, which isn't installed: pip install 'jitlogit[onnx]'"
        ) from error
    weights, bias = _two_or_more_scores(model)
    labels = _labels(model.classes_)
    taken = _check_dtype(model.coef_.dtype if dtype is None else dtype)
    types = {
        name: helper.np_dtype_to_tensor_dtype(kind)
        for name, kind in (("X", taken), ("out", float_dtype(np.empty(0, taken))))
    }
    text = labels.dtype == object
    label_type = onnx.TensorProto.STRING if text else helper.np_dtype_to_tensor_dtype(labels.dtype)
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["X"], ["rows"], to=onnx.TensorProto.DOUBLE),
            helper.make_node("MatMul", ["rows", "weights"], ["products"]),
            helper.make_node("Add", ["products", "bias"], ["scores"]),
            helper.make_node("ArgMax", ["scores"], ["place"], axis=1, keepdims=0),
            helper.make_node("Gather", ["classes", "place"], ["label"]),
            helper.make_node("Softmax", ["scores"], ["softmax"], axis=1),
            helper.make_node("Cast", ["softmax"], ["probabilities"], to=types["out"]),
        ],
        type(model).__name__,
        [helper.make_tensor_value_info("X", types["X"], [None, weights.shape[0]])],
        [
            helper.make_tensor_value_info("label", label_type, [None]),
            helper.make_tensor_value_info("probabilities", types["out"], [None, weights.shape[1]]),
        ],
        [
            numpy_helper.from_array(weights, "weights"),
            numpy_helper.from_array(bias, "bias"),
            numpy_helper.from_array(labels, "classes"),
        ],
    )
    opsets = [helper.make_opsetid("", _OPSET)]
    # The newest version of the file, which is the default, is refused by runtimes that are a year old.
    ir_version = helper.find_min_ir_version_for(opsets)
    return helper.make_model(graph, opset_imports=opsets, ir_version=ir_version, producer_name="jitlogit")


def _two_or_more_scores(model: Any) -> tuple[Array, Array]:
    """Weights (n_features, K) and bias (K,) in float64; the first of two classes gets a score of 0.

    The softmax of 0 and z is the sigmoid of z, so one graph serves any number of classes. Both tails stay exact.
    """
    coef = model.coef_.toarray() if is_sparse(model.coef_) else model.coef_
    coef, bias = np.asarray(coef, np.float64), np.asarray(model.intercept_, np.float64)
    if model.classes_.size == 2:
        coef, bias = np.vstack([np.zeros_like(coef), coef]), np.concatenate([[0.0], bias])
    return np.ascontiguousarray(coef.T), bias


def _labels(classes: Array) -> Array:
    """The classes in a type that ONNX has: text as objects, integers as int64."""
    if classes.dtype.kind in "iu" and np.array_equal(classes.astype(np.int64), classes):
        return classes.astype(np.int64)
    if classes.dtype.kind in "bf" and classes.dtype.itemsize <= 8:
        return classes
    if all(isinstance(label, str) for label in classes):
        return classes.astype(object)
    raise TypeError(
        f"the model's classes must be integers, text, bools or floats, for which ONNX has types; got {classes}"
    )


def _check_dtype(dtype: Any) -> np.dtype[Any]:
    try:
        taken: np.dtype[Any] = np.dtype(dtype)
    except TypeError:
        taken = np.dtype(object)
    if taken.kind not in "fiub" or taken.itemsize > 8:
        raise TypeError(f"dtype must be float32, float64, float16, bool or an integer type; got {dtype!r}")
    return taken
