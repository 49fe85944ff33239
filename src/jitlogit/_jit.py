"""The only file that calls ``numba.njit``: flags, cache, threads, and when a parallel kernel may run.

* :func:`helper`, :func:`inline`, :func:`strict` and :func:`by_type` make functions that kernels call;
* :func:`kernel` makes an entry point, compiled on first need and cached on disk, in a serial and a parallel variant;
* :func:`team` says which of the two may run here and now.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import pickle
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import llvmlite
import numba
import numpy as np
from numba import prange
from numba.core.caching import CompileResultCacheImpl, _Cache
from numba.core.serialize import dumps
from numba.extending import overload
from numba.misc.appdirs import AppDirs

__all__ = ["JIT_DISABLED", "Kernel", "by_type", "helper", "inline", "kernel", "max_threads", "prange", "team"]

Function = TypeVar("Function", bound=Callable[..., Any])

#: Sums may be reordered and products fused. Never ``nnan`` or ``ninf``: kernels carry NaN and inf to their caller.
FASTMATH = {"reassoc", "contract", "nsz", "arcp"}
#: For formulas whose order of operations is their accuracy: products may be fused, nothing else.
STRICT = {"contract"}

#: True under ``NUMBA_DISABLE_JIT=1``, where every kernel runs as plain Python.
JIT_DISABLED = bool(numba.config.DISABLE_JIT)

_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
# Kernels call helpers, Python doesn't: without the wrappers for it, a first fit compiles half a second faster.
_HELPER_OPTIONS: dict[str, Any] = {**_OPTIONS, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}

# A compiled kernel is called through the C interface of the Python that compiled it.
PYTHON = f"{sys.implementation.cache_tag}{getattr(sys, 'abiflags', '')}"


def helper(function: Function) -> Function:
    """Make a helper that kernels call."""
    return numba.njit(function, fastmath=FASTMATH, **_HELPER_OPTIONS)  # type: ignore[no-any-return]


def inline(function: Function) -> Function:
    """Make a helper so small that a call would cost more than its work: it is compiled into its callers."""
    return numba.njit(function, fastmath=FASTMATH, forceinline=True, **_HELPER_OPTIONS)  # type: ignore[no-any-return]


def strict(function: Function) -> Function:
    """Make a helper that is computed in the order of operations in which it is written."""
    return numba.njit(function, fastmath=STRICT, **_HELPER_OPTIONS)  # type: ignore[no-any-return]


def by_type(choose: Function, fastmath: set[str] = FASTMATH) -> Function:
    """Make a helper whose implementation is chosen by its arguments' types while a caller is compiled.

    `choose` has the helper's arguments, gets their Numba types (with attributes such as ``dtype`` and ``layout``) and
    returns the implementation: an undecorated function whose arguments have the same names.
    """

    @functools.wraps(choose)
    def chosen(*arguments: Any) -> Any:
        return choose(*map(numba.typeof, arguments))(*arguments)

    if not JIT_DISABLED:
        overload(chosen, jit_options={"fastmath": fastmath, **_OPTIONS})(choose)
    return chosen  # type: ignore[return-value]


class Kernel(NamedTuple):
    """An entry point, compiled twice from one definition; ``prange`` is ``range`` in the serial variant."""

    serial: Callable[..., Any]
    parallel: Callable[..., Any]


def kernel(function: Callable[..., Any]) -> Kernel:
    """Make an entry point. Call its parallel variant only where :func:`team` allows it."""
    if JIT_DISABLED:  # compiled arithmetic is silent
        function = np.errstate(all="ignore")(function)
    variants = []
    for parallel in (False, True):
        dispatcher = numba.njit(function, parallel=parallel, fastmath=FASTMATH, **_OPTIONS)
        if not JIT_DISABLED:
            dispatcher._cache = KernelCache(f"{function.__name__}-{'parallel' if parallel else 'serial'}")
        variants.append(dispatcher)
    return Kernel(*variants)


# ---------------------------------------------------------------------------------------------------------------------
# Cache
# ---------------------------------------------------------------------------------------------------------------------


@functools.cache
def sources_stamp() -> str:
    """Hash of the sources of all kernels and of the versions that compile and run them."""
    here = Path(__file__)
    versions = (numba.__version__, llvmlite.__version__, PYTHON)
    digest = hashlib.sha256(repr(versions).encode())
    for path in [here, *sorted((here.parent / "kernels").glob("*.py"))]:
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def cache_directories() -> list[Path]:
    """Folders that may hold compiled kernels: below ``NUMBA_CACHE_DIR``, or the package's own and the user's."""
    if numba.config.CACHE_DIR:
        return [Path(numba.config.CACHE_DIR) / "jitlogit"]
    user = AppDirs(appname="jitlogit", appauthor=False).user_cache_dir
    return [Path(__file__).parent / "__pycache__", Path(user)]


class KernelCache(_Cache):  # type: ignore[misc]
    """One file per compiled variant, named by a hash of everything that its code depends on.

    Numba's own cache notices edits of the file that defines a function but not of the files that it calls into
    (numba#1833), is blind to jit options (numba#6845), keeps an index that concurrent processes can mix up, and raises
    where no folder is writable (numba#4908). Here the name stands for all kernel sources, versions, processor, variant
    and argument types; a file appears whole, by renaming; a folder that can't be read or written is passed over.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._enabled = True

    @property
    def cache_path(self) -> str:
        return str(cache_directories()[0])

    def enable(self) -> None:
        self._enabled = True

    def disable(self) -> None:
        self._enabled = False

    def flush(self) -> None:
        for directory in cache_directories():
            for path in directory.glob(f"{self._name}-*.kernel"):
                with contextlib.suppress(OSError):
                    path.unlink()

    def _file_name(self, signature: Any, codegen: Any) -> str:
        key = repr((sources_stamp(), str(signature), codegen.magic_tuple()))
        return f"{self._name}-{hashlib.sha256(key.encode()).hexdigest()[:32]}.kernel"

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        if not self._enabled:
            return None
        target_context.refresh()
        for directory in cache_directories():
            # Whatever is wrong with a file (missing, unreadable, damaged), the remedy is to compile.
            with contextlib.suppress(Exception):
                name = self._file_name(sig, target_context.codegen())
                payload = pickle.loads((directory / name).read_bytes())
                return CompileResultCacheImpl.rebuild(None, target_context, payload)
        return None

    def save_overload(self, sig: Any, data: Any) -> None:
        if not self._enabled or data.library.has_dynamic_globals:
            return
        content = dumps(CompileResultCacheImpl.reduce(None, data))
        for directory in cache_directories():
            with contextlib.suppress(OSError):  # not writable; or no sources to hash, in a zip file
                name = self._file_name(sig, data.codegen)
                directory.mkdir(parents=True, exist_ok=True)
                _write_whole(directory / name, content)
                return


def _write_whole(path: Path, content: bytes) -> None:
    temporary = path.with_name(f"{path.name}.{uuid.uuid4().hex}")
    try:
        temporary.write_bytes(content)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


# ---------------------------------------------------------------------------------------------------------------------
# Threads
# ---------------------------------------------------------------------------------------------------------------------

_parallel_lock = threading.Lock()
_threads_lost_in_fork = False


def max_threads() -> int:
    """Number of threads that Numba was started with, the most that `n_threads` may ask for."""
    return int(numba.config.NUMBA_NUM_THREADS)


@contextlib.contextmanager
def team(n_threads: int | None, wanted: bool = True) -> Iterator[bool]:
    """Yield whether a parallel kernel may run inside, on `n_threads` threads (None: as many as Numba is set to).

    The thread count is set for the calling Python thread only (numba#10491) and restored at the end, also after an
    error. A parallel kernel may not run

    * in a child forked after threads were started: GNU OpenMP would hang or end the process;
    * under Numba's workqueue layer while another Python thread is inside: the layer would abort the process. Until
      threads have been started, their layer isn't known, and the same care is taken.
    """
    if not wanted or _threads_lost_in_fork or JIT_DISABLED:
        yield False
        return
    alone = _threading_layer() in (None, "workqueue")
    if alone and not _parallel_lock.acquire(blocking=False):
        yield False
        return
    try:
        before = numba.get_num_threads()
        try:
            if n_threads is not None:
                numba.set_num_threads(n_threads)
            yield True
        finally:
            numba.set_num_threads(before)
    finally:
        if alone:
            _parallel_lock.release()


def _threading_layer() -> str | None:
    try:
        return str(numba.threading_layer())
    except ValueError:  # threads haven't been started
        return None


def _after_fork_in_child() -> None:
    global _parallel_lock, _threads_lost_in_fork
    _parallel_lock = threading.Lock()
    _threads_lost_in_fork = _threads_lost_in_fork or _threading_layer() is not None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
