"""The NumPy reference and the compiled kernels side by side on the same data."""

from __future__ import annotations

import math
import numbers
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ... import reference
from ...compiler.threads import usual_threads
from ...data import validation
from ...data.prediction import losses_of
from ...data.scaling import scaled_features
from ...data.tables import columns_told
from ...data.validation import Array, computed_dtype
from ...reference.descent import features, scores
from ...textbook import binary as textbook
from ...training import packing
from .comparison import TOLERANCE, Comparison, ComparisonRow, Differences, RivalRow
from .rivals import compare_rival, require_rivals
from .turns import Ratio, in_turn, read_seconds

__all__ = ["Comparison", "ComparisonRow", "compare", "generate_data"]

DEFAULT_BATCH_SIZES = (1, 32, 256, 4096, None)
# Seconds above which a fit of the reference is repeated on a part of the rows only.
_LONG = 0.5

Fitted = tuple[Any, float, list[float]]  # W (n, 1), b and costs


class _Data(NamedTuple):
    """Rows X (m, n) and labels Y (m,) for training, and those for the test accuracy, of which there may be none."""

    X: Array
    Y: Array
    X_test: Array
    Y_test: Array


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
    rivals: Sequence[str] = (),
    on_progress: Callable[[str], None] | None = None,
) -> Comparison:
    """Train the NumPy reference and the compiled kernels on the same data; compare times, costs and parameters.

    For each batch size, both record the cost of each epoch. Largest differences of costs, W and b are judged by bounds,
    see `Comparison.verdict`. Shorter fits show how they grow.

    Times are of five to nine rounds, in each of which both run in turn, after kernels are compiled. A speed-up is the
    median of the rounds' ratios, between the least and the largest one. Where a fit of the reference takes above half a
    second, those after the first are to a part of the rows, and count in proportion. Each round also measures the
    kernels by one thread, and how fast X can be read.

    Parameters
    ----------
    X : array_like (n_samples, n_features), optional
        None for generated data, 100,000 x 100 of float32.
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
    rivals : sequence of str
        Other libraries to run too: "sklearn", "torch" and "jax", one epoch over the rows in order.
    on_progress : callable, optional
        Called with a line of text before each fit.

    Returns
    -------
    Comparison

    Raises
    ------
    ValueError, TypeError
        If an argument has the wrong shape, type or value.
    ImportError
        If a rival isn't installed; names the extra to install.

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
    >>> result.verdict, result.rows[0].largest_weight_difference < 1e-12
    ('OK', True)

    Printed, a result is tables; ``result.to_dict()`` suits JSON:

    >>> print(result)
    40 x 2 float64 (10 test rows), 2 epochs, learning rate 0.01, ... threads
    ...
    """
    rivals = require_rivals(rivals)
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
    data = _split(X, labels, validation.check_fraction(test_size, "test_size"), rng)
    X_train, X_test = prepared([data.X, data.X_test], dtype, standardize)
    data = data._replace(X=X_train, X_test=X_test)
    m = len(data.X)
    checked = [None if size is None else validation.check_batch_size(size, m) for size in batch_sizes]
    sizes = list(dict.fromkeys(checked))  # without the duplicates that clipping makes
    options = {"learning_rate": learning_rate, "num_iterations": epochs, "random_state": random_state}
    rows: list[ComparisonRow] = []
    rival_rows: list[RivalRow] = []
    for number, size in enumerate(sizes, start=1):

        def tell(what: str, label: str = f"[{number}/{len(sizes)}] batch size {size or 'full'}") -> None:
            if on_progress:
                on_progress(f"{label}: {what}")

        rows.append(_compare_batch_size(data, size, options, n_threads, tell))
        for name in rivals:
            tell(name)
            X = features(data.X, None, None)
            rival_rows.append(compare_rival(name, X, data.Y, size, options, n_threads))
    return Comparison(
        n_train=m,
        n_test=len(data.X_test),
        n_features=data.X.shape[1],
        dtype=str(data.X.dtype),
        epochs=epochs,
        learning_rate=learning_rate,
        n_threads=n_threads or usual_threads(),
        rows=rows,
        rivals=rival_rows,
    )


def generate_data(rng: np.random.Generator, n_samples: int = 100_000, n_features: int = 100) -> tuple[Array, Array]:
    """Draw standard normal X (m, n) of float32, and labels Y (1, m) of int64 that follow a logistic model."""
    X = rng.standard_normal((n_samples, n_features), dtype=np.float32)
    weights = rng.standard_normal((n_features, 1)) * (3 / np.sqrt(n_features))
    probabilities = reference.forward_pass(X, weights.astype(np.float32), 0.5)
    return X, (rng.random((1, n_samples)) < probabilities).astype(np.int64)


