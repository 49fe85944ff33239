"""How the members of a team share the batches of an epoch, inside one parallel region.

A member is an iteration of the region. The member that arrives first leads, since a threading layer may start any of
them late, or one after the other. The leader begins spans, which are runs of consecutive batches. The members that have
arrived by then do the span, with a barrier in each batch. So no member waits for one that is late or never comes.

A member that waits at a barrier spins for as long as waiting usually takes, then sleeps. If other processes want the
same cores, a thread that only spins loses a time slice in each batch, but one that sleeps soon gets its core back. If
the leader often sleeps at the barriers of short batches, the members run in turn instead of side by side. The next
spans then have fewer members.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...compiler.jit import helper, inline
from ..simd.atomics import CAN_SLEEP, count_up, pause, read, sleep, write
from ..simd.lane_types import X86

# Places in the control array. Different members write _LINE numbers of int64 apart, so to cache lines of their own.
# Member i writes the number of the barrier that it has come to at _FLAGS + i * _LINE.
_LINE = 16
_ARRIVED = 0 * _LINE
_SPAN = 1 * _LINE
_FIRST_BATCH = _SPAN + 1
_STOP_BATCH = _SPAN + 2
_MEMBERS = _SPAN + 3  # of the last span
# The leader keeps the following from epoch to epoch.
_DIVISOR = 2 * _LINE  # of the number of members: a span has members // divisor
_REST = _DIVISOR + 1  # bytes until the divisor is 1 again
_PENALTY = _DIVISOR + 2  # how long the team was last reduced, in _JUDGED_BYTES; halved when members ran side by side
_BYTES = _DIVISOR + 3  # read by members side by side since the last judgement
_SLEEPS = _DIVISOR + 4  # of the leader since then
_FLAGS = 3 * _LINE

_END = -1
# A span is one number, since it is published by one atomic write: its index times this, plus its number of members.
_MOST_MEMBERS = 4096

# The thresholds below were tuned on Zen 4, two cores.
#: Most batches of a span.
SPAN_BATCHES = 64
# Members are judged to run in turn if the leader lost more time to sleeps than its batches took. A sleep lasts as long
# as reading this many bytes, 60 microseconds.
_SLEEP_BYTES = 1_200_000
# Bytes after which members are judged to run side by side, some milliseconds: a time slice of another process.
_JUDGED_BYTES = 64 * 1024 * 1024
_MOST_PENALTY = 32
# Bytes of the longest batch by which members are judged; the second if their number isn't a power of two. In a longer
# batch, sleeps have other reasons: a member loses its core for a time slice, or chunks aren't shared out evenly.
_SHORT_BATCH_BYTES, _SHORT_UNEVEN_BYTES = 2 * 1024 * 1024, 256 * 1024
# Turns of a waiting loop before it sleeps. A turn takes about 15 ns on x86, with its pause instruction. The turns must
# last more than twice as long as the shortest sleep, which Linux ends about 60 microseconds late. With fewer turns, one
# sleeping member outlasts the others' turns, and they sleep too: with 3000 turns, batches of 100 KB to 3 MB ran at a
# sixth of the rate.
_SPINS = 10_000 if X86 else 50_000
# Turns that the leader waits for other members before the first span, about as long as a thread takes to wake up.
_FIRST_SPINS = 10_000
_SLEEP_MICROSECONDS = 1
# Each 10 turns of waiting for a span make the next sleep a microsecond longer, up to 1000 microseconds.
_TURNS_A_MICROSECOND, _LONGEST_SLEEP_MICROSECONDS = 10, 1000


def control_of(members: int) -> NDArray[np.int64]:
    """The control array of a team, for all epochs of a fit; `open_region` prepares it for each."""
    return np.zeros(_FLAGS + members * _LINE, np.int64)


@helper
def open_region(control):
    control[:_DIVISOR] = 0
    control[_FLAGS:] = 0


@helper
def arrive(control):
    """A member's number, which is the count of members that arrived before it. Member 0 leads."""
    return count_up(control, _ARRIVED) - 1


@inline
def members_of(span):
    return span % _MOST_MEMBERS


@inline
def first_barrier(span):
    """Number of a span's first barrier. The others count on, up to two for each batch."""
    return span // _MOST_MEMBERS * 2 * SPAN_BATCHES


@inline
def batches_of(control):
    """First batch of the current span, and the one after its last."""
    return control[_FIRST_BATCH], control[_STOP_BATCH]


@helper
def end_epoch(control):
    write(control, _SPAN, _END)


@helper
def begin_span(control, members, batch, n_batches):
    """Begin a span at a batch, with up to `members` members that have arrived; return it.

    Before the first span, the leader waits for other members for as long as a thread takes to wake up. It doesn't
    sleep, since it could lose its core.
    """
    number = control[_SPAN] // _MOST_MEMBERS + 1
    if control[_REST] <= 0:
        control[_DIVISOR] = 1
    wanted = max(1, members // control[_DIVISOR])
    waited = 0 if number == 1 else _FIRST_SPINS
    while read(control, _ARRIVED) < wanted and waited < _FIRST_SPINS:
        pause()
        waited += 1
    count = min(wanted, read(control, _ARRIVED))
    span = number * _MOST_MEMBERS + count
    control[_FIRST_BATCH] = batch
    control[_STOP_BATCH] = min(batch + SPAN_BATCHES, n_batches)
    control[_MEMBERS] = count
    write(control, _SPAN, span)
    return span


@helper
def await_span(control, member, done):
    """Wait for a span after `done` that includes this member; return it, or a negative number as the epoch ends."""
    waited = 0
    while True:
        span = read(control, _SPAN)
        if span == _END or (span > done and member < members_of(span)):
            return span
        if waited < _SPINS or not CAN_SLEEP:
            pause()
        else:
            sleep(min(max((waited - _SPINS) // _TURNS_A_MICROSECOND, _SLEEP_MICROSECONDS), _LONGEST_SLEEP_MICROSECONDS))
        waited += 1


@helper
def barrier(control, member, members, number):
    """Wait until all members have come to the barrier of this number; return how many sleeps this member took.

    Numbers rise from 1 on.
    """
    write(control, _FLAGS + member * _LINE, number)
    sleeps = 0
    for other in range(members):
        waited = 0
        while read(control, _FLAGS + other * _LINE) < number:
            if waited < _SPINS or not CAN_SLEEP:
                pause()
            else:
                sleep(_SLEEP_MICROSECONDS)
                sleeps += 1
            waited += 1
    return sleeps


@helper
def judge_span(control, members, span, batch_bytes, sleeps):
    """Judge from the leader's sleeps whether members run in turn; if so, have fewer members for some time.

    The time doubles with each consecutive judgement of that kind.
    """
    n_bytes = (control[_STOP_BATCH] - control[_FIRST_BATCH]) * batch_bytes
    control[_REST] -= n_bytes
    count = members_of(span)
    if count == 1 or batch_bytes > (_SHORT_UNEVEN_BYTES if count & (count - 1) else _SHORT_BATCH_BYTES):
        return
    control[_BYTES] += n_bytes
    control[_SLEEPS] += sleeps
    if control[_SLEEPS] * _SLEEP_BYTES > control[_BYTES]:
        control[_DIVISOR] = min(members, 2 * control[_DIVISOR])
        control[_PENALTY] = min(_MOST_PENALTY, 2 * control[_PENALTY] + 1)
        control[_REST] = control[_PENALTY] * _JUDGED_BYTES
    elif control[_BYTES] >= _JUDGED_BYTES:
        control[_PENALTY] //= 2
    else:
        return
    control[_BYTES] = 0
    control[_SLEEPS] = 0
