"""Linear algebra's own threads, kept out of the way of ours."""

from __future__ import annotations

import functools
import threading
from typing import Any

from threadpoolctl import ThreadpoolController


class _OneThread:
    """Context in which BLAS libraries use one thread.

    Theirs go on spinning after each product, and take the cores that our threads are to run on. The libraries' setting
    is the whole process's: it is changed by the first of several fits at once, and is as before after the last.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entered = 0
        self._limit: Any = None

    def __enter__(self) -> None:
        with self._lock:
            if self._entered == 0:
                self._limit = _libraries().limit(limits=1)
            self._entered += 1

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._entered -= 1
            if self._entered == 0:
                self._limit.restore_original_limits()


@functools.cache
def _libraries() -> ThreadpoolController:
    return ThreadpoolController().select(user_api="blas")


one_thread = _OneThread()
