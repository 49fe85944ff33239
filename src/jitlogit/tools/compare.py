"""The NumPy reference and the compiled kernels side by side on the same data."""

from __future__ import annotations

import math
import numbers
import platform
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from typing import Any

import numpy as np

from .. import reference
from ..compiler.threads import usual_threads
from ..data import validation
from ..data.prediction import losses_of
from ..data.scaling import scaled_features
from ..data.tables import columns_told
from ..data.validation import Array
from ..reference.descent import features, scores
from ..textbook import binary as functional
from .display import Table, shown_as_table

__all__ = ["Comparison", "ComparisonRow", "compare", "generate_data"]

DEFAULT_BATCH_SIZES = (1, 32, 256, 4096, None)


@dataclass(frozen=True)
class ComparisonRow:
    """Result for one batch size: seconds are per epoch, costs those of the trained parameters in nats.

    `diverged` says that the kernels' fit warned of divergence, or of an end above its first cost. Costs are computed
    from scores, so they have no upper limit; they are inf or NaN where scores overflow.
    """

    batch_size: int | None
    diverged: bool
    reference_seconds: float
    fast_seconds: float
    rows_per_second: float
    gigabytes_per_second: float
    reference_cost: float
    fast_cost: float
    largest_weight_difference: float
    train_accuracy: float
    test_accuracy: float
    reference_costs: list[float] = field(repr=False)
    fast_costs: list[float] = field(repr=False)

    @property
    def batch_label(self) -> str:
        return "full" if self.batch_size is None else str(self.batch_size)

    @property
    def speedup(self) -> float:
        return self.reference_seconds / self.fast_seconds


@shown_as_table
@dataclass(frozen=True, repr=False)
class Comparison:
    """Result of `compare`: the setting, and a row for each batch size. It prints as a table, in notebooks too."""

    n_train: int
    n_test: int
    n_features: int
    dtype: str
    epochs: int
    learning_rate: float
    n_threads: int
    rows: list[ComparisonRow]

    @property
    def title(self) -> str:
        return (
            f"{self.n_train:,} x {self.n_features:,} {self.dtype} ({self.n_test:,} test rows), {self.epochs} epochs, "
            f"learning rate {self.learning_rate:g}, {self.n_threads} threads"
        )

    def table(self) -> Table:
        """Seconds of an epoch, throughput, final costs, accuracies of the kernels, for each batch size."""
        rows = self.rows
        columns = {
            "batch": [row.batch_label for row in rows],
            "numpy s/epoch": [f"{row.reference_seconds:.5f}" for row in rows],
            "numba s/epoch": [f"{row.fast_seconds:.5f}" for row in rows],
            "speed-up": [f"{row.speedup:.1f}x" for row in rows],
            "Mrows/s": [f"{row.rows_per_second / 1e6:.2f}" for row in rows],
            "GB/s": [f"{row.gigabytes_per_second:.2f}" for row in rows],
            "numpy cost": [_cost_text(row.reference_cost) for row in rows],
            "numba cost": [_cost_text(row.fast_cost) for row in rows],
            "max |dW|": [f"{row.largest_weight_difference:.1e}" for row in rows],
            "train acc": [f"{row.train_accuracy:.4f}" for row in rows],
            "test acc": [f"{row.test_accuracy:.4f}" for row in rows],
            "note": ["diverged" if row.diverged else "" for row in rows],
        }
        return Table(self.title, columns, words=["note"])

    def to_dict(self) -> dict[str, Any]:
        """Return all fields, versions and the machine as objects that JSON can hold."""
        result = asdict(self)
        for row, values in zip(self.rows, result["rows"], strict=True):
            values["speedup"] = row.speedup
            for name, value in values.items():
                # JSON has neither NaN (accuracy without test rows) nor inf (cost after divergence).
                if isinstance(value, float) and not math.isfinite(value):
                    values[name] = None
        result["versions"] = {"python": platform.python_version(), "numpy": np.__version__, "numba": version("numba")}
        result["machine"] = platform.processor() or platform.machine()
        return result


def _cost_text(cost: float) -> str:
    """Six decimals; of a cost of 100 and more, which may have any size, six digits."""
    return f"{cost:.6f}" if cost < 100 else f"{cost:.6g}"


