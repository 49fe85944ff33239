"""Access to memory other than by neighbouring lanes: prefetch, transposition, gather."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types

from ...compiler.jit import primitive
from .lane_types import I32, I64, LanesType, call, computed, element, lane_count
from .lanes import plain_widen, plain_width, pointer_to, read_vector, shuffled, widen


def _emit_prefetch(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    pointer, _ = pointer_to(context, builder, sig.args[0], args[0], list(args[1:]))
    for_reading, second_level, data = (ir.Constant(I32, k) for k in (0, 2, 1))
    call(builder, "llvm.prefetch.p0", ir.VoidType(), [pointer, for_reading, second_level, data])
    return context.get_dummy_value()


@primitive(lambda array, i, j: None)
def prefetch(typing: Any, array: Any, i: Any, j: Any) -> Any:
    """Prefetch array[i, j] into the second-level cache, which can have more requests under way than the first."""
    return types.void(array, types.int64, types.int64), _emit_prefetch


@primitive(lambda array, i: None)
def prefetch_item(typing: Any, array: Any, i: Any) -> Any:
    """As `prefetch`, for array[i]."""
    return types.void(array, types.int64), _emit_prefetch


def _plain_store_turned(out: Any, i: Any, j: Any, array: Any, i_array: Any) -> None:
    width = plain_width(array)
    square = array[i_array : i_array + width, j : j + width]
    out[i : i + width, j : j + width] = square if out.dtype == array.dtype else plain_widen(square)


@primitive(_plain_store_turned)
def store_turned(typing: Any, out: Any, i: Any, j: Any, array: Any, i_array: Any) -> Any:
    """out[i + k, j + l] = array[i_array + k, j + l] for k, l < number of lanes; `out` is in C order, `array` in F.

    Values are widened if `out` has another dtype than `array`.
    """
    count = lane_count(computed(array.dtype))

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        turned, row, column, columns, first = args
        values = []
        for k in range(count):
            at = builder.add(column, ir.Constant(I64, k))
            raw = read_vector(context, builder, array, columns, [first, at], count)
            values.append(raw if out.dtype == array.dtype else widen(builder, array.dtype, raw, count))
        size = 1
        while size < count:  # transpose each square of 2 x 2 blocks: swap the two blocks off its diagonal
            low = [k if not k & size else k - size + count for k in range(count)]
            high = [k + size if not k & size else k + count for k in range(count)]
            for k in range(count):
                if not k & size:
                    a, b = values[k], values[k + size]
                    values[k], values[k + size] = shuffled(builder, a, b, low), shuffled(builder, a, b, high)
            size *= 2
        for k, value in enumerate(values):
            at = builder.add(row, ir.Constant(I64, k))
            pointer, itemsize = pointer_to(context, builder, out, turned, [at, column])
            builder.store(value, builder.bitcast(pointer, value.type.as_pointer()), align=itemsize)
        return context.get_dummy_value()

    return types.void(out, types.int64, types.int64, array, types.int64), emit


def _plain_gather(rows: Any, order: Any, first: Any, used: Any, j: Any) -> Any:
    at = first + np.minimum(np.arange(plain_width(rows)), used - 1)
    return plain_widen(np.ascontiguousarray(rows[order[at], j]))


@primitive(_plain_gather)
def gather(typing: Any, rows: Any, order: Any, first: Any, used: Any, j: Any) -> Any:
    """Lanes rows[order[first + k], j]; lanes from `used` on repeat the last one before."""
    lanes = LanesType(computed(rows.dtype), lane_count(computed(rows.dtype)))

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        matrix, positions, start, count, column = args
        stored = ir.VectorType(element(rows.dtype), lanes.count)
        raw = ir.Constant(stored, None)
        for k in range(lanes.count):
            lane = ir.Constant(I64, k)
            inside = builder.icmp_signed("<", lane, count)
            lane = builder.select(inside, lane, builder.sub(count, ir.Constant(I64, 1)))
            pointer, size = pointer_to(context, builder, order, positions, [builder.add(start, lane)])
            index = builder.load(builder.bitcast(pointer, ir.IntType(8 * size).as_pointer()), align=size)
            index = builder.zext(index, I64) if size < 8 else index
            pointer, size = pointer_to(context, builder, rows, matrix, [index, column])
            value = builder.load(builder.bitcast(pointer, stored.element.as_pointer()), align=size)
            raw = builder.insert_element(raw, value, ir.Constant(I32, k))
        return widen(builder, rows.dtype, raw, lanes.count)

    return lanes(rows, order, types.int64, types.int64, types.int64), emit
