"""How the members of a team share the batches of an epoch, inside one parallel region.

A member is an iteration of the region. The one that arrives first leads, since a threading layer may start any of them
late, or one after the other. The leader begins spans of some batches; a span is done by the members that have arrived
by then, which meet at a barrier in each batch. So nobody waits for a member that is late or never comes.

A member that waits at a barrier spins for as long as that usually takes, then sleeps. Where other processes want the
same cores, a thread that only spins loses a time slice a batch; one that sleeps gets its core back soon. Where the
leader often sleeps before short batches, the members run in turn and not side by side: spans then have fewer members
for a while.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...compiler.jit import helper, inline
from ..simd.atomics import count_up, nap, pause, read, write
from ..simd.lane_types import X86

# Words of the control array, on cache lines of their own; the flag of a member stands at _FLAGS + its number.
_LINE = 16
_ARRIVED = 0 * _LINE
_SPAN = 1 * _LINE
_FIRST_BATCH = _SPAN + 1
_STOP_BATCH = _SPAN + 2
# Of the leader, kept from epoch to epoch: by what the number of members is divided, for how many more batches, and for
# how many spans the next time; barriers since members were last judged, and at how many of them the leader slept;
# whether members were ever judged.
_DIVISOR = 2 * _LINE
_REST = _DIVISOR + 1
_PENALTY = _DIVISOR + 2
_BARRIERS = _DIVISOR + 3
_SLEEPS = _DIVISOR + 4
_JUDGED = _DIVISOR + 5
_FLAGS = 3 * _LINE

_END = -1
# A span is a number: its own times this, plus the number of its members.
_MOST_MEMBERS = 4096
#: Most batches of a span; and of one that tries whether members run side by side.
SPAN_BATCHES = 64
_TRIED_BATCHES = 8
# Members run in turn if the leader sleeps at one in so many barriers, and at so many of them.
_BARRIERS_A_SLEEP, _LEAST_SLEEPS = 8, 2
_MOST_REST = 32
# Bytes of a batch up to which members are judged. A longer one takes as long as a time slice, so members rightly sleep
# while another one has lost its core. Where chunks can't be shared out evenly, members rightly wait for longer too.
# Tuned on Zen 4, two cores.
_SHORT_BATCH_BYTES, _SHORT_UNEVEN_BYTES = 2 * 1024 * 1024, 256 * 1024
# Turns of a loop that waits, with a pause of some 15 ns on x86, and without one elsewhere. They last more than twice as
# long as the shortest sleep, which Linux ends some 60 microseconds late. Else a member that sleeps lets the others
# sleep too, and so on in turn: with 3000 turns, batches of 100 KB to 3 MB ran at a sixth of the rate (on Zen 4).
_SPINS = 10_000 if X86 else 50_000
# The same of the leader, before the first span.
_FIRST_SPINS = 10_000
_NAP_MICROSECONDS = 1
# The sleeps of a member that waits for a span become longer: one microsecond more with so many turns.
_TURNS_A_MICROSECOND, _LONGEST_NAP_MICROSECONDS = 10, 1000


def control_of(members: int) -> NDArray[np.int64]:
    """The control array of a team, for all epochs of a fit."""
    return np.zeros(_FLAGS + members * _LINE, np.int64)


def members_seen(control: NDArray[np.int64]) -> int:
    """How many members did the last span of the last epoch."""
    return int(control[_STOP_BATCH + 1])


@helper
def open_region(control):
    """Prepare the control array for the members of a region."""
    control[_ARRIVED] = 0
    control[_SPAN] = 0
    control[_FIRST_BATCH] = 0
    control[_STOP_BATCH] = 0
    for i in range(_FLAGS, control.size):
        control[i] = 0


@helper
def arrive(control):
    """Number of a member: how many have arrived before it. The first one leads."""
    return count_up(control, _ARRIVED) - 1


@inline
def members_of(span):
    """How many members do a span."""
    return span % _MOST_MEMBERS


@inline
def first_barrier(span):
    """Number of a span's first barrier; its others count on, up to two for each batch."""
    return span // _MOST_MEMBERS * 2 * SPAN_BATCHES