def compare(
    X: Any = None,
    Y: Any = None,
    *,
    batch_sizes: Sequence[int | None] = DEFAULT_BATCH_SIZES,
    epochs: int = 3,
    learning_rate: float = 0.01,
    test_size: float = 0.2,
    standardize: bool = False,
    dtype: Any = None,
    n_threads: int | None = None,
    random_state: Any = 0,
    on_progress: Callable[[str], None] | None = None,
) -> Comparison:
    """Train the NumPy reference and the compiled kernels on the same data, and compare times, costs and parameters.

    For each batch size, the two run one after the other in this process, and record the cost of each epoch. Kernels are
    compiled before anything is timed. A fit that takes less than half a second is repeated, and the median is taken.

    Parameters
    ----------
    X : array_like (n_samples, n_features), optional
        None for generated data, 200,000 x 100 of float32.
    Y : array_like (n_samples,), (1, n_samples) or (n_samples, 1)
        Labels 0 and 1.
    batch_sizes : sequence of int or None
        None is batch gradient descent.
    epochs : int
        Passes over the training samples, for each batch size.
    learning_rate : float
        Factor of the gradient of the mean loss over a batch.
    test_size : float
        Fraction of the samples, drawn at random, that are kept for the test accuracy; 0 for none (accuracy is NaN).
    standardize : bool
        Whether to shift and scale the features to mean 0 and variance 1 over the training samples.
    dtype : float32 or float64, optional
        Precision to train in; None for that of `X`.
    n_threads : int, optional
        Threads of the kernels; the reference uses as many as NumPy's BLAS is set to.
    random_state : int
        Seed of the split, the generated data and the shuffles.
    on_progress : callable, optional
        Called with a line of text before each fit.

    Returns
    -------
    Comparison

    Raises
    ------
    ValueError, TypeError
        If an argument has the wrong shape, type or value.

    Warns
    -----
    RuntimeWarning, UserWarning
        As `train_logistic_regression`, from the reference and from the kernels.

    Examples
    --------
    >>> import numpy as np
    >>> import jitlogit
    >>> X = np.random.default_rng(0).standard_normal((50, 2))
    >>> result = jitlogit.compare(X, X[:, 0] > 0, batch_sizes=[10], epochs=2)
    >>> result.n_train, result.n_test
    (40, 10)
    >>> row = result.rows[0]
    >>> row.batch_label, row.largest_weight_difference < 1e-12
    ('10', True)

    Printed, a result is a table; ``result.to_dict()`` suits JSON:

    >>> print(result)
    40 x 2 float64 (10 test rows), 2 epochs, learning rate 0.01, ... threads
    ...
    """
    if not isinstance(random_state, numbers.Integral):
        raise TypeError(f"random_state must be an integer, so that both walk the same batches; got {random_state!r}")
    rng = validation.check_random_state(random_state)
    if X is None:
        if Y is not None:
            raise ValueError("Y was given without X")
        X, Y = generate_data(rng)
    elif Y is None:
        raise ValueError("X was given without Y: pass the labels too")
    table, X = X, validation.check_X(X)
    with columns_told(table):
        validation.raise_if_not_finite(X)
    labels = validation.check_labels(Y, X.shape[0])
    epochs = validation.check_count(epochs, "epochs")
    learning_rate = validation.check_positive(learning_rate, "learning_rate")
    n_threads = validation.check_n_threads(n_threads)
    if dtype is not None and np.dtype(dtype) not in (np.float32, np.float64):
        raise ValueError(f"dtype must be float32 or float64; got {dtype!r}")
    if not isinstance(batch_sizes, Iterable) or not (batch_sizes := list(batch_sizes)):
        raise ValueError(f"batch_sizes must hold batch sizes (None for batch gradient descent); got {batch_sizes!r}")
    X_train, Y_train, X_test, Y_test = _split(X, labels, validation.check_fraction(test_size, "test_size"), rng)
    if dtype is not None:
        X_train, X_test = (validation.check_X(part.astype(dtype)) if len(part) else part for part in (X_train, X_test))
    if standardize:
        X_train, X_test = _standardize(X_train, X_test)
    m = X_train.shape[0]
    checked = [None if size is None else validation.check_batch_size(size, m) for size in batch_sizes]
    sizes = list(dict.fromkeys(checked))  # without the duplicates that clipping makes
    rows: list[ComparisonRow] = []
    tell = on_progress or (lambda text: None)
    for number, size in enumerate(sizes, start=1):
        label = f"[{number}/{len(sizes)}] batch size {'full' if size is None else size}"
        arguments: dict[str, Any] = {"learning_rate": learning_rate, "num_iterations": epochs, "record_every": 1}
        arguments |= {"batch_size": size, "random_state": random_state}
        rows.append(_compare_batch_size(X_train, Y_train, X_test, Y_test, arguments, n_threads, tell, label))
    return Comparison(
        n_train=X_train.shape[0],
        n_test=X_test.shape[0],
        n_features=X_train.shape[1],
        dtype=str(X_train.dtype),
        epochs=epochs,
        learning_rate=learning_rate,
        n_threads=n_threads or usual_threads(),
        rows=rows,
    )


