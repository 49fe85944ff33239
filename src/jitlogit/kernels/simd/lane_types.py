"""The Numba type of lanes, operators on them, and helpers that write LLVM code."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from llvmlite import binding, ir
from numba import config, types
from numba.extending import lower_builtin, models, register_model, type_callable


def _target_features() -> set[str]:
    """LLVM's names of the target processor's features: the host's, unless Numba's settings name another target."""
    if config.CPU_FEATURES is None:
        return {name for name, found in binding.get_host_cpu_features().items() if found}
    return {word[1:] for word in config.CPU_FEATURES.split(",") if word.startswith("+")}


_FEATURES = _target_features()
X86 = binding.get_process_triple().split("-")[0] in ("x86_64", "i386", "i686", "amd64")
#: Whether an instruction widens float16. Without one, LLVM would call a library function that isn't linked.
WIDENS_HALF = not X86 or "f16c" in _FEATURES
#: Width of a vector register, in bytes.
VECTOR_BYTES = 64 if "avx512f" in _FEATURES else 32 if "avx2" in _FEATURES else 16
#: Bytes, as stored, of the vectors that score rows: unaligned ones cross a cache line half as often as vectors of 64.
HALF_BYTES = 32

FLAGS = ("contract", "nsz")
I1, I8, I32, I64 = (ir.IntType(bits) for bits in (1, 8, 32, 64))
FLOATS = {types.float32: ir.FloatType(), types.float64: ir.DoubleType()}


def computed(dtype: types.Type) -> types.Type:
    """The dtype to which values of a stored dtype are widened."""
    return types.float64 if dtype == types.float64 else types.float32


def lane_count(dtype: types.Type) -> int:
    return int(VECTOR_BYTES * 8 // dtype.bitwidth)


def half_count(dtype: types.Type) -> int:
    """Number of lanes in half vectors, which score rows of a stored dtype."""
    return min(lane_count(computed(dtype)), int(HALF_BYTES * 8 // dtype.bitwidth))


class LanesType(types.Type):  # type: ignore[misc]
    def __init__(self, dtype: types.Type, count: int) -> None:
        self.dtype = dtype
        self.count = count
        super().__init__(name=f"lanes({dtype}, {count})")


def element(dtype: types.Type) -> ir.Type:
    if dtype in FLOATS:
        return FLOATS[dtype]
    return I1 if dtype == types.boolean else ir.IntType(dtype.bitwidth)


@register_model(LanesType)
class _LanesModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, lanes: LanesType) -> None:
        super().__init__(manager, lanes, ir.VectorType(element(lanes.dtype), lanes.count))


def _binary(symbol: Callable[..., Any], emit: str, result: types.Type | None = None) -> None:
    """Register an operator between two lanes of one floating-point type, or lanes and a number."""

    @type_callable(symbol)
    def make_typer(context: Any) -> Any:
        def typer(a: Any, b: Any) -> Any:
            lanes = {operand for operand in (a, b) if isinstance(operand, LanesType)}
            if len(lanes) != 1 or not all(isinstance(operand, LanesType | types.Number) for operand in (a, b)):
                return None
            (operand,) = lanes
            return operand if result is None else LanesType(result, operand.count)

        return typer

    @lower_builtin(symbol, LanesType, LanesType)
    @lower_builtin(symbol, LanesType, types.Number)
    @lower_builtin(symbol, types.Number, LanesType)
    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        lanes = next(operand for operand in sig.args if isinstance(operand, LanesType))

        def as_lanes(value: Any, operand: Any) -> Any:
            if isinstance(operand, LanesType):
                return value
            return splat(builder, context.cast(builder, value, operand, lanes.dtype), lanes.count)

        a, b = map(as_lanes, args, sig.args)
        if result is not None:
            return builder.fcmp_ordered(emit, a, b)
        return getattr(builder, emit)(a, b, flags=FLAGS)


_binary(operator.add, "fadd")
_binary(operator.iadd, "fadd")
_binary(operator.sub, "fsub")
_binary(operator.mul, "fmul")
_binary(operator.truediv, "fdiv")
_binary(operator.lt, "<", types.boolean)
_binary(operator.ge, ">=", types.boolean)


def constant(vector: ir.VectorType, value: Any) -> ir.Constant:
    return ir.Constant(vector, [value] * vector.count)


def call(builder: Any, name: str, result: ir.Type, args: list[Any]) -> Any:
    """Call a function of LLVM or of the C library, which is declared once in a module."""
    try:
        function = builder.module.get_global(name)
    except KeyError:
        function = ir.Function(builder.module, ir.FunctionType(result, [a.type for a in args]), name)
    return builder.call(function, args)


def suffix(vector: ir.VectorType) -> str:
    names = {"float": "f32", "double": "f64", "half": "f16"}
    return f"v{vector.count}" + names.get(str(vector.element), str(vector.element))


def splat(builder: Any, value: Any, count: int) -> Any:
    vector = ir.VectorType(value.type, count)
    one = builder.insert_element(ir.Constant(vector, ir.Undefined), value, ir.Constant(I32, 0))
    return builder.shuffle_vector(one, ir.Constant(vector, ir.Undefined), constant(ir.VectorType(I32, count), 0))