@inline
def start_of(control):
    """First batch of the span that goes on."""
    return control[_FIRST_BATCH]


@inline
def stop_of(control):
    """The batch after the last of the span that goes on."""
    return control[_STOP_BATCH]


@helper
def end_epoch(control):
    """Send the other members away."""
    write(control, _SPAN, _END)


@helper
def begin_span(control, members, batch, n_batches):
    """Begin a span at a batch, with up to `members` members that have arrived; return it.

    Before the first span, the leader waits for as long as a thread takes to wake up. It doesn't sleep meanwhile, since
    its core would be given to another.
    """
    length = SPAN_BATCHES
    number = control[_SPAN] // _MOST_MEMBERS + 1
    if control[_REST] <= 0:
        control[_DIVISOR] = 1
        if members > 1 and (control[_JUDGED] == 0 or control[_PENALTY] > 0):
            length = _TRIED_BATCHES
    wanted = max(1, members // control[_DIVISOR])
    waited = 0 if number == 1 else _FIRST_SPINS
    while read(control, _ARRIVED) < wanted and waited < _FIRST_SPINS:
        pause()
        waited += 1
    count = min(wanted, read(control, _ARRIVED))
    span = number * _MOST_MEMBERS + count
    control[_FIRST_BATCH] = batch
    control[_STOP_BATCH] = min(batch + length, n_batches)
    control[_STOP_BATCH + 1] = count
    write(control, _SPAN, span)
    return span


@helper
def await_span(control, member, done):
    """Wait for a span after `done` that has this member; return it, or a negative number at the end of the epoch."""
    waited = 0
    while True:
        span = read(control, _SPAN)
        if span == _END or (span > done and member < members_of(span)):
            return span
        if waited < _SPINS:
            pause()
        else:
            nap(min(max((waited - _SPINS) // _TURNS_A_MICROSECOND, _NAP_MICROSECONDS), _LONGEST_NAP_MICROSECONDS))
        waited += 1


@helper
def barrier(control, member, members, number):
    """Wait until all members have come to this barrier, numbered upwards from 1 on; return whether it took a sleep."""
    write(control, _FLAGS + member * _LINE, number)
    slept = False
    for other in range(members):
        waited = 0
        while read(control, _FLAGS + other * _LINE) < number:
            if waited < _SPINS:
                pause()
            else:
                nap(_NAP_MICROSECONDS)
                slept = True
            waited += 1
    return slept


@helper
def judge_span(control, members, span, batch_bytes, sleeps):
    """After a span at so many of whose barriers the leader slept: if members run in turn, have fewer for a while."""
    batches = control[_STOP_BATCH] - control[_FIRST_BATCH]
    control[_REST] -= batches
    count = members_of(span)
    if batch_bytes > (_SHORT_UNEVEN_BYTES if count & (count - 1) else _SHORT_BATCH_BYTES):
        control[_JUDGED] = 1
        return
    control[_BARRIERS] += batches if count > 1 else 0
    control[_SLEEPS] += sleeps
    if control[_BARRIERS] < _TRIED_BATCHES:
        return
    control[_JUDGED] = 1
    if control[_SLEEPS] >= max(_LEAST_SLEEPS, control[_BARRIERS] // _BARRIERS_A_SLEEP):
        control[_DIVISOR] = min(members, 2 * control[_DIVISOR])
        control[_PENALTY] = min(_MOST_REST, 2 * control[_PENALTY] + 1)
        control[_REST] = control[_PENALTY] * SPAN_BATCHES
    else:
        control[_PENALTY] //= 2
    control[_BARRIERS] = 0
    control[_SLEEPS] = 0
