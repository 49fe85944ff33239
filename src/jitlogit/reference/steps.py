"""From the gradient of a mini-batch to an update: optimizers, the proximal step, schedules, averages."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

SCHEDULES = ("constant", "invscaling", "cosine", "step", "adaptive")
MOMENTUM = 0.9  #: Factor of the sum of earlier gradients in an update.
ADAM_MEAN = 0.9  #: Factor of the earlier running mean of gradients.
ADAM_SQUARE = 0.999  #: Factor of the earlier running mean of squared gradients.
ROOT_SHIFT = 1e-8  #: Added to roots of squares, so that nothing is divided by zero.


class Optimizer:
    """Turn gradients into steps; the update then is  parameters := parameters - learning_rate * step.

    With g the gradient, v and q vectors that start at zero and t = 1, 2, ... the number of the update:

    - "sgd": step g;
    - "momentum": v := 0.9 v + g; step v (Polyak, "Some methods of speeding up the convergence of iteration methods",
      1964);
    - "nesterov": v as before; step g + 0.9 v (Sutskever et al., "On the importance of initialization and momentum in
      deep learning", 2013, in the form that is evaluated where the parameters are);
    - "adagrad": q := q + g^2; step g / (sqrt(q) + 1e-8) (Duchi, Hazan and Singer, "Adaptive subgradient methods for
      online learning and stochastic optimization", 2011);
    - "adam": v := 0.9 v + 0.1 g; q := 0.999 q + 0.001 g^2; step v / (1 - 0.9^t) / (sqrt(q / (1 - 0.999^t)) + 1e-8)
      (Kingma and Ba, "Adam: a method for stochastic optimization", 2015).

    Parameters
    ----------
    name : "sgd", "momentum", "nesterov", "adagrad" or "adam"

    Examples
    --------
    >>> import numpy as np
    >>> from jitlogit import reference
    >>> momentum = reference.Optimizer("momentum")
    >>> [round(float(momentum.step(np.ones(1))[0][0]), 2) for _ in range(3)]  # steps for a gradient of 1
    [1.0, 1.9, 2.71]
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._t = 0
        self._v: Any = 0.0
        self._q: Any = 0.0

    def update(
        self, W: Array, b: Array, dW: Array, db: Array, rate: float, alpha: float, l1_ratio: float
    ) -> tuple[Array, Array]:
        """Step along the gradient of cost and L2 penalty, then the proximal step of the L1 penalty; b has neither.

        Parameters
        ----------
        W, dW : (n, K)
        b, db : (K,)
        rate : float
            The learning rate of this update.
        alpha, l1_ratio : float
            As in `train_logistic_regression`.

        Returns
        -------
        W : (n, K)
        b : (K,)

        Examples
        --------
        >>> import numpy as np
        >>> from jitlogit import reference
        >>> W, b, dW, db = np.array([[1.0]]), np.zeros(1), np.array([[2.0]]), np.array([1.0])
        >>> reference.Optimizer("sgd").update(W, b, dW, db, rate=0.5, alpha=0.0, l1_ratio=0.0)
        (array([[0.]]), array([-0.5]))
        """
        step, factor = self.step(np.vstack([dW + alpha * (1 - l1_ratio) * W, db]))
        W = soft_threshold(W - rate * step[:-1], rate * factor[:-1] * alpha * l1_ratio)
        return W, b - rate * step[-1]

    def step(self, g: Array) -> tuple[Array, Array]:
        """Return the step, and the factor that turns a gradient that has always been the same into it, by parameter.

        Parameters
        ----------
        g : array of any shape, the same in each call
            The gradient.

        Returns
        -------
        step, factor : arrays of g's shape

        Examples
        --------
        >>> import numpy as np
        >>> from jitlogit import reference
        >>> step, factor = reference.Optimizer("adam").step(np.array([0.001, 1000.0]))
        >>> step.round(4)  # the first step of adam has nearly the same size for any gradient
        array([1., 1.])
        """
        one = np.ones_like(g)
        self._t += 1
        if self._name == "sgd":
            return g, one
        if self._name == "momentum":
            self._v = MOMENTUM * self._v + g
            return self._v, one * (1 - MOMENTUM**self._t) / (1 - MOMENTUM)
        if self._name == "nesterov":
            self._v = MOMENTUM * self._v + g
            return g + MOMENTUM * self._v, one * (1 - MOMENTUM ** (self._t + 1)) / (1 - MOMENTUM)
        if self._name == "adagrad":
            self._q = self._q + g**2
            size = one / (np.sqrt(self._q) + ROOT_SHIFT)
            return size * g, size
        self._v = ADAM_MEAN * self._v + (1 - ADAM_MEAN) * g
        self._q = ADAM_SQUARE * self._q + (1 - ADAM_SQUARE) * g**2
        size = one / (np.sqrt(self._q / (1 - ADAM_SQUARE**self._t)) + ROOT_SHIFT)
        return size * self._v / (1 - ADAM_MEAN**self._t), size


def soft_threshold(W: Array, threshold: Any) -> Array:
    """Proximal step of the L1 norm: each weight moves toward zero by the threshold, and stops there.

    For a step of the parameters by  rate * factor * gradient,  the threshold is  rate * factor * (strength of the
    norm),  and weights become exactly zero (Parikh and Boyd, "Proximal Algorithms", 2014, section 4.2; by parameter, as
    in Duchi, Hazan and Singer, 2011).

    Parameters
    ----------
    W : array of any shape
    threshold : float, or array of W's shape
        Not negative.

    Returns
    -------
    array of W's shape

    Examples
    --------
    >>> import numpy as np
    >>> from jitlogit import reference
    >>> reference.soft_threshold(np.array([-2.0, 0.25, 1.0]), 0.5)
    array([-1.5,  0. ,  0.5])
    """
    return np.asarray(np.sign(W) * np.maximum(np.abs(W) - threshold, 0))


def scheduled_rate(schedule: str, epoch: float, n_epochs: int) -> float:
    """The learning rate after `epoch` of n_epochs epochs, as a fraction of the first.

    - "constant" and "adaptive": 1 (`Plateau` lowers the latter);
    - "invscaling": 1 / sqrt(1 + epoch);
    - "cosine": (1 + cos(pi epoch / n_epochs)) / 2 (Loshchilov and Hutter, "SGDR", 2017);
    - "step": 1, from half of the epochs on 1/10, from three quarters on 1/100.

    Within an epoch, the rate goes in a straight line from its start to its end; "step" changes between epochs.

    Parameters
    ----------
    schedule : one of the names above
    epoch : float
        Epochs done so far; 1.5 is half way through the second.
    n_epochs : int
        Epochs of the whole training.

    Returns
    -------
    float
        From 0 to 1.

    Examples
    --------
    >>> from jitlogit import reference
    >>> [round(reference.scheduled_rate("cosine", epoch, 4), 3) for epoch in range(5)]
    [1.0, 0.854, 0.5, 0.146, 0.0]
    >>> [round(reference.scheduled_rate("step", epoch, 4), 3) for epoch in range(4)]
    [1.0, 1.0, 0.1, 0.01]
    """
    whole = math.floor(epoch)
    if schedule == "step":
        return float(0.1 ** ((2 * whole >= n_epochs) + (4 * whole >= 3 * n_epochs)))
    if schedule in ("constant", "adaptive"):
        return 1.0
    start, end = (_decayed(schedule, at, n_epochs) for at in (whole, whole + 1))
    return start + (epoch - whole) * (end - start)


def _decayed(schedule: str, epoch: int, n_epochs: int) -> float:
    if schedule == "invscaling":
        return 1 / math.sqrt(1 + epoch)
    return (1 + math.cos(math.pi * epoch / n_epochs)) / 2


class Plateau:
    """Notices that the cost hasn't fallen by `TOLERANCE` nats below its best for `PATIENCE` epochs.

    The learning rate is then divided by `DIVISOR`.

    Examples
    --------
    >>> from jitlogit import reference
    >>> plateau = reference.Plateau()
    >>> [plateau.reached(cost) for cost in (0.6, 0.5, 0.5, 0.5)]
    [False, False, False, True]
    """

    PATIENCE: ClassVar[int] = 2
    TOLERANCE: ClassVar[float] = 1e-4
    DIVISOR: ClassVar[float] = 5.0

    def __init__(self) -> None:
        self._best = math.inf
        self._failed = 0

    def reached(self, cost: float) -> bool:
        """Add the cost of an epoch, in nats; return whether the plateau is reached."""
        self._failed = 0 if cost < self._best - self.TOLERANCE else self._failed + 1
        self._best = min(self._best, cost)
        if self._failed < self.PATIENCE:
            return False
        self._failed = 0
        return True


class Mean:
    """Running mean of vectors or matrices, all of the same shape.

    `value` is the mean so far, of that shape, and `count` how many were added.

    Examples
    --------
    >>> import numpy as np
    >>> from jitlogit import reference
    >>> mean = reference.Mean()
    >>> for vector in ([1.0, 2.0], [3.0, 6.0]):
    ...     mean.add(np.array(vector))
    >>> mean.value, mean.count
    (array([2., 4.]), 2)
    """

    def __init__(self) -> None:
        self.count = 0
        self.value: Any = 0.0

    def add(self, vector: Array) -> None:
        """Add an array of the same shape as the ones before."""
        self.count += 1
        self.value = self.value + (vector - self.value) / self.count
