"""Checks of parameters that aren't arrays; each returns the value, or raises ValueError or TypeError."""

from __future__ import annotations

import math
import numbers
import warnings
from typing import Any

import numpy as np

from ..compiler.threads import max_threads


def check_number(value: Any, name: str) -> float:
    """Return a finite real number as a float."""
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.item()
    if isinstance(value, bool | np.bool_) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name} must be a number; got {value!r}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError(f"{name} must be finite; got {value!r}")
    return number


def check_positive(value: Any, name: str) -> float:
    number = check_number(value, name)
    if not number > 0:
        raise ValueError(f"{name} must be positive; got {value!r}")
    return number


def check_fraction(value: Any, name: str) -> float:
    number = check_number(value, name)
    if not 0 <= number <= 1:
        raise ValueError(f"{name} must lie between 0 and 1; got {value!r}")
    return number


def check_count(value: Any, name: str, least: int = 1) -> int:
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.item()
    number = check_number(value, name)
    if not isinstance(value, numbers.Integral) or number < least:
        raise ValueError(f"{name} must be an integer of at least {least}; got {value!r}")
    return int(value)


def check_not_negative(value: Any, name: str) -> float:
    number = check_number(value, name)
    if number < 0:
        raise ValueError(f"{name} must not be negative; got {value!r}")
    return number


def check_choice(value: Any, name: str, choices: tuple[str, ...]) -> str:
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}; got {value!r}")
    return value


def check_bool(value: Any, name: str) -> bool:
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} must be True or False; got {value!r}")
    return bool(value)


def check_random_state(random_state: Any) -> np.random.Generator:
    try:
        return np.random.default_rng(random_state)
    except (TypeError, ValueError) as error:
        raise type(error)(
            f"random_state must be None, a non-negative integer or a numpy.random.Generator; got {random_state!r}"
        ) from None


def check_batch_size(batch_size: Any, n_samples: int) -> int:
    """Return the samples of a batch: all for None; more than `n_samples` are clipped, with a UserWarning."""
    if batch_size is None:
        return n_samples
    size = check_count(batch_size, "batch_size")
    if size > n_samples:
        warnings.warn(
            f"batch_size={size} is more than the {n_samples} examples and was clipped to {n_samples}; "
            "pass batch_size=None for batch gradient descent",
            UserWarning,
            stacklevel=3,
        )
    return min(size, n_samples)


def check_shuffle(value: Any) -> bool | str:
    if isinstance(value, str):
        if value != "blocks":
            raise ValueError(f'shuffle must be True, False or "blocks"; got {value!r}')
        return value
    return check_bool(value, "shuffle")


def check_n_threads(n_threads: Any) -> int | None:
    if n_threads is None:
        return None
    count = check_count(n_threads, "n_threads")
    if count > max_threads():
        raise ValueError(
            f"n_threads={count} is more than the {max_threads()} threads that Numba was started with; "
            f"set the environment variable NUMBA_NUM_THREADS={count} before Python starts, or ask for fewer"
        )
    return count
