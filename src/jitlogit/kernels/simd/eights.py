"""Eight rows at a time: eight lanes with a number for each, or a tuple with lanes of each."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types

from ...compiler.jit import primitive
from ...compiler.types import is_none
from .lane_types import FLAGS, I8, I32, I64, LanesType, computed, constant, element, lane_count, splat
from .lanes import filled, plain_load, plain_load_masked, plain_width, pointer_to, read_vector, shuffled, typed_load

_EIGHT = range(8)


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


def _parts(builder: Any, eight: Any) -> list[Any]:
    return [builder.extract_value(eight, k) for k in _EIGHT]


def _tuple(builder: Any, values: list[Any]) -> Any:
    eight = ir.Constant(ir.ArrayType(values[0].type, 8), ir.Undefined)
    for k, value in enumerate(values):
        eight = builder.insert_value(eight, value, k)
    return eight


@primitive(lambda order, first: tuple(first + k if order is None else int(order[first + k]) for k in _EIGHT))
def rows_at(typing: Any, order: Any, first: Any) -> Any:
    """The rows at positions first ... first + 7 of an order, or of rows as they are stored."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        positions = [builder.add(args[1], ir.Constant(I64, k)) for k in _EIGHT]
        if is_none(order):
            return _tuple(builder, positions)
        return _tuple(builder, [_item(context, builder, order, args[0], position) for position in positions])

    return types.UniTuple(types.int64, 8)(order, types.int64), emit


def _item(context: Any, builder: Any, array_type: Any, array: Any, i: Any) -> Any:
    """An element of an array of unsigned integers, as int64."""
    pointer, itemsize = pointer_to(context, builder, array_type, array, [i])
    item = builder.load(builder.bitcast(pointer, element(array_type.dtype).as_pointer()), align=itemsize)
    return item if itemsize == 8 else builder.zext(item, I64)


def _plain_apart(rows: Any, eight: Any) -> Any:
    return eight


@primitive(_plain_apart)
def apart(typing: Any, rows: Any, eight: Any) -> Any:
    """The same eight rows, hiding from LLVM that they are neighbours.

    LLVM would otherwise compute each row's address from the one before it, anew in each step of the loop.
    """

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        shape = context.make_array(rows)(context, builder, args[0]).shape
        last = builder.sub(builder.extract_value(shape, 0), ir.Constant(I64, 1))
        return _tuple(
            builder, [builder.select(builder.icmp_signed("<", i, last), i, last) for i in _parts(builder, args[1])]
        )

    return eight(rows, eight), emit


def _typed_loads(rows: Any, eight: Any, masked: tuple[Any, ...] = ()) -> Any:
    lanes, emit_one = typed_load(rows, 2, masked=bool(masked))

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        values = [emit_one(context, builder, sig, [args[0], i, *args[2:]]) for i in _parts(builder, args[1])]
        return _tuple(builder, values)

    return types.UniTuple(lanes, 8)(rows, eight, types.int64, *masked), emit


@primitive(lambda rows, eight, j: tuple(plain_load(rows, i, j) for i in eight))
def load(typing: Any, rows: Any, eight: Any, j: Any) -> Any:
    """Lanes of each row, from feature j on."""
    return _typed_loads(rows, eight)


@primitive(lambda rows, eight, j, mask: tuple(plain_load_masked(rows, i, j, mask) for i in eight))
def load_masked(typing: Any, rows: Any, eight: Any, j: Any, mask: Any) -> Any:
    """As `load`, in as many lanes as the mask has; the others are 0."""
    return _typed_loads(rows, eight, (mask,))


@primitive(lambda array, t: tuple(filled(array, array[t + k], plain_width(array)) for k in _EIGHT))
def broadcast(typing: Any, array: Any, t: Any) -> Any:
    """Lanes that all hold array[t + k], for each k."""
    count = lane_count(array.dtype)

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        values = []
        for k in _EIGHT:
            i = builder.add(args[1], ir.Constant(I64, k))
            pointer, itemsize = pointer_to(context, builder, array, args[0], [i])
            value = builder.load(builder.bitcast(pointer, element(array.dtype).as_pointer()), align=itemsize)
            values.append(splat(builder, value, count))
        return _tuple(builder, values)

    return types.UniTuple(LanesType(array.dtype, count), 8)(array, types.int64), emit


def _plain_add_products(total: Any, a: Any, b: Any) -> Any:
    for x, y in zip(a, b, strict=True):
        total = total + x * y
    return total


def _product_added(builder: Any, total: Any, a: Any, b: Any) -> Any:
    return builder.fadd(total, builder.fmul(a, b, flags=FLAGS), flags=FLAGS)


@primitive(_plain_add_products)
def add_products(typing: Any, total: Any, a: Any, b: Any) -> Any:
    """Lanes total + sum_k a[k] b[k]; the products are added in their order."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        lanes = args[0]
        for x, y in zip(_parts(builder, args[1]), _parts(builder, args[2]), strict=True):
            lanes = _product_added(builder, lanes, x, y)
        return lanes

    return total(total, a, b), emit


@primitive(lambda totals, a, b: tuple(total + x * b for total, x in zip(totals, a, strict=True)))
def add_products_by(typing: Any, totals: Any, a: Any, b: Any) -> Any:
    """Lanes totals[k] + a[k] b, for each k."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        pairs = zip(_parts(builder, args[0]), _parts(builder, args[1]), strict=True)
        return _tuple(builder, [_product_added(builder, total, x, args[2]) for total, x in pairs])

    return totals(totals, a, b), emit


@primitive(lambda like: (filled(like, 0.0, plain_width(like)),) * 8)
def no_sums(typing: Any, like: Any) -> Any:
    """Lanes of zeros for each row."""
    lanes = LanesType(computed(like.dtype), lane_count(computed(like.dtype)))
    zero = ir.Constant(ir.ArrayType(ir.VectorType(element(lanes.dtype), lanes.count), 8), None)
    return types.UniTuple(lanes, 8)(like), lambda context, builder, sig, args: zero
