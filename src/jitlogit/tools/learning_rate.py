"""Which learning rates train: the range test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..data import validation as check
from ..data.validation import Array
from ..kernels.steps.update import OPTIMIZERS
from ..training.defaults import RunningMoments, auto_batch_size, auto_learning_rate
from ..training.fits import Steps
from ..training.loop import train

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_STEPS = 80
_BATCHES_A_STEP = 10
_LOWEST, _HIGHEST = 1e-4, 1e3  # of the rate that "auto" would choose
_SMOOTHING = 0.7
_FAILED = 4.0


class RangeTest(NamedTuple):
    """What the range test found."""

    rates: Array
    losses: Array  # at each rate, smoothed
    suggested: float  # a tenth of the rate of the lowest loss

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw losses over rates, with the suggested rate; needs the extra ``plot``."""
        from .plots import plot_range_test

        return plot_range_test(self.rates, self.losses, self.suggested, ax)


def learning_rate_finder(
    X: Any,
    y: Any,
    *,
    batch_size: Any = 64,
    optimizer: str = "sgd",
    standardize: bool = True,
    alpha: float = 0.0,
    random_state: Any = None,
    n_threads: int | None = None,
) -> RangeTest:
    """Train for a while at ever higher learning rates, until the loss rises (Smith, "Cyclical learning rates for
    training neural networks", 2017).

    There are 80 rates in a geometric row, each for ten batches of random rows. An optimizer that remembers gradients
    starts anew with each rate.

    Parameters
    ----------
    X : array_like, data frame or SciPy sparse array (n_samples, n_features)
        Used as in `MiniBatchLogisticRegression`.
    y : array_like (n_samples,)
        Labels of two kinds or more.
    batch_size, optimizer, standardize, alpha, n_threads
        As in `MiniBatchLogisticRegression`.
    random_state : None, int, SeedSequence or numpy.random.Generator

    Returns
    -------
    RangeTest
        Learning rates, losses, and a suggestion; ``.plot()`` draws them.

    Raises
    ------
    ValueError, TypeError
        If an argument can't be used.
    """
    X = check.check_rows(X)
    classes, places = np.unique(np.asarray(y).reshape(-1), return_inverse=True)
    if places.size != X.shape[0] or classes.size < 2:
        raise ValueError(
            f"y must hold one label for each of the {X.shape[0]} examples, of two kinds at least; got {places.size} of "
            f"{classes.size}"
        )
    auto = isinstance(batch_size, str) and batch_size == "auto"
    size = auto_batch_size(X.shape[0]) if auto else check.check_batch_size(batch_size, X.shape[0])
    steps = Steps(
        check.check_choice(optimizer, "optimizer", OPTIMIZERS), alpha=check.check_not_negative(alpha, "alpha")
    )
    rng = check.check_random_state(random_state)
    threads = check.check_n_threads(n_threads)
    seen = RunningMoments(class_weights=np.zeros(classes.size))
    seen = seen.after(X, places, None, check.check_bool(standardize, "standardize"), threads)
    offset, scale = seen.mean_and_scale()
    usual = auto_learning_rate(X, None, offset, scale, True, optimizer, steps.alpha, size, classes.size == 2, rng)
    count = 1 if classes.size == 2 else classes.size
    parameters = np.zeros((count, X.shape[1] + 1))
    rates = usual * np.geomspace(_LOWEST, _HIGHEST, _STEPS)
    losses: list[float] = []
    smoothed = lowest = np.log(classes.size)
    for rate in rates:
        chosen = np.sort(rng.choice(X.shape[0], min(X.shape[0], _BATCHES_A_STEP * size), replace=False))
        labels, _ = check.check_class_labels(places[chosen], chosen.size, classes.size)
        result = train(
            check.check_rows(X[chosen]),
            labels if classes.size > 2 else check.check_labels(places[chosen], chosen.size),
            learning_rate=float(rate),
            n_epochs=1,
            batch_size=min(size, chosen.size),
            rng=rng,
            shuffle=True,
            record_every=1,
            n_threads=threads,
            offset=offset,
            scale=scale,
            steps=steps,
            initial=parameters,
            name="X",
            n_classes=None if classes.size == 2 else classes.size,
        )
        if result.diverged or not result.costs:
            break
        smoothed = _SMOOTHING * smoothed + (1 - _SMOOTHING) * result.costs[0]
        losses.append(smoothed)
        if smoothed > _FAILED * lowest:
            break
        lowest = min(lowest, smoothed)
        parameters = np.column_stack([result.weights, result.bias]).astype(np.float64)
    used = rates[: len(losses)]
    return RangeTest(used, np.array(losses), float(used[int(np.argmin(losses))] / 10))
