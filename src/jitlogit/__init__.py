"""Logistic regression by gradient descent at the speed of memory."""

from . import reference
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

__all__ = [
    "accuracy",
    "compute_cost",
    "compute_gradients",
    "forward_pass",
    "predict",
    "reference",
    "sigmoid",
    "train_logistic_regression",
    "update_parameters",
]
