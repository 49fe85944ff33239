"""How threads inside one kernel find each other: a control array, checking in, tasks, and a barrier.

Barriers spin for as long as a meeting usually takes, then sleep. Where other processes want the same cores, a thread
that only spins, or gives way by `sched_yield`, loses a time slice per batch; one that slept soon gets its core back, so
members run side by side again. A helper counts once it has checked in; a task is done by the members
that have by then, so a thread that starts late or never is not waited for.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from .._jit import helper, inline, primitive
from .lane_types import X86

# Words of the control array, each on cache lines of its own; a member's flag stands at FLAGS + its number.
LINE = 16
CHECKED_IN = 0 * LINE
TASK = 1 * LINE
FLAGS = 2 * LINE

END = -1
MOST_MEMBERS = 4096
# A pause is about 15 ns. A barrier is mostly over within microseconds; the next epoch comes a little later.
_SPINS = 300
_MEETING_SPINS = 3000
_YIELDS = 2000
_CHECK_IN_YIELDS = 1000
_NAP_MICROSECONDS = 10


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


@primitive(lambda: None)
def give_way(typing: Any) -> Any:
    """Let another thread run."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        kind = ir.FunctionType(_int32, [])
        builder.call(cgutils.get_or_insert_function(builder.module, kind, "sched_yield"), [])
        return context.get_dummy_value()

    return types.void(), emit


@primitive(lambda: None)
def nap(typing: Any) -> Any:
    """Sleep for a moment."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        kind = ir.FunctionType(_int32, [_int32])
        function = cgutils.get_or_insert_function(builder.module, kind, "usleep")
        builder.call(function, [ir.Constant(_int32, _NAP_MICROSECONDS)])
        return context.get_dummy_value()

    return types.void(), emit


@helper
def check_in(control):
    """Return the number of a helper, from 1 on."""
    return count_up(control, CHECKED_IN)


@helper
def announce(control, wanted):
    """Begin a task with the members that have checked in, `wanted` if they do so soon; return it, see `members_of`."""
    number = read(control, TASK) // MOST_MEMBERS + 1
    patience = _CHECK_IN_YIELDS if number == 1 else 0
    while read(control, CHECKED_IN) < wanted - 1 and patience:
        give_way()
        patience -= 1
    task = number * MOST_MEMBERS + min(wanted, read(control, CHECKED_IN) + 1)
    write(control, TASK, task)
    return task


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
    """Wait until a task after `done` begins in which this member takes part; return it, or -1 at the end."""
    waited = 0
    while True:
        task = read(control, TASK)
        if task == END or (task > done and member < members_of(task)):
            return task
        waited += 1
        if waited < _SPINS:
            pause()
        elif waited < _SPINS + _YIELDS:
            give_way()
        else:
            nap()


@helper
def meet(control, member, members, meeting):
    """Wait until all members have come to this meeting; meetings are numbered upwards from 1 on."""
    write(control, FLAGS + member * LINE, meeting)
    for other in range(members):
        waited = 0
        while read(control, FLAGS + other * LINE) < meeting:
            waited += 1
            if waited < _MEETING_SPINS:
                pause()
            else:
                nap()
