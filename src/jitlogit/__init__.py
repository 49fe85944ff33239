"""Logistic regression by gradient descent at the speed of memory.

Features, labels and options come in, as users have them. Parameters, fitted estimators and predictions go out.

Map of the rooms. A room imports only from rooms below it:

- `jitlogit.tools`, `jitlogit.estimators`: the command line, comparison and plots; classes as scikit-learn has them
- `textbook`, `optimum`: the functions of the text, on kernels; solvers for the minimum of the cost
- `training`: the loop over epochs
- `data`: checks of what users pass, and its conversion to rows that kernels take
- `kernels`: compiled loops over rows
- `compiler`, `reference`: everything that leans on Numba's inside; the equations in NumPy

Glossary:

- sample: one row of X (n_samples, n_features); error messages say "example" or "row"
- feature: one column of X
- class: what a label names; kernels number classes 0 ... K - 1
- score z: x . w + b; one for each sample with two classes, K for each sample with more
- probability A: sigmoid of a score, or softmax of K scores
- loss: -log of the probability of a sample's own class, in nats
- cost J: mean of the losses over samples
- residual dZ: A - Y, the derivative of a loss by its score
- gradient dW, db: derivatives of the cost by weights and bias
- update: one step of W and b
- epoch: one read of the training set, with updates
- pass: one read of X, without updates
- batch: the samples of one update
- team: the threads that compute an epoch together; its *members* are numbered from 0
- parallel region: code that all members of a team run at the same time
- barrier: a point that no member passes until all have reached it
- chunk: neighbouring rows that one member computes; the data's shape alone decides where they end
- tile: rows of a chunk that stay in the cache between their scores and their gradient
- span: neighbouring batches that the same members compute
"""

from importlib import import_module
from typing import Any

from . import reference
from .data.validation import bfloat16
from .textbook.binary import accuracy, forward_pass, predict, train_logistic_regression
from .textbook.equations import compute_cost, compute_gradients, sigmoid, update_parameters
from .textbook.softmax import forward_softmax, train_softmax_regression
from .tools import plots
from .tools.comparing.compare import compare
from .tools.learning_rate import learning_rate_finder
from .tools.warmup import warmup

__version__ = "0.1.0"  # the project file reads it from here

__all__ = [
    "__version__",
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

# scikit-learn is imported with the first use of an estimator, or of a function for estimators.
_ESTIMATORS = {
    "LogisticRegression": "estimators.logistic",
    "LogisticRegressionCV": "estimators.logistic_cv",
    "MiniBatchLogisticRegression": "estimators.mini_batch",
    "load": "estimators.saving",
    "to_onnx": "estimators.export",
}
# What few programs need, and what brings more modules with it. Like the estimators, it isn't in `__all__`, of which
# `import *` and documentation tools need each name at once.
_RARE = {"compare_steps": "tools.comparing.derivation"}


def __getattr__(name: str) -> Any:
    if name in _RARE:
        return getattr(import_module(f".{_RARE[name]}", __name__), name)
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
    return sorted([*globals(), *_ESTIMATORS, *_RARE])
