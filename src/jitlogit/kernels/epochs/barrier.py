"""How threads find each other, inside one kernel or between two: a control array, checking in, tasks, and a barrier.

Barriers spin for as long as a meeting usually takes, then sleep. Where other processes want the same cores, a thread
that only spins, or gives way by `sched_yield`, loses a time slice per batch; one that slept soon gets its core back, so
members mostly run side by side again. Where they come to sleep in turn before short batches, which lasts, fewer of them
go on for a while. A helper counts once it has checked in; a task, some batches of an epoch, is done by the members that
have by then, so a thread that starts late or never is not waited for.
"""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils

from ...compiler.jit import helper, inline, kernel, primitive
from ..simd.lane_types import X86

# Words of the control array, each on cache lines of its own; a member's flag stands at FLAGS + its number.
LINE = 16
CHECKED_IN = 0 * LINE
TASK = 1 * LINE
_FIRST_BATCH = TASK + 1
_STOP_BATCH = TASK + 2
# The first member's own: what part of the members tasks want, for how many more batches, for how many tasks the next
# time; meetings since members were last judged, and before how many of them the first slept; whether they ever were.
_DIVISOR = 2 * LINE
_REST = _DIVISOR + 1
_PENALTY = _DIVISOR + 2
_MEETINGS = _DIVISOR + 3
_SLEEPS = _DIVISOR + 4
_JUDGED = _DIVISOR + 5
FLAGS = 3 * LINE

END = -1
MOST_MEMBERS = 4096
#: Most batches of a task; and of one that tries whether members run side by side again.
TASK_BATCHES = 64
_TRIED_BATCHES = 8
# Members sleep in turn, if one sleeps before one in so many meetings, and before so many.
_MEETINGS_A_SLEEP, _LEAST_SLEEPS = 8, 2
_MOST_REST = 32
# Members rightly sleep while another is away for a time slice. Before longer batches, that isn't seldom, and costs
# less. They rightly wait for longer, too, where the chunks, a power of two, can't be shared out evenly.
_SHORT_BATCH_BYTES, _SHORT_UNEVEN_BYTES = 2 * 1024 * 1024, 256 * 1024
# A pause is about 15 ns, and a turn without one a few. A barrier is mostly over within microseconds, and so is what
# comes between epochs.
_SPINS = 3000 if X86 else 15_000
_FIRST_SPINS = 10_000
_NAP_MICROSECONDS = 10
# A helper's next task may take long to come: its naps get longer.
_NAPS_A_MICROSECOND, _LONGEST_NAP_MICROSECONDS = 10, 1000