def generate_data(rng: np.random.Generator, n_samples: int = 200_000, n_features: int = 100) -> tuple[Array, Array]:
    """Draw standard normal X (m, n) of float32, and labels Y (1, m) of int64 that follow a logistic model."""
    X = rng.standard_normal((n_samples, n_features), dtype=np.float32)
    weights = rng.standard_normal((n_features, 1)) * (3 / np.sqrt(n_features))
    probabilities = reference.forward_pass(X, weights.astype(np.float32), 0.5)
    return X, (rng.random((1, n_samples)) < probabilities).astype(np.int64)


def _compare_batch_size(
    X: Array,
    Y: Array,
    X_test: Array,
    Y_test: Array,
    arguments: dict[str, Any],
    n_threads: int | None,
    tell: Callable[[str], None],
    label: str,
) -> ComparisonRow:
    def train_fast(**changes: Any) -> tuple[Array, float, list[float]]:
        return functional.train_logistic_regression(X, Y, **(arguments | changes), n_threads=n_threads)

    tell(f"{label}: compiling")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # the timed fit below repeats a warning of divergence
        train_fast(num_iterations=1)
    tell(f"{label}: NumPy reference")
    (W, b, costs), seconds, _ = _timed(lambda: reference.train_logistic_regression(X, Y, **arguments))
    tell(f"{label}: Numba kernels")
    time.sleep(0.05)  # NumPy's BLAS threads spin for a while after their last product
    (W_fast, b_fast, costs_fast), seconds_fast, diverged = _timed(train_fast)
    epochs = max(1, len(costs_fast))
    per_second = epochs / seconds_fast
    return ComparisonRow(
        batch_size=arguments["batch_size"],
        diverged=diverged,
        reference_seconds=seconds / max(1, len(costs)),
        fast_seconds=seconds_fast / epochs,
        rows_per_second=X.shape[0] * per_second,
        gigabytes_per_second=X.nbytes * per_second / 1e9,
        reference_cost=_cost(X, Y, W, b),
        fast_cost=_cost(X, Y, W_fast, b_fast),
        largest_weight_difference=float(np.max(np.abs(W - W_fast))),
        train_accuracy=functional.accuracy(functional.predict(X, W_fast, b_fast), Y),
        test_accuracy=(
            functional.accuracy(functional.predict(X_test, W_fast, b_fast), Y_test) if len(X_test) else float("nan")
        ),
        reference_costs=costs,
        fast_costs=costs_fast,
    )


def _cost(X: Array, Y: Array, W: Array, b: float) -> float:
    """Mean loss from the scores, because a loss from a probability rounded to 0 or 1 ends at 36 nats (in float64)."""
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        Z = scores(features(X, None, None), W, b)
        return float(np.mean(losses_of(Z, Y), dtype=np.float64))


def _timed(fit: Callable[[], Any], budget: float = 0.5, most: int = 5) -> tuple[Any, float, bool]:
    """Return the fit's result, the median seconds of its runs, and whether it warned of divergence.

    Runs are repeated, `most` times at most, while they have taken less than `budget` seconds together. Costs can't tell
    whether the last epoch diverged, because each is recorded before its update.
    """
    seconds: list[float] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        while not seconds or (sum(seconds) < budget and len(seconds) < most):
            start = time.perf_counter()
            result = fit()
            seconds.append(time.perf_counter() - start)
            warnings.simplefilter("ignore")  # repeated runs repeat their warnings
    for warning in caught:
        warnings.warn(warning.message, warning.category, stacklevel=4)  # shown at the caller of `compare`
    diverged = any(issubclass(warning.category, RuntimeWarning) for warning in caught)
    return result, float(np.median(seconds)), diverged


def _split(X: Array, labels: Array, test_size: float, rng: np.random.Generator) -> tuple[Array, Array, Array, Array]:
    m = X.shape[0]
    n_test = round(m * test_size)
    if n_test >= m:
        raise ValueError(f"test_size={test_size:g} leaves no training rows of {m}: choose a smaller one")
    if n_test == 0:
        return X, labels, X[:0], labels[:0]
    order = rng.permutation(m)
    test, training = order[:n_test], order[n_test:]
    return validation.check_X(X[training]), labels[training], validation.check_X(X[test]), labels[test]


def _standardize(X_train: Array, X_test: Array) -> tuple[Array, Array]:
    mean = X_train.mean(axis=0, dtype=np.float64)
    scale = X_train.std(axis=0, dtype=np.float64)
    scale[scale <= np.finfo(np.float64).eps * np.abs(mean)] = 1  # constant columns
    dtype = X_train.dtype
    train, test = (scaled_features(part, mean.astype(dtype), scale.astype(dtype)) for part in (X_train, X_test))
    return validation.check_X(train), validation.check_X(test) if len(test) else test
