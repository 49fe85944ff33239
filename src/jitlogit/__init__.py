"""Logistic regression by gradient descent at the speed of memory."""

from importlib import import_module
from typing import Any

from . import reference
from .data.validation import bfloat16
from .textbook.binary import (
    accuracy,
    compute_cost,
    compute_gradients,
    forward_pass,
    predict,
    sigmoid,
    train_logistic_regression,
    update_parameters,
)
from .textbook.softmax import forward_softmax, train_softmax_regression
from .tools import plots
from .tools.compare import compare
from .tools.learning_rate import learning_rate_finder
from .tools.warmup import warmup

__all__ = [
    "accuracy",
    "bfloat16",
    "compare",
    "compute_cost",
    "compute_gradients",
    "forward_pass",
    "forward_softmax",
    "learning_rate_finder",
    "plots",
    "predict",
    "reference",
    "sigmoid",
    "train_logistic_regression",
    "train_softmax_regression",
    "update_parameters",
    "warmup",
]

# scikit-learn is imported with the first use of an estimator.
_ESTIMATORS = {
    "LogisticRegression": "logistic",
    "LogisticRegressionCV": "path",
    "MiniBatchLogisticRegression": "estimators",
}


def __getattr__(name: str) -> Any:
    if name in _ESTIMATORS:
        try:
            return getattr(import_module(f".{_ESTIMATORS[name]}", __name__), name)
        except ImportError as error:
            raise ImportError(
                "the estimators need scikit-learn of at least 1.6, which isn't installed: "
                "pip install 'jitlogit[sklearn]'"
            ) from error
    raise AttributeError(f"module 'jitlogit' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_ESTIMATORS])
