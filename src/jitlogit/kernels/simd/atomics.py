"""Atomic words of memory for synchronisation between threads, and how a thread waits for one."""

from __future__ import annotations

import sys
import time
from typing import Any

from llvmlite import ir
from numba import types

from ...compiler.jit import primitive
from .lane_types import I32, X86, call


def _word(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    struct = context.make_array(sig.args[0])(context, builder, args[0])
    return builder.gep(struct.data, [args[1]])


@primitive(lambda control, i: int(control[i]))
def read(typing: Any, control: Any, i: Any) -> Any:
    """control[i], with acquire order: what its writer wrote before is then visible, too."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.load_atomic(_word(context, builder, sig, args), "acquire", 8)

    return types.int64(control, types.int64), emit


@primitive(lambda control, i, value: control.__setitem__(i, value))
def write(typing: Any, control: Any, i: Any, value: Any) -> Any:
    """control[i] = value, with release order: after everything that this thread wrote before."""

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
    """Tell the processor that this is a spin loop."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        if X86:
            call(builder, "llvm.x86.sse2.pause", ir.VoidType(), [])
        return context.get_dummy_value()

    return types.void(), emit


#: Whether the C library has `usleep`. Windows lacks it; there, waiting threads only pause.
CAN_SLEEP = sys.platform != "win32"


@primitive(lambda microseconds: time.sleep(1e-6 * microseconds))
def sleep(typing: Any, microseconds: Any) -> Any:
    """Sleep; needs `CAN_SLEEP`."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        if CAN_SLEEP:
            call(builder, "usleep", I32, [builder.trunc(args[0], I32)])
        return context.get_dummy_value()

    return types.void(types.int64), emit
