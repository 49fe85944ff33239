"""Compilation ahead of the first fit."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np

from ..compiler import news
from ..compiler.jit import JIT_DISABLED
from . import first_fits
from .first_fits import Step


class WarmUp(NamedTuple):
    """What a warm-up did."""

    compiled: int  # kernels, each for its own types
    loaded: int  # kernels that were read from disk
    missing: dict[str, list[str]]  # from a kernel to what needs it; filled with `check`, which compiles nothing
    seconds: float
    folder: str | None  # where kernels are kept; None if nowhere
    estimators: bool  # whether those were warmed up too

    def __str__(self) -> str:
        where = f"in {self.folder}" if self.folder else "nowhere, since no folder can be written to"
        did = f"{self.compiled} kernels compiled" if self.compiled else "no kernel is missing"
        lines = [f"{did}, {self.loaded} read, in {self.seconds:.1f} s; they are kept {where}"]
        if self.missing:
            lines = [f"{self.loaded} kernels are {where}; {len(self.missing)} or more are missing:"]
            lines += [f"  {kernel}, for {needs[0]}" for kernel, needs in self.missing.items()]
        return "\n".join(lines)


def warmup(
    dtypes: Any = ("float32", "float64"),
    orders: Iterable[str] | None = None,
    *,
    everything: bool = False,
    check: bool = False,
) -> WarmUp:
    """Compile, or load from the cache, the kernels that first fits and predictions need.

    Compiled kernels are kept on disk: in ``NUMBA_CACHE_DIR``, beside the package or in the user's cache folder. So one
    call while an image is built serves all later processes that read this cache, on processors of the same kind.

    Parameters
    ----------
    dtypes : a dtype or several
        Of X: float32, float64, uint8, int8, bool, float16, or `jitlogit.bfloat16`.
    orders : None or iterable of "C" and "F"
        Memory layouts of X. None is "C", and "F" too with `everything`.
    everything : bool
        Without it, what `jitlogit`'s functions need for two classes and up to some MB of data. With it, also what
        they need for more: several threads (if Numba has several here), classes and weights; and what the estimators
        need, on dense and sparse rows, if scikit-learn is installed.
    check : bool
        Whether to compile nothing, and find out what is missing. Each fit stops at its first missing kernel. Kernels
        that this process has compiled or read before aren't missing.

    Returns
    -------
    WarmUp
        A named tuple: the numbers of kernels `compiled` and `loaded`, the `missing` ones, `seconds`, the `folder`, and
        whether the `estimators` were included. Printed, it is a summary.

    Raises
    ------
    TypeError, ValueError
        If a dtype or an order is another one.

    Examples
    --------
    >>> import jitlogit
    >>> found = jitlogit.warmup("float64", check=True)  # without `check`, it compiles what is missing
    >>> found.compiled
    0
    >>> found.estimators  # these need `everything`
    False
    """
    several = [dtypes] if isinstance(dtypes, str | type | np.dtype) else list(dtypes)
    orders = (["C", "F"] if everything else ["C"]) if orders is None else list(orders)
    if not set(orders) <= {"C", "F"}:
        raise ValueError(f'orders must be "C", "F" or both; got {orders!r}')
    estimators = everything and find_spec("sklearn") is not None
    steps = _steps([np.dtype(dtype) for dtype in several], orders, everything, estimators)
    compiled, loaded = news.counts()
    start, missing = time.perf_counter(), {}
    if not JIT_DISABLED:  # else plain Python would compute for minutes, and compile nothing
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # fits of few iterations haven't converged
            missing = _missing(steps) if check else _run(steps)
    now_compiled, now_loaded = news.counts()
    n_compiled = 0 if check else now_compiled - compiled
    return WarmUp(n_compiled, now_loaded - loaded, missing, time.perf_counter() - start, news.folder(), estimators)


def _steps(dtypes: list[np.dtype[Any]], orders: list[str], everything: bool, estimators: bool) -> Iterator[Step]:
    for dtype in dtypes:
        for order in orders:
            yield from first_fits.of_functions(dtype, order)
            if everything:
                yield from first_fits.of_functions_by_all_threads(dtype, order)
            if estimators:
                yield from first_fits.of_estimators(dtype, order)
        if estimators and dtype in (np.float32, np.float64):  # sparse rows of others are converted
            yield from first_fits.of_estimators_on_sparse_rows(dtype)


def _run(steps: Iterable[Step]) -> dict[str, list[str]]:
    for step in steps:
        step.run()
    return {}


def _missing(steps: Iterable[Step]) -> dict[str, list[str]]:
    """Names of kernels that steps lack, and of these steps."""
    found: dict[str, list[str]] = {}
    with news.forbidden():
        for step in steps:
            try:
                step.run()
            except news.NotCompiled as kernel:
                found.setdefault(str(kernel), []).append(step.name)
    return found
