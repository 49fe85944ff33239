"""Logistic regression by gradient descent at the speed of memory.

Rooms of the package, each of which imports only from those below it:

- `tools`, `estimators`: what people run and look at; classes as scikit-learn has them;
- `textbook`, `optimum`: the functions of the text; the minimum of the cost, and how far it is;
- `training`: the loop over epochs;
- `data`: whatever users pass becomes rows that kernels take;
- `kernels`: compiled loops over rows;
- `compiler`, `reference`: the inside of Numba; the equations in NumPy.

Words: *score* z, *probability* A, *loss* of an example, *cost* J, the mean of the losses, *residual* A - Y, *gradient*
dW and db. An *update* changes W and b once, an *epoch* updates by all examples, a *pass* reads X without updates. A
*team* of threads has *members*, which share out *chunks* of rows in a *parallel region* and wait for each other at a
*barrier*; a *tile* of rows stays in the cache; a *span* of batches is done by the same members.
"""

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
    "LogisticRegression": "estimators.logistic",
    "LogisticRegressionCV": "estimators.logistic_cv",
    "MiniBatchLogisticRegression": "estimators.mini_batch",
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
