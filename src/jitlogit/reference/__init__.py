"""Logistic regression by gradient descent, as the textbook writes it, in NumPy.

This module is the specification: it is written to be read beside the derivation, and the compiled functions of the same
names in :mod:`jitlogit` are tested against it. NumPy arrays come in. Their shapes are checked, and the compiled
functions check values too. New arrays and numbers go out.

The system
----------
m samples, n features. X is (m, n), samples as rows; Y is (1, m) of 0 and 1; W is (n, 1) and b a scalar.

1. score              z = W . x + b                                  stacked: Z = (X W)^T + b, (1, m)
2. probability        y^ = sigmoid(z) = 1 / (1 + e^-z)               stacked: A, (1, m)
3. loss               L = -[y log y^ + (1 - y) log(1 - y^)]
4. cost               J = (1/m) sum L
5. chain rule         dL/dy^ = (y^ - y) / (y^ (1 - y^)),  dy^/dz = y^ (1 - y^),  dz/dW = x,  dz/db = 1;
                      the factors y^ (1 - y^) cancel:  dL/dW = (y^ - y) x  and  dL/db = y^ - y
6. gradient           dZ = A - Y;  dW = (1/m) X^T dZ^T, (n, 1);  db = (1/m) sum dZ
7. update             W := W - alpha dW,  b := b - alpha db

Sources: Ng, CS229 lecture notes, part II; Bishop, "Pattern Recognition and Machine Learning" (2006), section 4.3;
Bottou, Curtis and Nocedal, "Optimization Methods for Large-Scale Machine Learning" (2018) for mini-batches.
"""

from .failures import DIVERGED_COST, WORSE, WORSE_OF_BATCHES
from .multiclass import forward_softmax, softmax, train_softmax_regression
from .orders import BLOCK_ROWS, SMALL_SHUFFLE, shuffled_blocks, shuffled_order
from .steps import MOMENTUM, SCHEDULES, Mean, Optimizer, Plateau, scheduled_rate, soft_threshold
from .system import (
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
    "BLOCK_ROWS",
    "DIVERGED_COST",
    "MOMENTUM",
    "SCHEDULES",
    "SMALL_SHUFFLE",
    "WORSE",
    "WORSE_OF_BATCHES",
    "Mean",
    "Optimizer",
    "Plateau",
    "accuracy",
    "compute_cost",
    "compute_gradients",
    "forward_pass",
    "forward_softmax",
    "predict",
    "scheduled_rate",
    "shuffled_blocks",
    "shuffled_order",
    "sigmoid",
    "soft_threshold",
    "softmax",
    "train_logistic_regression",
    "train_softmax_regression",
    "update_parameters",
]
