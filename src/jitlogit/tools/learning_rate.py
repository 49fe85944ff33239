"""The range test of learning rates: which ones lower the loss."""

# Without postponed annotations, which documentation tools can't resolve for the fields of a named tuple.

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..data import validation as check
from ..data.moments import RunningMoments
from ..data.tables import columns_told, count_missing, missing_error
from ..data.validation import Array
from ..kernels.steps.update import OPTIMIZERS
from ..training.defaults import auto_batch_size, auto_learning_rate, is_auto
from ..training.loop import train
from ..training.problem import Problem, Steps
from .display import Table, shown_as_table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_STEPS = 80  # learning rates
_BATCHES_A_STEP = 10
_LOWEST, _HIGHEST = 1e-4, 1e3  # learning rates, as multiples of the one that "auto" would choose
_SMOOTHING = 0.7  # weight of the loss before in the running mean
_FAILED = 4.0  # multiple of the lowest loss at which the test ends
_EVERY = 8  # of so many rates, a table shows one


@shown_as_table
class RangeTest(NamedTuple):
    """Result of `learning_rate_finder`. It prints as a table, in notebooks too.

    `rates` and `losses` are (n_rates,) of float64, a loss being the running mean at its rate, in nats. `suggested` is a
    tenth of the rate with the lowest loss.
    """

    rates: Array
    losses: Array
    suggested: float

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """See `jitlogit.plots.plot_range_test`."""
        from .plots import plot_range_test

        return plot_range_test(self.rates, self.losses, self.suggested, ax)

    def table(self) -> Table:
        """Every eighth rate and its loss, the last one, and the one with the lowest loss."""
        last, lowest = len(self.losses) - 1, int(np.argmin(self.losses))
        shown = sorted({*range(0, last, _EVERY), lowest, last})
        columns = {
            "learning rate": [f"{self.rates[i]:.3g}" for i in shown],
            "loss (nats)": [f"{self.losses[i]:.4f}" for i in shown],
            "note": ["lowest" if i == lowest else "" for i in shown],
        }
        title = f"suggested learning rate {self.suggested:.3g}, a tenth of the one with the lowest loss"
        return Table(f"{title}; {len(shown)} of {last + 1} rates", columns, words=["note"])


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
    """Train at ever higher learning rates until the loss has risen to four times its lowest.

    There are 80 rates in a geometric sequence, each used for ten batches of random samples. Parameters carry over from
    rate to rate, the optimizer's state doesn't. Source: Smith, "Cyclical learning rates for training neural networks",
    2017.

    Parameters
    ----------
    X : array_like, data frame or SciPy sparse array (n_samples, n_features)
        Used as in `MiniBatchLogisticRegression`.
    y : array_like (n_samples,)
        Labels of two classes or more.
    batch_size, optimizer, standardize, alpha, n_threads
        As in `MiniBatchLogisticRegression`.
    random_state : None, int, SeedSequence or numpy.random.Generator
        Draws the samples, and those for the range of rates.

    Returns
    -------
    RangeTest
        Fields `rates`, `losses` (smoothed, in nats) and `suggested`; ``.plot()`` draws them.

    Raises
    ------
    ValueError, TypeError
        If an argument can't be used.

    Examples
    --------
    >>> import numpy as np
    >>> import jitlogit
    >>> X = np.random.default_rng(0).standard_normal((40, 2))
    >>> test = jitlogit.learning_rate_finder(X, X[:, 0] > 0, batch_size=10, random_state=0)
    >>> bool(test.rates[0] < test.suggested < test.rates[-1])
    True
    >>> bool(test.suggested == test.rates[test.losses.argmin()] / 10)
    True
    """
    table, X = X, check.check_rows(X)
    classes, places = _classes_and_places(y)
    if places.size != X.shape[0] or classes.size < 2:
        raise ValueError(
            f"y must hold one label for each of the {X.shape[0]} examples, of two kinds at least; got {places.size} of "
            f"{classes.size}"
        )
    size = auto_batch_size(X.shape[0]) if is_auto(batch_size) else check.check_batch_size(batch_size, X.shape[0])
    steps = Steps(
        check.check_choice(optimizer, "optimizer", OPTIMIZERS), alpha=check.check_not_negative(alpha, "alpha")
    )
    rng = check.check_random_state(random_state)
    threads = check.check_n_threads(n_threads)
    seen = RunningMoments(class_weights=np.zeros(classes.size))
    with columns_told(table):
        seen = seen.after(X, places, None, check.check_bool(standardize, "standardize"), threads)
        offset, scale = seen.mean_and_scale()
        n_classes = None if classes.size == 2 else classes.size
        problem = Problem(X, places, size, offset=offset, scale=scale, steps=steps, n_classes=n_classes)
        return _range_test(problem, rng, threads)


def _classes_and_places(y: Any) -> tuple[Array, Array]:
    """The sorted classes, and the place of each label among them; raises ValueError for missing or continuous ones."""
    labels = np.asarray(y).reshape(-1)
    try:
        classes, places = np.unique(labels, return_inverse=True)
    except TypeError as error:  # labels that can't be sorted
        missing = count_missing(labels)
        raise (missing_error(missing, labels.size, "y") if missing else error) from None
    if count_missing(classes):
        raise missing_error(count_missing(labels), labels.size, "y")
    if classes.dtype.kind == "f" and not (np.isfinite(classes) & (classes == np.floor(classes))).all():
        raise ValueError(f"y must hold labels of classes; it holds numbers that aren't whole, e.g. {classes[0]:g}")
    return classes, places


def _range_test(problem: Problem, rng: np.random.Generator, threads: int | None) -> RangeTest:
    """Train at rates around the one that "auto" would choose; `problem` has places among the classes as labels."""
    X, places, size, n_classes = problem.X, problem.labels, problem.batch_size, problem.n_classes or 2
    parameters = np.zeros((problem.n_scores, X.shape[1] + 1))
    rates = auto_learning_rate(problem, rng) * np.geomspace(_LOWEST, _HIGHEST, _STEPS)
    losses: list[float] = []
    smoothed = lowest = np.log(n_classes)
    for rate in rates:
        chosen = np.sort(rng.choice(X.shape[0], min(X.shape[0], _BATCHES_A_STEP * size), replace=False))
        labels, _ = check.check_class_labels(places[chosen], chosen.size, n_classes)
        part = problem._replace(
            X=check.check_rows(X[chosen]),
            labels=labels if n_classes > 2 else check.check_labels(places[chosen], chosen.size),
            batch_size=min(size, chosen.size),
            initial=parameters,
        )
        result = train(part, float(rate), 1, rng, threads)
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
