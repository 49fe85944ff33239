"""The number of threads for a kernel, and its call by that many.

The threads belong to Numba's threading layer (omp, tbb or workqueue). Numba starts it with the first parallel kernel
that is compiled or read from the cache, so a fit by one thread doesn't start it.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

import numba

from .jit import JIT_DISABLED, ParallelKernel

#: Most members of a team.
MOST_MEMBERS = 4095
# Bytes that a call, or all calls of a fit, must read for more than one thread. Below, neither the start of threads nor
# the compilation of a parallel variant pays. Tuned on Zen 4, two cores.
_LEAST_BYTES = 4_000_000
_PRETENDED: ContextVar[float] = ContextVar("pretended")


def max_threads() -> int:
    """Number of threads that Numba was started with, and greatest `n_threads`."""
    return int(numba.config.NUMBA_NUM_THREADS)


def usual_threads() -> int:
    """Number of threads that Numba is set to, where the user asks for none."""
    return int(numba.get_num_threads()) if _layer() is not None else max_threads()  # the former starts the layer


def members_for(n_threads: int | None, n_chunks: int, n_bytes: float) -> int:
    """Number of threads for `n_bytes` in `n_chunks` chunks, at most `n_threads` (None: Numba's setting)."""
    if JIT_DISABLED or _PRETENDED.get(n_bytes) < _LEAST_BYTES or _Layer.is_lost:
        return 1
    return max(1, min(usual_threads() if n_threads is None else n_threads, n_chunks, MOST_MEMBERS))


@contextlib.contextmanager
def pretended(n_bytes: float) -> Iterator[None]:
    """Context in which each call counts as one that reads so many bytes.

    Warm-up needs both variants of a kernel but not large data: 0 is for one thread, infinity for all.
    """
    before = _PRETENDED.set(n_bytes)
    try:
        yield
    finally:
        _PRETENDED.reset(before)


def run(kernel: Any, members: int, *arguments: Any) -> None:
    """Call ``kernel(*arguments, members)`` by `members` threads.

    The calling thread alone computes it if the kernel isn't parallel, or if there may be no parallel region. Numba's
    number of threads is restored afterwards.
    """
    if not isinstance(kernel, ParallelKernel):
        kernel(*arguments, members)
        return
    with _region(members) as parallel:
        (kernel.parallel if parallel else kernel.serial)(*arguments, members)


class _Layer:
    #: Whether a parent process had started the layer before a fork. Its threads are lost, and GNU OpenMP would hang.
    is_lost = False
    #: Held by a region under workqueue, which ends the process if two regions run at once (numba#8563).
    workqueue = threading.Lock()


def _layer() -> str | None:
    """Name of the threading layer; None until it is started."""
    try:
        return str(numba.threading_layer())
    except ValueError:
        return None


def _after_fork() -> None:
    _Layer.is_lost = _Layer.is_lost or _layer() is not None
    _Layer.workqueue = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


@contextlib.contextmanager
def _region(members: int) -> Iterator[bool]:
    """Context of a parallel region of `members` threads; yields whether there may be one."""
    if members == 1 or JIT_DISABLED or _Layer.is_lost:
        yield False
        return
    before = numba.get_num_threads()  # starts the layer
    alone = _layer() == "workqueue"
    if alone and not _Layer.workqueue.acquire(blocking=False):
        yield False
        return
    try:
        numba.set_num_threads(members)
        yield True
    finally:
        numba.set_num_threads(before)
        if alone:
            _Layer.workqueue.release()