class _Fits:
    """Fits of one batch size, by the reference and by the kernels, to the same rows in the same order."""

    def __init__(self, data: _Data, batch_size: int | None, options: dict[str, Any], n_threads: int | None) -> None:
        self.X, self.Y = data.X, data.Y
        self.epochs = options["num_iterations"]
        self.options = options | {"record_every": 1, "batch_size": batch_size}
        self.n_threads = n_threads
        m = len(self.X)
        packed = batch_size is None and packing.pays(self.X, m, m, self.epochs)
        turned = not self.X.flags.c_contiguous and packing.turning_pays(
            self.X, batch_size or m, batch_size is not None, self.epochs
        )
        self.copies = packed or turned  # whether the kernels' fit makes a copy of X

    def reference(self, epochs: int | None = None, rows: int | None = None, **changes: Any) -> Fitted:
        options = self.options | {"num_iterations": epochs or self.epochs} | changes
        return reference.train_logistic_regression(self.X[:rows], self.Y[:rows], **options)

    def fast(self, epochs: int | None = None, **changes: Any) -> Fitted:
        options = self.options | {"num_iterations": epochs or self.epochs, "n_threads": self.n_threads} | changes
        return textbook.train_logistic_regression(self.X, self.Y, **options)

    def seconds(self, whole: float) -> dict[str, list[float]]:
        """Seconds of an epoch of each contestant, round by round; the reference's first fit took `whole` seconds.

        Where that is long, its other fits are to as many of the first rows as are fast, and count in proportion.
        """
        m, size = len(self.X), self.options["batch_size"] or 1
        rows = m if whole <= _LONG else min(m, max(1, int(m * _LONG / whole / size)) * size)
        first = [whole / self.epochs]

        def reference_seconds() -> float:
            return first.pop() if first else _epoch_seconds(lambda: self.reference(rows=rows)) * m / rows

        n_threads = self.n_threads or usual_threads()
        contestants = {"numpy": reference_seconds, "numba": lambda: _epoch_seconds(self.fast)}
        contestants["one thread"] = lambda: _epoch_seconds(lambda: self.fast(n_threads=1))
        if self.copies:
            contestants["unpacked"] = lambda: _epoch_seconds(lambda: self.fast(pack=False))
        contestants["read"] = lambda: read_seconds(self.X, n_threads)
        contestants["read by one"] = lambda: read_seconds(self.X, 1)
        return in_turn(contestants)


def _epoch_seconds(fit: Callable[[], Fitted]) -> float:
    """Seconds of an epoch of those that a fit ran; one that diverges runs fewer."""
    start = time.perf_counter()
    _, _, costs = fit()
    return (time.perf_counter() - start) / max(1, len(costs))


def _compare_batch_size(
    data: _Data,
    batch_size: int | None,
    options: dict[str, Any],
    n_threads: int | None,
    tell: Callable[[str], None],
) -> ComparisonRow:
    fits = _Fits(data, batch_size, options, n_threads)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # the fits below repeat a warning of divergence
        tell("compiling")
        fits.fast()
        fits.fast(n_threads=1)
        if fits.copies:
            fits.fast(pack=False)
        differences = []
        for epochs in _fewer(fits.epochs):
            tell(f"both for {epochs} of {fits.epochs} epochs")
            differences.append(_differences(data, fits.reference(epochs), fits.fast(epochs)))
    tell("NumPy reference")
    start = time.perf_counter()
    slow, reference_diverged = _watched(fits.reference)
    whole = (time.perf_counter() - start) * fits.epochs / max(1, len(slow[2]))
    tell("Numba kernels")
    fast, diverged = _watched(fits.fast)
    tell("both in turn")
    last, bounds = _differences(data, slow, fast), _bounds(data, slow)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        seconds = fits.seconds(whole)
        apart = diverged != reference_diverged or not last.keep(bounds)
        unstable = apart and _is_unstable(data, fits, slow, bounds)
    median = {name: float(np.median(values)) for name, values in seconds.items()}
    (W, b, costs), (W_fast, b_fast, costs_fast) = slow, fast
    gigabytes = data.X.nbytes / 1e9
    return ComparisonRow(
        batch_size=batch_size,
        diverged=diverged,
        reference_diverged=reference_diverged,
        unstable=unstable,
        reference_seconds=median["numpy"],
        fast_seconds=median["numba"],
        one_thread_seconds=median["one thread"],
        unpacked_seconds=median.get("unpacked"),
        speedups=Ratio.of(seconds["numpy"], seconds["numba"]),
        rows_per_second=len(data.X) / median["numba"],
        gigabytes_per_second=gigabytes / median["numba"],
        bandwidth_share=Ratio.of(seconds["read"], seconds["numba"]).median,
        bandwidth=gigabytes / median["read"],
        one_thread_bandwidth=gigabytes / median["read by one"],
        reference_cost=_cost(data, W, b),
        fast_cost=_cost(data, W_fast, b_fast),
        differences=[*differences, last],
        bounds=bounds,
        train_accuracy=_accuracy(data.X, data.Y, W_fast, b_fast),
        test_accuracy=_accuracy(data.X_test, data.Y_test, W_fast, b_fast),
        reference_costs=costs,
        fast_costs=costs_fast,
    )


