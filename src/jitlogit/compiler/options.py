"""Options for Numba. They use its private interfaces if its version is known, and else only its public ones.

With the private interfaces, a first fit compiles in a fifth of the time (`lowering`), references aren't counted, and
compiled kernels are kept in files of our own (`cache`). Results are the same without them.
"""

from __future__ import annotations

import contextlib
import os
import types
from collections.abc import Callable
from typing import Any

import numba

from . import news

#: Least and greatest version, (major, minor), whose private interfaces are known; CI runs both.
KNOWN = (0, 61), (0, 68)


def _is_plain() -> bool:
    version = tuple(int(part) for part in numba.__version__.split(".")[:2])
    return os.environ.get("JITLOGIT_PLAIN_NUMBA") == "1" or not KNOWN[0] <= version <= KNOWN[1]


#: Whether Numba's own pipeline and cache are used, since its version isn't known or JITLOGIT_PLAIN_NUMBA is 1.
PLAIN = _is_plain()

HELPER: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
KERNEL: dict[str, Any] = {**HELPER}
PARALLEL: dict[str, Any] = {**HELPER}

if not PLAIN:
    from .cache import KernelCache
    from .lowering import INLINING, HelperCompiler, KernelCompiler, ParallelCompiler

    # Kernels can't allocate: counting references, atomically for each view and call, would cost more than the work.
    _bare: dict[str, Any] = {"_nrt": False, "no_cfunc_wrapper": True}
    # Python never calls helpers. Without the wrappers for its calls, a first fit compiles half a second faster.
    HELPER |= {**_bare, "no_cpython_wrapper": True, "pipeline_class": HelperCompiler}
    KERNEL |= {**_bare, "pipeline_class": KernelCompiler}
    PARALLEL |= {**_bare, "pipeline_class": ParallelCompiler}


def inlining(function: Callable[..., Any], how: str) -> dict[str, Any]:
    """Options of a helper that is inlined "always", "never" (Numba has no such option), or as LLVM sees fit ("")."""
    if PLAIN:
        return {"forceinline": True} if how == "always" else {}
    if how:
        setattr(function, INLINING, {"always": "alwaysinline", "never": "noinline"}[how])
    return {}


def keep_on_disk(dispatcher: Any, name: str) -> Any:
    """Have compiled kernels kept in files of that name, if a folder can be written to, and announced by it."""
    news.add(dispatcher, name)
    if PLAIN:  # Numba's name of a file doesn't tell options (numba#6845)
        function = dispatcher.py_func
        renamed = types.FunctionType(function.__code__, function.__globals__, name)
        renamed.__qualname__, renamed.__module__ = name, function.__module__
        dispatcher.py_func = renamed
        with contextlib.suppress(RuntimeError):  # no folder can be written to
            dispatcher.enable_caching()
    else:
        dispatcher._cache = KernelCache(name)
    return dispatcher
