"""Labels as places among the classes, weights of rows, and held-out rows."""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np
from sklearn.utils import check_random_state, compute_class_weight
from sklearn.utils.validation import _check_sample_weight

from ..data.moments import RunningMoments
from ..data.parameters import check_fraction
from ..data.validation import Array
from ..kernels.steps.labels import empty_places

_BLOCK = 1 << 18  # labels at a time, so that temporaries stay in the cache
_FIRST_LABELS = 1000  # enough to meet most classes, so that later blocks rarely have to be sorted


def check_classes(classes: Array, name: str = "y") -> None:
    """Raise ValueError if there are fewer than two classes."""
    if classes.size < 2:
        found = f"it has one class only: {classes[0]}" if classes.size else "it is empty"
        raise ValueError(f"{name} must hold labels of two classes at least; {found}")


def classes_of(y: Array) -> Array:
    """`numpy.unique(y)`, block by block, without a temporary of y's size."""
    found = np.unique(y[:_FIRST_LABELS])
    for block in _blocks(y):
        other = block[~_among(block, found)]
        if other.size:
            found = np.union1d(found, other)
    return found


def classes_of_stream(classes: Any, before: Array | None) -> Array:
    """Return the sorted classes of a stream, from those that this call names and `before`, those of earlier calls.

    Raises ValueError if the first call names none, or a later one names others.
    """
    if classes is None:
        if before is None:
            raise ValueError("classes must be passed in the first call to partial_fit")
        return before
    given = np.unique(np.asarray(classes))
    check_classes(given, "classes")
    if before is not None and not np.array_equal(given, before):
        raise ValueError(f"classes={given} is not the same as in the first call, {before}")
    return given


def places_of(y: Array, classes: Array, name: str) -> Array:
    """Places (m,) of labels among the sorted classes, uint8 for two classes, else uint32, padded for kernels.

    Raises ValueError for a label that isn't among the classes.
    """
    places = empty_places(y.size, np.uint8 if classes.size <= 2 else np.uint32)
    for block, out in zip(_blocks(y), _blocks(places), strict=True):
        known = _among(block, classes)
        if not known.all():
            raise ValueError(f"{name} holds labels that aren't among the classes {classes}: {np.unique(block[~known])}")
        out[:] = block == classes[-1] if classes.size == 2 else np.searchsorted(classes, block)
    places.flags.writeable = False
    return places


def _among(block: Array, classes: Array) -> Array:
    if classes.size == 2:
        return np.asarray((block == classes[0]) | (block == classes[1]))
    return np.isin(block, classes)


def _blocks(array: Array) -> list[Array]:
    return [array[start : start + _BLOCK] for start in range(0, array.size, _BLOCK)]


def row_weights(sample_weight: Any, X: Array) -> Array | None:
    """Return weights (m,) of float64, or None for None; raise ValueError if one is negative, or all are zero."""
    if sample_weight is None:
        return None
    weights = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
    if not weights.any():
        raise ValueError("sample_weight is zero for all rows: at least one must count")
    return np.asarray(weights)


def class_factors(classes: Array, class_weight: Any, sums: Array) -> Array | None:
    """Factors (K,) of the classes' weights, or None; "balanced" makes the `sums` (K,) of the classes' weights equal."""
    if class_weight is None:
        return None
    if isinstance(class_weight, str) and class_weight == "balanced":
        return np.asarray(np.divide(sums.sum(), classes.size * sums, out=np.zeros(sums.size), where=sums > 0))
    if not isinstance(class_weight, dict):
        raise ValueError(f'class_weight must be None, "balanced" or a dict; got {class_weight!r}')
    factors = np.asarray(compute_class_weight(class_weight, classes=classes, y=classes), np.float64)
    if not (np.isfinite(factors).all() and factors.min() >= 0 and sums @ factors > 0):
        raise ValueError(
            f"class_weight must be finite, not negative, and not zero for all classes that y has; got {class_weight}"
        )
    return factors


def with_class_weights(weights: Array | None, labels: Array, factors: Array | None) -> Array | None:
    if factors is None:
        return weights
    of_rows = factors[labels]
    return np.asarray(of_rows if weights is None else weights * of_rows)


def of_mean_one(
    weights: Array | None,
    labels: Array,
    m: int,
    factors: Array | None,
    seen: RunningMoments,
    dtype: np.dtype[Any],
) -> Array | None:
    """Weights (m,) times the factors of their classes, divided by their mean over all rows `seen`; None for ones.

    `partial_fit` passes the moments of all calls so far.
    """
    mean = float(np.sum(seen.class_weights * (1 if factors is None else factors)) / seen.n_rows)
    weights = with_class_weights(weights, labels, factors)
    if weights is None and mean == 1:
        return None
    return np.full(m, 1 / mean, dtype) if weights is None else np.divide(weights, mean, dtype=dtype)


def held_out(labels: Array, classes: Array, fraction: Any, rng: np.random.Generator) -> Array:
    """Ascending indices of a random part of the rows, with the same part of each class."""
    part = check_fraction(fraction, "validation_fraction")
    if not 0 < part < 1:
        raise ValueError(f"validation_fraction must lie between 0 and 1, and be neither; got {fraction!r}")
    held = []
    for k, name in enumerate(classes):
        rows = np.flatnonzero(labels == k)
        count = max(1, round(part * rows.size))
        if count >= rows.size:
            raise ValueError(
                f"early_stopping holds out {count} of the {rows.size} rows of class {name}, which leaves none to train "
                "on: lower validation_fraction, or pass eval_set instead"
            )
        held.append(rows[rng.choice(rows.size, count, replace=False)])
    return np.sort(np.concatenate(held))


def without(weights: Array | None, held: Array, m: int) -> Array:
    """Return a copy of the weights, ones for None, with zeros for held-out rows."""
    weights = np.ones(m, np.float32) if weights is None else weights.copy()
    weights[held] = 0
    return weights


def generator_from(random_state: Any, calls: int = 0) -> np.random.Generator:
    """A generator seeded by an integer and the number of earlier calls, or by the next number of a RandomState."""
    if random_state is None:
        return np.random.default_rng()
    if isinstance(random_state, np.random.Generator):
        return random_state
    if isinstance(random_state, numbers.Integral):
        return np.random.default_rng([int(random_state), calls])
    return np.random.default_rng(int(check_random_state(random_state).randint(np.iinfo(np.int32).max)))
