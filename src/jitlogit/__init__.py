"""Logistic regression by gradient descent at the speed of memory."""

from . import plots, reference
from .compare import compare
from .functional import (
    accuracy,
    compute_cost,
    compute_gradients,
    forward_pass,
    predict,
    sigmoid,
    train_logistic_regression,
    update_parameters,
)
from .validation import bfloat16
from .warm import warmup

__all__ = [
    "accuracy",
    "bfloat16",
    "compare",
    "compute_cost",
    "compute_gradients",
    "forward_pass",
    "plots",
    "predict",
    "reference",
    "sigmoid",
    "train_logistic_regression",
    "update_parameters",
    "warmup",
]
