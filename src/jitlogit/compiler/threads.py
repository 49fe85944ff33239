"""How many threads compute a kernel, and the call of one by so many.

The threads are those of Numba's threading layer (omp, tbb or workqueue). Numba starts it with the first parallel kernel
that is compiled or read from the cache, so a fit by one thread starts none.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from typing import Any

import numba

from .jit import JIT_DISABLED, parallel_kernel

#: Most members of a team.
MOST_MEMBERS = 4095
# A second thread pays for itself, and for compiling a parallel variant, where a call, or those of a fit, read so much.
_LEAST_BYTES = 4_000_000


def max_threads() -> int:
    """Number of threads that Numba was started with, the most that `n_threads` may ask for."""
    return int(numba.config.NUMBA_NUM_THREADS)


def members_for(n_threads: int | None, n_chunks: int, n_bytes: float) -> int:
    """Number of threads that read `n_bytes` in `n_chunks` parts: at most `n_threads` (None: as Numba is set to)."""
    if JIT_DISABLED or n_bytes < _LEAST_BYTES or _Layer.is_lost:
        return 1
    if n_threads is None:  # to ask Numba for its setting starts its threads
        n_threads = numba.get_num_threads() if _layer() is not None else max_threads()
    return max(1, min(n_threads, n_chunks, MOST_MEMBERS))


def run(kernel: Any, members: int, *arguments: Any) -> None:
    """Call ``kernel(*arguments, members)`` by so many threads, or by this one where no others are to be had.

    A `kernel` that isn't parallel is called by this one. The setting of Numba's threads, which is this thread's own, is
    as before afterwards.
    """
    if not isinstance(kernel, parallel_kernel):
        kernel(*arguments, members)
        return
    with _region(members) as parallel:
        (kernel.parallel if parallel else kernel.serial)(*arguments, members)


class _Layer:
    """What is to be known of the threading layer."""

    #: Whether this process is a fork of one that had started it: its threads are lost, and GNU OpenMP would hang.
    is_lost = False
    #: workqueue ends the process where two regions run at once (numba#8563).
    workqueue = threading.Lock()


def _layer() -> str | None:
    """Name of the threading layer, None as long as it isn't started."""
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
    """Context of a parallel region of so many threads; whether there may be one."""
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
