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
from collections.abc import Iterator
from typing import Any

# prctl's numbers, and how late a sleep may end, in nanoseconds.
_SET_TIMER_SLACK, _GET_TIMER_SLACK = 29, 30
_TIMER_SLACK = 1
# Numbers of the calls sched_setattr and sched_getattr, which the C library doesn't know, by processor.
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
    return ctypes.CDLL(None)


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
    """Let this thread's time slices last so long; returns what they were, 0 where the system knows no such thing."""
    if not sys.platform.startswith("linux") or platform.machine() not in _CALLS:
        return 0
    set_attributes, get_attributes = (ctypes.c_long(number) for number in _CALLS[platform.machine()])
    found = _Attributes()
    size = ctypes.sizeof(found)
    failed = _library().syscall(get_attributes, 0, ctypes.byref(found), size, 0)
    if failed or found.policy != _USUAL:
        return 0
    before, found.runtime = int(found.runtime), nanoseconds
    _library().syscall(set_attributes, 0, ctypes.byref(found), 0)
    return before


@contextlib.contextmanager
def exact_sleeps() -> Iterator[None]:
    """Sleeps of this thread end in time."""
    before = set_timer_slack(_TIMER_SLACK)
    try:
        yield
    finally:
        set_timer_slack(before)


@contextlib.contextmanager
def short_slices() -> Iterator[None]:
    """This thread's time slices are short."""
    before = set_slice(_SLICE)
    try:
        yield
    finally:
        set_slice(before)
