"""Lanes with a number for each of eight rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types

from ...compiler.jit import primitive
from .lane_types import FLAGS, I8, I32, LanesType, constant, element
from .lanes import filled, pointer_to, read_vector, shuffled


@primitive(lambda eight: np.array([v.sum(dtype=v.dtype) for v in eight]))
def sums(typing: Any, eight: Any) -> Any:
    """Eight lanes: lane k is the total of eight[k]."""
    dtype = eight.dtype.dtype
    bits = dtype.bitwidth

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        values = [builder.extract_value(args[0], k) for k in range(8)]
        while (count := values[0].type.count) * bits > 256:
            low, high = list(range(count // 2)), list(range(count // 2, count))
            values = [_added(builder, v, v, low, high) for v in values]
        if values[0].type.count * bits == 256:
            return (_sums_of_floats if bits == 32 else _sums_of_doubles)(builder, values)
        while len(values) > 1:
            values = [_joined(builder, *values[i : i + 2]) for i in range(0, len(values), 2)]
            if (count := values[0].type.count) > 8 // len(values):
                even, odd = list(range(0, count, 2)), list(range(1, count, 2))
                values = [_added(builder, v, v, even, odd) for v in values]
        return values[0]

    return LanesType(dtype, 8)(eight), emit


def _added(builder: Any, a: Any, b: Any, first: list[int], second: list[int]) -> Any:
    return builder.fadd(shuffled(builder, a, b, first), shuffled(builder, a, b, second), flags=FLAGS)


def _pairs(builder: Any, values: list[Any], first: list[int], second: list[int]) -> list[Any]:
    return [_added(builder, a, b, first, second) for a, b in zip(values[::2], values[1::2], strict=True)]


# Shuffles stay within 128-bit quarters of a register as long as possible: those cost least.
def _sums_of_floats(builder: Any, values: list[Any]) -> Any:
    values = _pairs(builder, values, [0, 8, 1, 9, 4, 12, 5, 13], [2, 10, 3, 11, 6, 14, 7, 15])
    values = _pairs(builder, values, [0, 1, 8, 9, 4, 5, 12, 13], [2, 3, 10, 11, 6, 7, 14, 15])
    return _pairs(builder, values, [0, 1, 2, 3, 8, 9, 10, 11], [4, 5, 6, 7, 12, 13, 14, 15])[0]


def _sums_of_doubles(builder: Any, values: list[Any]) -> Any:
    values = _pairs(builder, values, [0, 4, 2, 6], [1, 5, 3, 7])
    return _joined(builder, *_pairs(builder, values, [0, 1, 4, 5], [2, 3, 6, 7]))


def _joined(builder: Any, a: Any, b: Any) -> Any:
    return shuffled(builder, a, b, list(range(2 * a.type.count)))


@primitive(lambda like, labels, i: np.array([1 - 2 * int(y) for y in labels[i : i + 8]], like.dtype))
def signs(typing: Any, like: Any, labels: Any, i: Any) -> Any:
    """Eight lanes: +1 where labels[i + k] is 0, -1 where it is 1."""
    lanes = LanesType(like.dtype, 8)

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return _emit_signs(builder, read_vector(context, builder, labels, args[1], [args[2]], 8), lanes)

    return lanes(like, labels, types.int64), emit


@primitive(lambda like, labels, rows: np.array([1 - 2 * int(labels[row]) for row in rows], like.dtype))
def signs_of(typing: Any, like: Any, labels: Any, rows: Any) -> Any:
    """As `signs`, of labels[rows[k]]."""
    lanes = LanesType(like.dtype, 8)

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        bits = ir.Constant(ir.VectorType(I8, 8), None)
        for k in range(8):
            row = builder.extract_value(args[2], k)
            pointer, itemsize = pointer_to(context, builder, labels, args[1], [row])
            label = builder.load(builder.bitcast(pointer, I8.as_pointer()), align=itemsize)
            bits = builder.insert_element(bits, label, ir.Constant(I32, k))
        return _emit_signs(builder, bits, lanes)

    return lanes(like, labels, rows), emit


def _emit_signs(builder: Any, bits: Any, lanes: LanesType) -> Any:
    integers = ir.VectorType(I32, 8)
    wide = builder.zext(bits, integers)
    sign = builder.sub(constant(integers, 1), builder.add(wide, wide))
    return builder.sitofp(sign, ir.VectorType(element(lanes.dtype), 8))


@primitive(lambda like: filled(like, 0.0, 8))
def zeros(typing: Any, like: Any) -> Any:
    lanes = LanesType(like.dtype, 8)
    return lanes(like), lambda context, builder, sig, args: ir.Constant(ir.VectorType(element(like.dtype), 8), None)
