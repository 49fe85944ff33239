"""Vectors of the processor's width, as values in kernels.

Kernels place rows in vector registers themselves. So their speed doesn't depend on LLVM's vectoriser, they have no
scalar remainders, and they compile in a fraction of the time. Loads widen stored values, so that one kernel serves
every stored dtype: float64 and float32 stay, integers, float16 and bfloat16 become float32.

Operators add, multiply and compare lanes. A product and a sum may be fused; nothing is reordered. With the JIT switched
off, lanes are NumPy arrays.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types

from ...compiler.jit import primitive
from .lane_types import (
    FLAGS,
    FLOATS,
    HALF_BYTES,
    I8,
    I32,
    I64,
    VECTOR_BYTES,
    WIDENS_HALF,
    LanesType,
    call,
    computed,
    constant,
    element,
    half_count,
    lane_count,
    splat,
    suffix,
)


def pointer_to(context: Any, builder: Any, array_type: Any, array: Any, indices: list[Any]) -> Any:
    """Address of an element, and its size in bytes; the contiguous axis' stride is a constant."""
    struct = context.make_array(array_type)(context, builder, array)
    itemsize = array_type.dtype.bitwidth // 8
    contiguous = {"C": array_type.ndim - 1, "F": 0}.get(array_type.layout)
    offset = ir.Constant(I64, 0)
    for axis, index in enumerate(indices):
        stride = ir.Constant(I64, itemsize) if axis == contiguous else builder.extract_value(struct.strides, axis)
        offset = builder.add(offset, builder.mul(index, stride))
    base = builder.bitcast(struct.data, I8.as_pointer())
    return builder.gep(base, [offset]), itemsize


def read_vector(context: Any, builder: Any, array_type: Any, array: Any, indices: list[Any], count: int) -> Any:
    """Stored values, from an element on."""
    pointer, itemsize = pointer_to(context, builder, array_type, array, indices)
    vector = ir.VectorType(element(array_type.dtype), count)
    return builder.load(builder.bitcast(pointer, vector.as_pointer()), align=itemsize)


def widen(builder: Any, dtype: types.Type, raw: Any, count: int) -> Any:
    """Widen stored values. uint16 holds the bits of float16, int16 the bits of bfloat16."""
    floats = ir.VectorType(element(computed(dtype)), count)
    if dtype in FLOATS:
        return raw
    integers = ir.VectorType(I32, count)
    if dtype == types.uint16:
        if WIDENS_HALF:
            return builder.fpext(builder.bitcast(raw, ir.VectorType(ir.HalfType(), count)), floats)
        return _widen_half(builder, builder.zext(raw, integers), floats)
    if dtype == types.int16:
        wide = builder.shl(builder.zext(raw, integers), constant(integers, 16))
        return builder.bitcast(wide, floats)
    wide = builder.sext(raw, integers) if dtype.signed else builder.zext(raw, integers)
    return builder.sitofp(wide, floats)


def _widen_half(builder: Any, bits: Any, floats: Any) -> Any:
    """Widen float16 by shifts, where no instruction does.

    float32's exponents are larger by 112: a product with 2^112 corrects them, and normalises subnormals.
    """
    integers = bits.type
    magnitude = builder.shl(builder.and_(bits, constant(integers, 0x7FFF)), constant(integers, 13))
    finite = builder.fmul(builder.bitcast(magnitude, floats), constant(floats, 2.0**112))
    exponent = constant(integers, 0x7C00)
    special = builder.icmp_signed("==", builder.and_(bits, exponent), exponent)
    largest = builder.or_(magnitude, constant(integers, 0x7F800000))
    widened = builder.select(special, largest, builder.bitcast(finite, integers))
    sign = builder.shl(builder.and_(bits, constant(integers, 0x8000)), constant(integers, 16))
    return builder.bitcast(builder.or_(widened, sign), floats)