def _word(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    struct = context.make_array(sig.args[0])(context, builder, args[0])
    return builder.gep(struct.data, [args[1]])


def _plain_read(control: Any, i: int) -> int:
    return int(control[i])


@primitive(_plain_read)
def read(typing: Any, control: Any, i: Any) -> Any:
    """control[i], and with it whatever its writer wrote before."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.load_atomic(_word(context, builder, sig, args), "acquire", 8)

    return types.int64(control, types.int64), emit


def _plain_write(control: Any, i: int, value: int) -> None:
    control[i] = value


@primitive(_plain_write)
def write(typing: Any, control: Any, i: Any, value: Any) -> Any:
    """control[i] = value, after whatever was written before."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        builder.store_atomic(args[2], _word(context, builder, sig, args), "release", 8)
        return context.get_dummy_value()

    return types.void(control, types.int64, types.int64), emit


def _plain_count_up(control: Any, i: int) -> int:
    control[i] += 1
    return int(control[i])


@primitive(_plain_count_up)
def count_up(typing: Any, control: Any, i: Any) -> Any:
    """Add one to control[i] and return the sum."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        one = ir.Constant(ir.IntType(64), 1)
        return builder.add(builder.atomic_rmw("add", _word(context, builder, sig, args), one, "acq_rel"), one)

    return types.int64(control, types.int64), emit


@primitive(lambda: None)
def pause(typing: Any) -> Any:
    """Tell the processor that this is a waiting loop."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        if X86:
            kind = ir.FunctionType(ir.VoidType(), [])
            builder.call(cgutils.get_or_insert_function(builder.module, kind, "llvm.x86.sse2.pause"), [])
        return context.get_dummy_value()

    return types.void(), emit


_int32 = ir.IntType(32)


@primitive(lambda microseconds: time.sleep(1e-6 * microseconds))
def nap(typing: Any, microseconds: Any) -> Any:
    """Sleep for a moment."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        kind = ir.FunctionType(_int32, [_int32])
        function = cgutils.get_or_insert_function(builder.module, kind, "usleep")
        builder.call(function, [builder.trunc(args[0], _int32)])
        return context.get_dummy_value()

    return types.void(types.int64), emit


@helper
def check_in(control):
    """Return the number of a helper, from 1 on."""
    return count_up(control, CHECKED_IN)


@helper
def announce(control, members, batch, n_batches):
    """Begin a task at a batch, with up to `members` members that have checked in; return it, see `members_of`.

    The first task waits for them for as long as a thread takes to start; a first member that slept would have its core
    given to the other.
    """
    length = TASK_BATCHES
    number = read(control, TASK) // MOST_MEMBERS + 1
    if control[_REST] <= 0:
        control[_DIVISOR] = 1
        if members > 1 and (control[_JUDGED] == 0 or control[_PENALTY] > 0):
            length = _TRIED_BATCHES
    wanted = max(1, members // control[_DIVISOR])
    waited = 0 if number == 1 else _FIRST_SPINS
    while read(control, CHECKED_IN) < wanted - 1 and waited < _FIRST_SPINS:
        pause()
        waited += 1
    task = number * MOST_MEMBERS + min(wanted, read(control, CHECKED_IN) + 1)
    control[_FIRST_BATCH] = batch
    control[_STOP_BATCH] = min(batch + length, n_batches)
    write(control, TASK, task)
    return task


@helper
def next_task(control, members, member, task, first_batch, n_batches, helping):
    """Begin a task at a batch, or wait for the one after `task`; return it, its first batch and the one after its last.

    It is negative at the end.
    """
    if helping:
        task = await_task(control, member, task)
    elif first_batch < n_batches:
        task = announce(control, members, first_batch, n_batches)
    else:
        task = np.int64(END)
    return task, control[_FIRST_BATCH], control[_STOP_BATCH]


@helper
def look_back(control, members, task, batches, batch_bytes, sleeps):
    """After a task before some of whose meetings the first member slept: who sleep in turn are fewer for a while."""
    control[_REST] -= batches
    count = members_of(task)
    if batch_bytes > (_SHORT_UNEVEN_BYTES if count & (count - 1) else _SHORT_BATCH_BYTES):
        control[_JUDGED] = 1
        return
    meetings = batches if count > 1 else 0
    control[_MEETINGS] += meetings
    control[_SLEEPS] += sleeps
    if control[_MEETINGS] < _TRIED_BATCHES:
        return
    control[_JUDGED] = 1
    if control[_SLEEPS] >= max(_LEAST_SLEEPS, control[_MEETINGS] // _MEETINGS_A_SLEEP):
        control[_DIVISOR] = min(members, 2 * control[_DIVISOR])
        control[_PENALTY] = min(_MOST_REST, 2 * control[_PENALTY] + 1)
        control[_REST] = control[_PENALTY] * TASK_BATCHES
    else:
        control[_PENALTY] //= 2
    control[_MEETINGS] = 0
    control[_SLEEPS] = 0


@inline  # Numba won't cache a kernel that still holds the address of a function, `walk`
def do_tasks(walk, batches, work, n_batches, batch_bytes, control, members, helping):
    """Share out an epoch's batches as tasks and do a part of each, or, `helping`, a part of those of all epochs.

    ``walk(batches, work, control, member, task, first_batch, stop_batch, loss_sum)`` does a member's part of one; it
    returns the sum of the losses, to which it adds one batch after the other, so that it doesn't depend on tasks; and
    before how many batches' meetings this member slept. Returns the sum of the losses, NaN as soon as the bias isn't
    finite.
    """
    member = check_in(control) if helping else np.int64(0)
    task = np.int64(0)
    stop_batch = task
    loss_sum = 0.0
    while True:
        task, first_batch, stop_batch = next_task(control, members, member, task, stop_batch, n_batches, helping)
        if task < 0:
            return loss_sum
        loss_sum, sleeps = walk(batches, work, control, member, task, first_batch, stop_batch, loss_sum)
        if not helping:
            if not math.isfinite(work.bias[0, 0]):
                return math.nan
            look_back(control, members, task, stop_batch - first_batch, batch_bytes, sleeps)


@inline
def number_of(task):
    """Number of a task, from 1 on."""
    return task // MOST_MEMBERS


@inline
def members_of(task):
    """How many members take part in a task."""
    return task % MOST_MEMBERS


@helper
def await_task(control, member, done):
    """Wait until a task after `done` begins in which this member takes part; return it, or -1 at the end.

    The longer it takes, the longer are this member's sleeps.
    """
    waited = 0
    while True:
        task = read(control, TASK)
        if task == END or (task > done and member < members_of(task)):
            return task
        if waited < _SPINS:
            pause()
        else:
            nap(min(max((waited - _SPINS) // _NAPS_A_MICROSECOND, _NAP_MICROSECONDS), _LONGEST_NAP_MICROSECONDS))
        waited += 1


@helper
def meet(control, member, members, meeting):
    """Wait until all members have come to this meeting, numbered upwards from 1 on; return whether it took a sleep."""
    write(control, FLAGS + member * LINE, meeting)
    slept = False
    for other in range(members):
        waited = 0
        while read(control, FLAGS + other * LINE) < meeting:
            waited = wait(waited)
        if waited > _SPINS:
            slept = True
    return slept


@inline
def wait(waited):
    """Wait a little, after so many times; return the number of times."""
    if waited < _SPINS:
        pause()
    else:
        nap(_NAP_MICROSECONDS)
    return waited + 1


@kernel
def wait_for_task(control: Any, member: int, done: int) -> Any:
    """As `await_task`, for a thread that comes from Python."""
    return await_task(control, member, done)


@kernel
def wait_for_helpers(control: Any, members: int, meeting: int) -> None:
    """Wait until all members but the first have come to this meeting."""
    for other in range(1, members):
        waited = 0
        while read(control, FLAGS + other * LINE) < meeting:
            waited = wait(waited)
