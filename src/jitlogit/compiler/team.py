"""Threads that compute one thing together: Python threads, inside kernels that have released the interpreter's lock.

A `Team`'s helpers enter its kernel once, stay until the fit ends, and meet as `kernels.barrier` says; those of `share`
call any kernel on their part of the rows, and wait in another for the next. Then the threads end: there is nothing that
a forked child could miss, and nothing to be shared by fits in several Python threads.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any

import numba
import numpy as np

from ..kernels.epochs.barrier import END, FLAGS, LINE, MOST_MEMBERS, TASK, wait_for_helpers, wait_for_task
from .jit import JIT_DISABLED
from .scheduling import exact_sleeps, short_slices

# A helper takes about a fifth as long to start as one thread to read this much; after idle time, as long.
_LEAST_BYTES = 12_000_000
# The same of a helper that waits for work.
_LEAST_BYTES_AT_HAND = 2_000_000


def _can_sleep() -> bool:
    if JIT_DISABLED or sys.platform == "win32":
        return False
    return hasattr(ctypes.CDLL(None), "usleep")


_CAN_SLEEP = _can_sleep()


def max_threads() -> int:
    """Number of threads that Numba was started with, the most that `n_threads` may ask for."""
    return int(numba.config.NUMBA_NUM_THREADS)


def members_for(n_threads: int | None, n_chunks: int, n_bytes: float) -> int:
    """Number of threads that read `n_bytes` in `n_chunks` parts: at most `n_threads` (None: as Numba is set to)."""
    if not _CAN_SLEEP or n_bytes < (_LEAST_BYTES if _at_hand() is None else _LEAST_BYTES_AT_HAND):
        return 1
    if n_threads is None:  # asking Numba for its setting would start its own threads
        numba_threads = sys.modules.get("numba.np.ufunc.parallel")
        started = numba_threads is not None and numba_threads._is_initialized
        n_threads = numba.get_num_threads() if started else max_threads()
    return min(n_threads, n_chunks, MOST_MEMBERS - 1)


class Team:
    """Context in which `kernel`, called by ``run``, is computed by up to `members` threads.

    The kernel's last arguments are the control array, the number of wanted members, and whether it is called by a
    helper, which stays inside until the context is left.
    """

    def __init__(self, kernel: Callable[..., Any], members: int, *arguments: Any) -> None:
        self._kernel = kernel
        self._members = members
        self._arguments = arguments
        self._control = np.zeros(FLAGS + members * LINE, np.int64)
        self._helpers: list[threading.Thread] = []

    def __enter__(self) -> Callable[[], Any]:
        try:
            for _ in range(self._members - 1):
                thread = threading.Thread(target=self._call, args=(True,), name="jitlogit", daemon=True)
                if not _started(thread):
                    break
                self._helpers.append(thread)
        except BaseException:  # interrupted: no helper may stay
            self._leave()
            raise
        return self._call

    def _call(self, helping: bool = False) -> Any:
        arguments = *self._arguments, self._control, self._members, helping
        if self._members == 1:
            return self._kernel(*arguments)
        with exact_sleeps(), short_slices():
            return self._kernel(*arguments)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave()

    def _leave(self) -> None:
        self._control[TASK] = END
        for thread in self._helpers:
            thread.join()


def _started(thread: threading.Thread) -> bool:
    try:
        thread.start()
    except RuntimeError:  # no more threads to be had
        return False
    return True


def share(kernel: Callable[..., Any], members: int, n_chunks: int, *arguments: Any) -> list[Any]:
    """Call ``kernel(*arguments, part, first, stop)`` on parts of the chunks, each in a thread; return its results.

    What can't have a thread is done here. The first exception in a part is raised.
    """
    if members == 1:
        return [kernel(*arguments, 0, 0, n_chunks)]
    results: list[Any] = [None] * members
    errors: list[BaseException] = []

    def work(part: int) -> None:
        try:
            results[part] = kernel(*arguments, part, n_chunks * part // members, n_chunks * (part + 1) // members)
        except BaseException as error:
            errors.append(error)

    with helpers() as those:
        those.do(work, members)
    if errors:
        raise errors[0]
    return results


class Helpers:
    """Context in which the threads that `share` starts in this thread stay, waiting for work inside a kernel."""

    def __init__(self) -> None:
        self._entered, self._tasks = 0, 0
        self._threads: list[threading.Thread] = []
        self._most = max(2, max_threads())
        self._control = np.zeros(FLAGS + self._most * LINE, np.int64)
        self._work: Callable[[int], None]
        self.process = os.getpid()

    def __enter__(self) -> Helpers:
        if not self._entered:
            _here.helpers = self
        self._entered += 1
        return self

    def __exit__(self, *error: object) -> None:
        self._entered -= 1
        if not self._entered:
            _here.helpers = None
            self._control[TASK] = END
            for thread in self._threads:
                thread.join()

    def do(self, work: Callable[[int], None], members: int) -> None:
        """Call work(part), which may not raise, for each part below `members`, each in a thread if that can be had."""
        while len(self._threads) < min(members, self._most) - 1:
            number = len(self._threads) + 1
            thread = threading.Thread(target=self._help, args=(number, self._tasks), name="jitlogit", daemon=True)
            if not _started(thread):
                break
            self._threads.append(thread)
        helped = min(members, len(self._threads) + 1)
        self._work = work
        self._tasks += 1
        self._control[TASK] = self._tasks * MOST_MEMBERS + helped
        for part in (0, *range(helped, members)):
            work(part)
        with exact_sleeps():
            wait_for_helpers(self._control, helped, self._tasks)

    def _help(self, member: int, tasks: int) -> None:
        """Do this member's part of the tasks after so many."""
        task = (tasks + 1) * MOST_MEMBERS - 1
        with exact_sleeps(), short_slices():
            while (task := wait_for_task(self._control, member, task)) != END:
                self._work(member)
                self._control[FLAGS + member * LINE] = task // MOST_MEMBERS


def helpers() -> Helpers:
    """Those at hand, or new ones."""
    return _at_hand() or Helpers()


_here = threading.local()


def _at_hand() -> Helpers | None:
    """This thread's, which a forked process hasn't got."""
    those: Helpers | None = getattr(_here, "helpers", None)
    return those if those is not None and those.process == os.getpid() else None