def typed_load(array: Any, n_indices: int, masked: bool, half: bool = False) -> Any:
    dtype = computed(array.dtype)
    lanes = LanesType(dtype, half_count(array.dtype) if half else lane_count(dtype))

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        indices = list(args[1 : 1 + n_indices])
        if not masked:
            raw = read_vector(context, builder, array, args[0], indices, lanes.count)
            return widen(builder, array.dtype, raw, lanes.count)
        pointer, itemsize = pointer_to(context, builder, array, args[0], indices)
        vector = ir.VectorType(element(array.dtype), lanes.count)
        pointer = builder.bitcast(pointer, vector.as_pointer())
        operands = [pointer, ir.Constant(I32, itemsize), args[-1], ir.Constant(vector, None)]
        raw = call(builder, f"llvm.masked.load.{suffix(vector)}.p0", vector, operands)
        return widen(builder, array.dtype, raw, lanes.count)

    return lanes, emit


def plain_width(array: Any) -> int:
    return VECTOR_BYTES // (8 if array.dtype == np.float64 else 4)


def _plain_half_width(array: Any) -> int:
    return min(plain_width(array), int(HALF_BYTES // array.itemsize))


def plain_widen(stored: Any) -> Any:
    if stored.dtype == np.uint16:
        return stored.view(np.float16).astype(np.float32)
    if stored.dtype == np.int16:
        return (stored.astype(np.uint16).astype(np.uint32) << 16).view(np.float32)
    return stored.astype(np.float64 if stored.dtype == np.float64 else np.float32)


def _plain_read(array: Any, index: Any, count: int) -> Any:
    if array.flags.c_contiguous:
        found = array[index[:-1]][index[-1] :]
    else:
        found = array[index[0] :, index[1]]
    return plain_widen(np.ascontiguousarray(found[:count])).view(_Plain)


def plain_load(array: Any, *index: Any) -> Any:
    return _plain_read(array, index, plain_width(array))


@primitive(plain_load)
def load(typing: Any, array: Any, i: Any) -> Any:
    """Lanes array[i], array[i + 1], ... of a 1-D array."""
    lanes, emit = typed_load(array, 1, masked=False)
    return lanes(array, types.int64), emit


@primitive(plain_load)
def load2(typing: Any, array: Any, i: Any, j: Any) -> Any:
    """Lanes along the contiguous axis of a 2-D array, from its element [i, j] on."""
    lanes, emit = typed_load(array, 2, masked=False)
    return lanes(array, types.int64, types.int64), emit


@primitive(plain_load)
def load3(typing: Any, array: Any, i: Any, j: Any, k: Any) -> Any:
    """Lanes along the last axis of a 3-D array in C order, from its element [i, j, k] on."""
    lanes, emit = typed_load(array, 3, masked=False)
    return lanes(array, types.int64, types.int64, types.int64), emit


@primitive(lambda like, array, i: _plain_read(array, (i,), _plain_half_width(like)))
def load_half(typing: Any, like: Any, array: Any, i: Any) -> Any:
    """Half lanes array[i], array[i + 1], ... of an array of floats; as many as `load2_half` loads from `like`."""
    lanes = LanesType(array.dtype, half_count(like.dtype))

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return read_vector(context, builder, array, args[1], [args[2]], lanes.count)

    return lanes(like, array, types.int64), emit


@primitive(lambda array, *index: _plain_read(array, index, _plain_half_width(array)))
def load2_half(typing: Any, array: Any, i: Any, j: Any) -> Any:
    """As `load2`, in half lanes: from at most `HALF_BYTES` of memory."""
    lanes, emit = typed_load(array, 2, masked=False, half=True)
    return lanes(array, types.int64, types.int64), emit


@primitive(lambda like, array, i: array[i : i + plain_width(like)].astype(like.dtype))
def load_as(typing: Any, like: Any, array: Any, i: Any) -> Any:
    """Lanes array[i], array[i + 1], ... of small unsigned integers, as floats of `like`'s dtype."""
    lanes = LanesType(like.dtype, lane_count(like.dtype))

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        raw = read_vector(context, builder, array, args[1], [args[2]], lanes.count)
        wide = builder.zext(raw, ir.VectorType(I32, lanes.count))
        return builder.sitofp(wide, ir.VectorType(element(like.dtype), lanes.count))

    return lanes(like, array, types.int64), emit


def plain_load_masked(array: Any, i: Any, j: Any, mask: Any) -> Any:
    out = np.zeros(mask.size, np.float64 if array.dtype == np.float64 else np.float32)
    found = _plain_read(array, (i, j), int(mask.sum()))
    out[: found.size] = found
    return out


@primitive(plain_load_masked)
def load2_masked(typing: Any, array: Any, i: Any, j: Any, mask: Any) -> Any:
    """As `load2`, in as many lanes as the mask has; lanes outside the mask are 0, and their memory isn't read."""
    lanes, emit = typed_load(array, 2, masked=True, half=mask.count < lane_count(computed(array.dtype)))
    return lanes(array, types.int64, types.int64, mask), emit


@primitive(lambda array, i, j: plain_widen(array[i : i + 1, j])[0])
def item(typing: Any, array: Any, i: Any, j: Any) -> Any:
    """The single value array[i, j], widened."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        raw = read_vector(context, builder, array, args[0], list(args[1:]), 1)
        return builder.extract_element(widen(builder, array.dtype, raw, 1), ir.Constant(I32, 0))

    return computed(array.dtype)(array, types.int64, types.int64), emit


def _plain_store(array: Any, i: Any, lanes: Any) -> None:
    array[i : i + lanes.size] = lanes


@primitive(_plain_store)
def store(typing: Any, array: Any, i: Any, lanes: Any) -> Any:
    """array[i], array[i + 1], ... = lanes."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        pointer, itemsize = pointer_to(context, builder, array, args[0], [args[1]])
        builder.store(args[2], builder.bitcast(pointer, args[2].type.as_pointer()), align=itemsize)
        return context.get_dummy_value()

    return types.void(array, types.int64, lanes), emit


@primitive(plain_width)
def width(typing: Any, array: Any) -> Any:
    """Number of lanes that `load` loads from an array, a compile-time constant."""
    count = lane_count(computed(array.dtype))
    return types.int64(array), lambda context, builder, sig, args: ir.Constant(I64, count)


@primitive(_plain_half_width)
def half_width(typing: Any, array: Any) -> Any:
    """Number of lanes that `load2_half` loads from an array, a compile-time constant."""
    count = half_count(array.dtype)
    return types.int64(array), lambda context, builder, sig, args: ir.Constant(I64, count)


class _Plain(np.ndarray):
    """Lanes where the JIT is off: ``+=`` makes new ones, since other variables may hold the old ones."""

    def __iadd__(self, other: Any) -> Any:  # type: ignore[misc]
        return self + other


def filled(array: Any, value: Any, count: int) -> Any:
    return np.full(count, value, np.float64 if array.dtype == np.float64 else np.float32).view(_Plain)


def _typed_fill(array: Any, count: int) -> Any:
    lanes = LanesType(computed(array.dtype), count)
    return lanes(array, lanes.dtype), lambda context, builder, sig, args: splat(builder, args[1], count)


@primitive(lambda array, value: filled(array, value, plain_width(array)))
def fill(typing: Any, array: Any, value: Any) -> Any:
    """Lanes that all hold a number, of the dtype that `load` gives."""
    return _typed_fill(array, lane_count(computed(array.dtype)))


@primitive(lambda array, i: filled(array, array[i], plain_width(array)))
def broadcast(typing: Any, array: Any, i: Any) -> Any:
    """Lanes that all hold array[i], of an array of floats."""
    lanes = LanesType(array.dtype, lane_count(array.dtype))

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        pointer, itemsize = pointer_to(context, builder, array, args[0], [args[1]])
        pointer = builder.bitcast(pointer, element(array.dtype).as_pointer())
        return splat(builder, builder.load(pointer, align=itemsize), lanes.count)

    return lanes(array, types.int64), emit


@primitive(lambda array, value: filled(array, value, _plain_half_width(array)))
def fill_half(typing: Any, array: Any, value: Any) -> Any:
    """As `fill`, in half lanes."""
    return _typed_fill(array, half_count(array.dtype))


def _typed_first(array: Any, count: int) -> Any:
    lanes = LanesType(types.boolean, count)

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        vector = ir.VectorType(I32, count)
        bound = splat(builder, builder.trunc(args[1], I32), count)
        return builder.icmp_signed("<", ir.Constant(vector, list(range(count))), bound)

    return lanes(array, types.int64), emit


@primitive(lambda array, n: np.arange(plain_width(array)) < n)
def first(typing: Any, array: Any, n: Any) -> Any:
    """Mask of the first n lanes."""
    return _typed_first(array, lane_count(computed(array.dtype)))


@primitive(lambda array, n: np.arange(_plain_half_width(array)) < n)
def first_half(typing: Any, array: Any, n: Any) -> Any:
    """As `first`, for half lanes."""
    return _typed_first(array, half_count(array.dtype))


@primitive(np.where)
def where(typing: Any, mask: Any, a: Any, b: Any) -> Any:
    """a where the mask is set, else b; one of them may be a number."""
    result = a if isinstance(a, LanesType) else b

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        a, b = (v if isinstance(v.type, ir.VectorType) else splat(builder, v, result.count) for v in args[1:])
        return builder.select(args[0], a, b)

    return result(mask, *(v if isinstance(v, LanesType) else result.dtype for v in (a, b))), emit


def shuffled(builder: Any, a: Any, b: Any, lanes: list[int]) -> Any:
    return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(I32, len(lanes)), lanes))


