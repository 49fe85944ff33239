"""The only file that calls ``numba.njit``: flags.

* :func:`helper`, :func:`inline`, :func:`outline`, :func:`strict`, :func:`by_type` and :func:`inline_by_type` make
  functions that kernels call;
* :func:`primitive` makes one out of LLVM code;
* :func:`kernel` makes an entry point, compiled on first need and cached on disk;
* :class:`parallel_kernel` makes one whose loop over `prange` is a parallel region.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import numba
import numpy as np
from numba import prange
from numba.extending import intrinsic, overload

from .options import HELPER, KERNEL, PARALLEL, inlining, keep_on_disk

__all__ = [
    "JIT_DISABLED",
    "by_type",
    "helper",
    "inline",
    "inline_by_type",
    "kernel",
    "outline",
    "parallel_kernel",
    "prange",
    "primitive",
    "strict",
]

Function = TypeVar("Function", bound=Callable[..., Any])

#: Sums may be reordered and products fused. Never ``nnan`` or ``ninf``: kernels carry NaN and inf to their caller.
FASTMATH = {"reassoc", "contract", "nsz", "arcp"}
#: For formulas whose order of operations is their accuracy: products may be fused, nothing else.
STRICT = {"contract"}

#: True under ``NUMBA_DISABLE_JIT=1``, where every kernel runs as plain Python.
JIT_DISABLED = bool(numba.config.DISABLE_JIT)


def helper(function: Function) -> Function:
    """Make a helper that kernels call."""
    return _helper(function, "")


def _helper(function: Function, how: str, fastmath: set[str] = FASTMATH) -> Function:
    return numba.njit(function, fastmath=fastmath, **HELPER, **inlining(function, how))  # type: ignore[no-any-return]


def inline(function: Function) -> Function:
    """Make a helper so small, or called with so many arrays, that a call would cost more than its work."""
    return _helper(function, "always")


def outline(function: Function) -> Function:
    """Make a helper so large that it is compiled once, not into each of its callers."""
    return _helper(function, "never")


def strict(function: Function) -> Function:
    """Make a helper that is computed in the order of operations in which it is written."""
    return _helper(function, "", STRICT)


def by_type(choose: Function, fastmath: set[str] = FASTMATH, how: str = "") -> Function:
    """Make a helper whose implementation is chosen by its arguments' types while a caller is compiled.

    `choose` has the helper's arguments, gets their Numba types (with attributes such as ``dtype`` and ``layout``) and
    returns the implementation: an undecorated function whose arguments have the same names.
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
    """As `by_type`, compiled into its callers."""
    return by_type(choose, how="always")


def kernel(function: Function) -> Function:
    """Make an entry point, compiled on first need and cached on disk."""
    if JIT_DISABLED:  # compiled arithmetic is silent
        return np.errstate(all="ignore")(function)
    return keep_on_disk(numba.njit(function, fastmath=FASTMATH, **KERNEL), function.__name__)  # type: ignore[no-any-return]


class parallel_kernel:
    """Make an entry point whose loop ``for member in prange(members)`` is a parallel region; see `threads.run`.

    It is compiled twice, each on first need: `parallel` with the region, and `serial`, where prange is range, for one
    thread. So who needs one thread starts no threading layer. Numba's key of a cached kernel ignores options
    (numba#6845): the two have names of their own.
    """

    def __init__(self, function: Callable[..., None]) -> None:
        self.__name__, self.__doc__, self.__module__ = function.__name__, function.__doc__, function.__module__
        self.serial: Any = kernel(function)
        self.parallel = self.serial
        if not JIT_DISABLED:
            dispatcher = numba.njit(function, fastmath=FASTMATH, **PARALLEL)
            self.parallel = keep_on_disk(dispatcher, f"parallel_{function.__name__}")

    @property
    def compilations(self) -> int:
        """How many variants this process has compiled, and not found in the cache."""
        both: tuple[Any, Any] = self.serial, self.parallel
        return sum(int(sum(each.stats.cache_misses.values())) for each in both)


def primitive(plain: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate a Numba intrinsic; `plain` does the same where the JIT is off."""

    def decorate(typed: Callable[..., Any]) -> Any:
        return plain if JIT_DISABLED else intrinsic(typed)

    return decorate
