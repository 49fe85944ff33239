"""What "auto" chooses: batch size, number of epochs, optimizer and learning rate."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..data.moments import curvature
from ..data.validation import is_sparse, raise_if_not_finite
from .problem import Problem

# The numbers below were chosen on the twelve sets of `python -m benchmarks defaults`, by loss, not by time.
# Samples of a batch: the least, the usual number, and the most where the samples are very many.
_LEAST_BATCH, _USUAL_BATCH, _LARGE_BATCH = 32, 64, 256
# Samples that all epochs visit together, and from how many samples on fewer epochs are enough.
_VISITS, _MANY_SAMPLES = 1_000_000, 20_000
_LEAST_EPOCHS, _MOST_EPOCHS_OF_MANY, _MOST_EPOCHS = 5, 10, 1000
# Momentum adds up ten gradients, and so ten times the noise. For several classes less of it counts: their losses are
# less curved than the bounds say.
_MOMENTUM_NOISE, _MOMENTUM_NOISE_OF_CLASSES = 10.0, 3.0
# Rates of optimizers whose steps don't depend on the gradient's size; adam's is for one feature.
_ADAGRAD_RATE, _ADAM_RATE = 0.1, 0.2
# Of so many features, some vary in few samples only, like pixels at the margin. These need step lengths of their own.
_MANY_FEATURES = 256


def is_auto(value: Any) -> bool:
    """Whether a parameter is "auto"; arrays, which can't be compared with text, aren't."""
    return isinstance(value, str) and value == "auto"


def auto_batch_size(m: int) -> int:
    """Samples of a batch; few samples have small batches, so that an epoch has several updates."""
    return min(m, max(_LEAST_BATCH, min(_USUAL_BATCH, m // 64), min(_LARGE_BATCH, m // 1024)))


def auto_epochs(m: int, full_batch: bool) -> int:
    """Epochs that visit a million samples, within bounds; 1000 for batch gradient descent."""
    if full_batch:
        return _MOST_EPOCHS
    most = _MOST_EPOCHS if m < _MANY_SAMPLES else _MOST_EPOCHS_OF_MANY
    return max(_LEAST_EPOCHS, min(most, -(-_VISITS // m)))


def auto_optimizer(X: Any) -> str:
    """Adam for dense rows of many features, else Nesterov's momentum, which skips features that sparse rows lack."""
    return "nesterov" if is_sparse(X) or X.shape[1] < _MANY_FEATURES else "adam"


def auto_learning_rate(problem: Problem, rng: np.random.Generator) -> float:
    """A learning rate at which training is stable, and fast.

    Stochastic gradient descent with batches of B samples contracts for rates up to  2 / (L + (T - L) / B).  L is the
    largest eigenvalue of the cost's Hessian. T is that of the mean squared Hessian of single losses, divided by L: at
    most the mean of their traces (Bottou, Curtis and Nocedal, "Optimization Methods for Large-Scale Machine Learning",
    2018, section 4.2; Ma, Bassily and Belkin, "The power of interpolation", 2018). The rate is half of that bound, with
    the penalty's curvature added to L.

    Momentum adds up ten gradients, and so ten times the noise. For softmax, three times are enough: most probabilities
    of several classes are far from 1/2, where a loss has the curvature that L and T assume.

    Steps of adagrad and adam have the size of the rate, which suits standardised features. One of adam's changes all n
    weights; the rate times the square root of n, by which scores then change, is the same for all n.
    """
    optimizer = problem.steps.optimizer
    if optimizer == "adagrad":
        return _ADAGRAD_RATE
    if optimizer == "adam":
        return _ADAM_RATE / math.sqrt(problem.X.shape[1])
    largest, trace = curvature(problem.X, problem.sample_weight, *problem.scaling, problem.fit_intercept, rng)
    noise = trace / problem.batch_size if problem.n_batches > 1 else 0.0
    if optimizer != "sgd":
        noise *= _MOMENTUM_NOISE if problem.n_classes is None else _MOMENTUM_NOISE_OF_CLASSES
    l2, _ = problem.steps.penalties
    bound = largest + l2 + noise
    if not np.isfinite(bound):
        raise_if_not_finite(problem.X)
        raise ValueError("X holds values so large that no learning rate is small enough: scale its columns")
    return 1 / bound if bound > 0 else 1.0
