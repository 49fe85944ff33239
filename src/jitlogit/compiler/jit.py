"""Decorators of all compiled functions. No other file calls ``numba.njit``, so flags stand here once.

Helpers (`helper`, `inline`, `outline`, `strict`, `by_type`, `inline_by_type`, `primitive`) are called by kernels.
Kernels (`kernel`, `parallel_kernel`, `parallel_beside`) are called by Python.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import numba
import numpy as np
from numba import prange as prange
from numba.extending import intrinsic, overload

from .options import HELPER, KERNEL, PARALLEL, inlining, keep_on_disk

Function = TypeVar("Function", bound=Callable[..., Any])

#: Sums may be reordered and products fused. Never ``nnan`` or ``ninf``: kernels carry NaN and inf to their caller.
FASTMATH = {"reassoc", "contract", "nsz", "arcp"}
#: For formulas whose accuracy depends on the order of operations: products may be fused, nothing else.
STRICT = {"contract"}

#: True under ``NUMBA_DISABLE_JIT=1``, where every kernel runs as plain Python.
JIT_DISABLED = bool(numba.config.DISABLE_JIT)


def helper(function: Function, how: str = "", fastmath: set[str] = FASTMATH) -> Function:
    """Make a helper, which is inlined "always", "never", or as LLVM sees fit ("")."""
    return numba.njit(function, fastmath=fastmath, **HELPER, **inlining(function, how))  # type: ignore[no-any-return]


def inline(function: Function) -> Function:
    """Make a helper that is always inlined, because a call with its arrays would cost more than its work."""
    return helper(function, "always")


def outline(function: Function) -> Function:
    """Make a helper that is never inlined, because it is large."""
    return helper(function, "never")


def strict(function: Function) -> Function:
    """Make a helper whose operations keep the order in which they are written."""
    return helper(function, "", STRICT)


def by_type(choose: Function, fastmath: set[str] = FASTMATH, how: str = "") -> Function:
    """Make a helper whose implementation is chosen by its arguments' types while a caller is compiled.

    `choose` takes the Numba types of the helper's arguments, whose attributes include ``dtype`` and ``layout``. It
    returns the implementation, an undecorated function whose arguments have the same names.
    """

    @functools.wraps(choose)
    def chosen(*arguments: Any) -> Any:
        return choose(*map(numba.typeof, arguments))(*arguments)

    @functools.wraps(choose)
    def implementation(*types: Any) -> Any:
        chosen = choose(*types)
        inlining(chosen, how)
        return chosen

    if not JIT_DISABLED:
        options = {"fastmath": fastmath, **HELPER, **inlining(choose, how)}
        overload(chosen, jit_options=options)(implementation)
    return chosen  # type: ignore[return-value]


def inline_by_type(choose: Function) -> Function:
    """As `by_type`, always inlined."""
    return by_type(choose, how="always")


def kernel(function: Function) -> Function:
    """Make an entry point, compiled on first need and cached on disk."""
    if JIT_DISABLED:  # NumPy would warn of overflow, which compiled code doesn't
        return np.errstate(all="ignore")(function)
    return keep_on_disk(numba.njit(function, fastmath=FASTMATH, **KERNEL), function.__name__)  # type: ignore[no-any-return]


class ParallelKernel:
    """An entry point whose loop ``for member in prange(members)`` is a parallel region; see `threads.run`.

    There are two variants, each compiled on first need. `parallel` has the region. `serial` is for one thread, and
    doesn't start the threading layer. The two have different names, since Numba's key of a cached kernel ignores
    options (numba#6845).
    """

    def __init__(self, function: Callable[..., None], serial: Any) -> None:
        self.__name__, self.__doc__, self.__module__ = function.__name__, function.__doc__, function.__module__
        self.serial = serial
        if JIT_DISABLED:
            self.parallel = np.errstate(all="ignore")(function)
            return
        dispatcher = numba.njit(function, parallel=True, fastmath=FASTMATH, **PARALLEL)
        self.parallel = keep_on_disk(dispatcher, f"parallel_{function.__name__}")

    @property
    def compilations(self) -> int:
        """Number of variants that this process has compiled instead of reading them from the cache."""
        both: tuple[Any, Any] = self.serial, self.parallel
        return sum(int(sum(each.stats.cache_misses.values())) for each in both)


def parallel_kernel(function: Callable[..., None]) -> ParallelKernel:
    """Make a parallel entry point. Its serial variant is the same function, in which prange is range."""
    return ParallelKernel(function, kernel(function))


def parallel_beside(serial: Any) -> Callable[[Callable[..., None]], ParallelKernel]:
    """Make a parallel entry point with another kernel as its serial variant, which needs no team."""
    return lambda function: ParallelKernel(function, serial)


def primitive(plain: Callable[..., Any]) -> Callable[..., Any]:
    """Make a helper of LLVM code from a Numba intrinsic; `plain` replaces it if the JIT is off."""
    return (lambda typed: plain) if JIT_DISABLED else intrinsic