def _fewer(epochs: int) -> list[int]:
    """Numbers of epochs of shorter fits, which show how differences grow: 1, 3, 10, 30 and so on."""
    return [number for k in range(10) for number in (10**k, 3 * 10**k) if number < epochs]


def _watched(fit: Callable[[], Fitted]) -> tuple[Fitted, bool]:
    """Return what a fit returns, and whether it warned of divergence; its warnings are passed on.

    Costs can't tell whether the last epoch diverged, because each is recorded before its update.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = fit()
    for warning in caught:
        warnings.warn(warning.message, warning.category, stacklevel=4)  # shown at the caller of `compare`
    return result, any(issubclass(warning.category, RuntimeWarning) for warning in caught)


def _differences(data: _Data, slow: Fitted, fast: Fitted) -> Differences:
    (W, b, costs), (W_fast, b_fast, costs_fast) = slow, fast
    with np.errstate(over="ignore", invalid="ignore"):
        of_costs = [*costs, _cost(data, W, b)], [*costs_fast, _cost(data, W_fast, b_fast)]
        cost = np.max(np.abs(np.subtract(*of_costs))) if len(costs) == len(costs_fast) else math.inf
        return Differences(len(costs), float(cost), float(np.max(np.abs(W - W_fast))), float(abs(b - b_fast)))


def _bounds(data: _Data, slow: Fitted) -> Differences:
    """Bounds by the size of what is compared: the cost, if above 1 nat; the largest weight; b, or the mean score."""
    W, b, costs = slow
    tolerance = TOLERANCE[str(computed_dtype(data.X))]
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        score = float(np.mean(np.abs(scores(features(data.X, None, None), W, b)), dtype=np.float64))
    sizes = max(1.0, _cost(data, W, b)), float(np.max(np.abs(W))), max(abs(b), score)
    return Differences(len(costs), *(tolerance * size for size in sizes))


def _is_unstable(data: _Data, fits: _Fits, slow: Fitted, bounds: Differences) -> bool:
    """Whether a rate that differs by four roundings moves the reference's results by a tenth of a bound or more.

    Updates too long for some rows make a difference grow with each epoch. In other fits, W moves by four roundings.
    """
    rate = fits.options["learning_rate"] * (1 + 4 * float(np.finfo(computed_dtype(data.X)).eps))
    moved = _differences(data, slow, fits.reference(learning_rate=rate))
    return not moved.keep(Differences(0, *(bound / 10 for bound in bounds[1:])))


def _cost(data: _Data, W: Array, b: float) -> float:
    """Mean loss from the scores, because a loss from a probability rounded to 0 or 1 ends at 36 nats (in float64)."""
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        Z = scores(features(data.X, None, None), W, b)
        return float(np.mean(losses_of(Z, data.Y), dtype=np.float64))


def _accuracy(X: Array, Y: Array, W: Array, b: float) -> float:
    """The fraction that is right; NaN without rows, and of parameters that aren't finite."""
    told = len(X) > 0 and np.isfinite(W).all() and math.isfinite(b)
    return textbook.accuracy(textbook.predict(X, W, b), Y) if told else math.nan


def _split(X: Array, labels: Array, test_size: float, rng: np.random.Generator) -> _Data:
    m = X.shape[0]
    n_test = round(m * test_size)
    if n_test >= m:
        raise ValueError(f"test_size={test_size:g} leaves no training rows of {m}: choose a smaller one")
    if n_test == 0:
        return _Data(X, labels, X[:0], labels[:0])
    order = rng.permutation(m)
    test, training = order[:n_test], order[n_test:]
    return _Data(validation.check_X(X[training]), labels[training], validation.check_X(X[test]), labels[test])


def prepared(parts: list[Array], dtype: Any, standardize: bool) -> list[Array]:
    """Parts of X in the precision to train in, and standardised by the first part's rows."""
    if dtype is not None:
        parts = [part.astype(dtype) for part in parts]
    if standardize:
        parts = [features(part, None, None) for part in parts]  # bytes can't hold what is below their mean
        mean = parts[0].mean(axis=0, dtype=np.float64)
        scale = parts[0].std(axis=0, dtype=np.float64)
        scale[scale <= np.finfo(np.float64).eps * np.abs(mean)] = 1  # constant columns
        kind = parts[0].dtype
        parts = [scaled_features(part, mean.astype(kind), scale.astype(kind)) for part in parts]
    return [validation.check_X(part) if len(part) else part for part in parts]
