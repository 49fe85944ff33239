"""One thread for BLAS during a fit, so that its threads don't compete with ours."""

from __future__ import annotations

import functools
import threading
from typing import Any

from threadpoolctl import ThreadpoolController


class _OneThread:
    """Context in which BLAS libraries use one thread.

    Their threads go on spinning after each product, on cores that our threads need. The setting belongs to the whole
    process: the first of several overlapping fits changes it, and the last restores it.
    """

    def __init__(self) -> None:
        self._lock, self._entered = threading.Lock(), 0
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