@primitive(lambda a: a.sum(dtype=a.dtype))
def total(typing: Any, a: Any) -> Any:
    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        value = args[0]
        while value.type.count > 1:
            half = value.type.count // 2
            nothing = ir.Constant(value.type, ir.Undefined)
            low, high = (shuffled(builder, value, nothing, list(range(k, k + half))) for k in (0, half))
            value = builder.fadd(low, high, flags=FLAGS)
        return builder.extract_element(value, ir.Constant(I32, 0))

    return a.dtype(a), emit


@primitive(lambda a: a[0])
def first_of(typing: Any, a: Any) -> Any:
    return a.dtype(a), lambda context, builder, sig, args: builder.extract_element(args[0], ir.Constant(I32, 0))


def _typed_call(a: Any, name: str) -> Any:
    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return call(builder, f"llvm.{name}.{suffix(args[0].type)}", args[0].type, [args[0]])

    return a(a), emit


@primitive(np.rint)
def rounded(typing: Any, a: Any) -> Any:
    """Round to the nearest whole numbers, halves to even."""
    return _typed_call(a, "rint")


@primitive(np.abs)
def absolute(typing: Any, a: Any) -> Any:
    return _typed_call(a, "fabs")


@primitive(lambda k: np.ldexp(np.ones_like(k), np.nan_to_num(k).astype(np.int32)))
def power_of_two(typing: Any, k: Any) -> Any:
    """2^k for whole numbers k; right only where 2^k is a normal number."""
    bits, mantissa, bias = (32, 23, 127) if k.dtype == types.float32 else (64, 52, 1023)

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        integers = ir.VectorType(ir.IntType(bits), k.count)
        exponent = builder.add(builder.fptosi(args[0], integers), constant(integers, bias))
        return builder.bitcast(builder.shl(exponent, constant(integers, mantissa)), args[0].type)

    return k(k), emit
