"""What Linux is asked for while a thread computes together with others: sleeps that end in time, and short time slices.

By default a sleep ends later than it lasts, and who wakes up waits until another process's time slice is over, for
milliseconds, if that wants the same core. A thread with shorter slices of its own gets its core back sooner.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import platform
import sys
from collections.abc import Callable, Iterator
from typing import Any

# prctl's numbers, and how late a sleep may end, in nanoseconds.
_SET_TIMER_SLACK, _GET_TIMER_SLACK = 29, 30
_TIMER_SLACK = 1
# Numbers of the calls sched_setattr and sched_getattr, which older C libraries don't know, by processor.
_CALLS = {"x86_64": (314, 315), "aarch64": (274, 275)}
# The usual kind of scheduling, and the least slice that it has, in nanoseconds (since Linux 6.12; before, it knows
# none).
_USUAL, _SLICE = 0, 100_000


class _Attributes(ctypes.Structure):
    """Linux's sched_attr; of the usual scheduling, `runtime` is the slice."""

    _fields_ = [
        ("size", ctypes.c_uint32),
        ("policy", ctypes.c_uint32),
        ("flags", ctypes.c_uint64),
        ("nice", ctypes.c_int32),
        ("priority", ctypes.c_uint32),
        ("runtime", ctypes.c_uint64),
        ("deadline", ctypes.c_uint64),
        ("period", ctypes.c_uint64),
    ]


@functools.cache
def _library() -> Any:
    return ctypes.PyDLL(None)  # holds Python's lock: to get that back may take longer than these calls


def set_timer_slack(nanoseconds: int) -> int:
    """Let this thread's sleeps end late by at most so much; returns what it was.

    0, for the default, where the system knows no such thing.
    """
    if not sys.platform.startswith("linux"):
        return 0
    before = max(0, int(_library().prctl(_GET_TIMER_SLACK, 0, 0, 0, 0)))
    _library().prctl(_SET_TIMER_SLACK, ctypes.c_ulong(nanoseconds), 0, 0, 0)
    return before


def set_slice(nanoseconds: int) -> int:
    """Let this thread's time slices last so long, 0 for the default; returns what they were.

    0 too where the system knows no such thing.
    """
    found = _attributes()
    if found is None:
        return 0
    before = int(found.runtime)
    default = _default_slice()
    _set_slice(found, nanoseconds)
    return 0 if before == default else before


def _attributes() -> _Attributes | None:
    """This thread's, None where it has no time slices that can be set."""
    if not sys.platform.startswith("linux") or platform.machine() not in _CALLS:
        return None
    found = _Attributes()
    number = ctypes.c_long(_CALLS[platform.machine()][1])
    failed = _library().syscall(number, 0, ctypes.byref(found), ctypes.sizeof(found), 0)
    return None if failed or found.policy != _USUAL else found


def _set_slice(attributes: _Attributes, nanoseconds: int) -> None:
    attributes.runtime = nanoseconds
    _library().syscall(ctypes.c_long(_CALLS[platform.machine()][0]), 0, ctypes.byref(attributes), 0)


@functools.cache
def _default_slice() -> int:
    """How long slices are by default; this thread then has them."""
    found = _attributes()
    if found is None:
        return 0
    _set_slice(found, 0)
    found = _attributes()
    return 0 if found is None else int(found.runtime)


def exact_sleeps() -> contextlib.AbstractContextManager[None]:
    """Context in which sleeps of this thread end in time."""
    return _meanwhile(set_timer_slack, _TIMER_SLACK)


def short_slices() -> contextlib.AbstractContextManager[None]:
    """Context in which this thread's time slices are short."""
    return _meanwhile(set_slice, _SLICE)


@contextlib.contextmanager
def _meanwhile(change: Callable[[int], int], nanoseconds: int) -> Iterator[None]:
    before = change(nanoseconds)
    try:
        yield
    finally:
        change(before)
