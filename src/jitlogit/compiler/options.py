"""Options for Numba. They use its private interfaces if its version is known, and else only its public ones.

With the private interfaces, a first fit compiles in half the time (`lowering`), references aren't counted, and compiled
kernels are kept in files of our own (`cache`). Results are the same without them.
"""

from __future__ import annotations

import os
import types
import warnings
from collections.abc import Callable
from typing import Any

import numba

#: Least and greatest version, (major, minor), whose private interfaces are known; CI runs both.
KNOWN = (0, 61), (0, 68)


def _is_plain() -> bool:
    version = tuple(int(part) for part in numba.__version__.split(".")[:2])
    return os.environ.get("JITLOGIT_PLAIN_NUMBA") == "1" or not KNOWN[0] <= version <= KNOWN[1]


#: Whether Numba's own pipeline and cache are used, since its version isn't known or JITLOGIT_PLAIN_NUMBA is 1.
PLAIN = _is_plain()

HELPER: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
KERNEL: dict[str, Any] = {**HELPER}
PARALLEL: dict[str, Any] = {**HELPER, "parallel": True}

if PLAIN:

    def inlining(function: Callable[..., Any], how: str) -> dict[str, Any]:
        """Options of a helper that is inlined "always" or as LLVM sees fit (""); Numba has no option for "never"."""
        return {"forceinline": True} if how == "always" else {}

    def keep_on_disk(dispatcher: Any, name: str) -> Any:
        """Have Numba keep compiled kernels on disk, if it finds a folder that can be written to.

        The function gets a name of its own, since Numba's key of a cached kernel ignores options (numba#6845).
        """
        function = dispatcher.py_func
        renamed = types.FunctionType(function.__code__, function.__globals__, name)
        renamed.__qualname__, renamed.__module__ = name, function.__module__
        dispatcher.py_func = renamed
        try:
            dispatcher.enable_caching()
        except RuntimeError as error:
            warnings.warn(f"kernels are compiled anew by each process: {error}", RuntimeWarning, stacklevel=2)
        return dispatcher

else:
    from .cache import KernelCache
    from .lowering import INLINING, HelperCompiler, KernelCompiler, ParallelCompiler

    # No reference counts: atomic counting for each view and each call would cost more than the work. So kernels can't
    # allocate.
    _bare: dict[str, Any] = {"_nrt": False, "no_cfunc_wrapper": True}
    # Python never calls helpers. Without the wrappers for its calls, a first fit compiles half a second faster.
    HELPER |= {**_bare, "no_cpython_wrapper": True, "pipeline_class": HelperCompiler}
    KERNEL |= {**_bare, "pipeline_class": KernelCompiler}
    PARALLEL |= {**_bare, "pipeline_class": ParallelCompiler}

    def inlining(function: Callable[..., Any], how: str) -> dict[str, Any]:
        """Options of a helper that is inlined "always", "never", or as LLVM sees fit ("")."""
        if how:
            setattr(function, INLINING, {"always": "alwaysinline", "never": "noinline"}[how])
        return {}

    def keep_on_disk(dispatcher: Any, name: str) -> Any:
        dispatcher._cache = KernelCache(name)
        return dispatcher
