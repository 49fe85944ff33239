"""Ctrl-C ends a fit after the current epoch, with a usable model."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def stopped_by_interrupt() -> Iterator[list[int]]:
    """Context in which the first Ctrl-C (SIGINT) only adds to the list; a second one raises KeyboardInterrupt.

    Nothing changes outside the main thread, where signals don't arrive, or where the program handles SIGINT itself.
    """
    interrupted: list[int] = []
    usual = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or usual is not signal.default_int_handler:
        yield interrupted
        return

    def note(number: int, frame: Any) -> None:
        if interrupted:
            raise KeyboardInterrupt
        interrupted.append(number)

    signal.signal(signal.SIGINT, note)
    try:
        yield interrupted
    finally:
        signal.signal(signal.SIGINT, usual)
