"""Compiler pipelines that optimise each kernel once, together with its helpers.

Numba optimises every function by itself, and again in each of its callers, into which it is linked. The innermost of
nested helpers are optimised six times over, although only the kernel's own copy ever runs. Here helpers are lowered to
LLVM code but neither optimised nor linked, so that the kernel links each once and optimises all of it. A first fit then
compiles in a fifth of the time. Kernels also skip one of Numba's two rounds of optimising, between which it removes
reference counts, since they have none. Python's garbage collector is paused, since it would search Numba's many
objects again and again.

Numba compiles three parts of a kernel with a parallel region by themselves: the region's body, its wrapper, and the
call of the threading layer. They too are left as they were lowered.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator
from typing import Any

from llvmlite.binding import Linkage
from numba import _dynfunc
from numba.core import typed_passes, untyped_passes
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler, _LowerResult
from numba.core.compiler_machinery import register_pass
from numba.core.typed_passes import NativeLowering, NativeParforLowering

# Passes for code that helpers don't have: closures, inlining by Numba itself, `with`, exceptions, loops over tuples of
# several types, `literally`, and whole arrays in expressions. Most walk through all of a function.
_UNNEEDED = frozenset(
    {
        untyped_passes.WithLifting,
        untyped_passes.InlineClosureLikes,
        untyped_passes.RewriteDynamicRaises,
        untyped_passes.MakeFunctionToJitFunction,
        untyped_passes.InlineInlinables,
        untyped_passes.FindLiterallyCalls,
        untyped_passes.LiteralUnroll,
        untyped_passes.LiteralPropagationSubPipelinePass,
        typed_passes.InlineOverloads,
        typed_passes.NopythonRewrites,
        typed_passes.NoPythonSupportedFeatureValidation,
        typed_passes.DumpParforDiagnostics,
        typed_passes.IRLegalization,
    }
)

#: Name of a helper's attribute: the LLVM attribute "alwaysinline" or "noinline". Numba's own option for the former is a
#: flag, and a function is compiled again for callers of other flags.
INLINING = "_llvm_inlining"


class _HelperLibrary(JITCodeLibrary):  # type: ignore[misc]
    """LLVM code that is only linked into kernels, and neither optimised nor emitted by itself."""

    inlining = ""

    def add_ir_module(self, ir_module: Any) -> None:
        if self.inlining:
            for function in ir_module.functions:
                if not function.is_declaration:
                    function.attributes.add(self.inlining)
        super().add_ir_module(ir_module)

    def _optimize_functions(self, ll_module: Any) -> None:
        ll_module.data_layout = self._codegen._data_layout

    def finalize(self) -> None:
        """Leave the libraries that this one calls to the kernel, in which unused code may be dropped."""
        for function in self.get_defined_functions():
            function.linkage = Linkage.linkonce_odr
        self._finalize_dynamic_globals()
        self._finalized = True

    def _get_module_for_linking(self) -> Any:
        return self._final_module


@register_pass(mutates_CFG=True, analysis_only=False)
class _HelperLowering(NativeLowering):  # type: ignore[misc]
    _name = "helper_lowering"

    def run_pass(self, state: Any) -> bool:
        name = state.func_id.func_qualname
        state.library = _HelperLibrary(state.targetctx.codegen(), name)
        state.library.inlining = getattr(state.func_id.func, INLINING, "")
        state.flags.no_compile = True
        super().run_pass(state)
        lowered = state["cr"]
        key = _not_callable(state.library, lowered.fndesc, lowered.env)
        state.targetctx.insert_user_function(key, lowered.fndesc, [state.library])
        if hasattr(state.library, "_reload_init"):  # from Numba 0.63 on
            state.reload_init.extend(state.library._reload_init)
        state["cr"] = _LowerResult(lowered.fndesc, lowered.call_helper, cfunc=key, env=lowered.env)
        return True


def _not_callable(library: Any, description: Any, environment: Any) -> Any:
    """The object by which compiled callers find a function. Its address is 0, so Python can't call it."""
    return _dynfunc.make_function(description.lookup_module(), description.qualname, "", 0, environment, (library,))


def _collect(library: Any, callees_first: dict[Any, None]) -> None:
    """Add a library to the dictionary, after all that it calls."""
    if library not in callees_first:
        for callee in library._linking_libraries:
            _collect(callee, callees_first)
        callees_first[library] = None


class _KernelLibrary(JITCodeLibrary):  # type: ignore[misc]
    """LLVM code of a kernel with all of its helpers."""

    _linking_libraries: list[Any]

    def finalize(self) -> None:
        callees_first: dict[Any, None] = {}
        for library in self._linking_libraries:
            _collect(library, callees_first)
        # A helper's code is dropped if nothing calls it yet. So callers are linked first.
        self._linking_libraries = list(reversed(callees_first))
        super().finalize()

    def _optimize_final_module(self) -> None:
        manager = self._codegen._module_pass_manager()
        if not isinstance(manager, tuple):  # before Numba 0.62
            super()._optimize_final_module()
            return
        passes, builder = manager
        passes.run(self._final_module, builder)


@register_pass(mutates_CFG=True, analysis_only=False)
class _KernelLowering(NativeLowering):  # type: ignore[misc]
    _name = "kernel_lowering"

    def run_pass(self, state: Any) -> bool:
        state.library = _KernelLibrary(state.targetctx.codegen(), state.func_id.func_qualname)
        state.library.enable_object_caching()
        return bool(super().run_pass(state))


@register_pass(mutates_CFG=True, analysis_only=False)
class _ParallelLowering(NativeParforLowering):  # type: ignore[misc]
    _name = "parallel_lowering"

    def run_pass(self, state: Any) -> bool:
        codegen = state.targetctx.codegen()
        state.library = _KernelLibrary(codegen, state.func_id.func_qualname)
        state.library.enable_object_caching()
        with _parts_as_lowered(state.targetctx, codegen, state.library):
            return bool(super().run_pass(state))


@contextlib.contextmanager
def _parts_as_lowered(context: Any, codegen: Any, kernel: Any) -> Iterator[None]:
    """Context in which no library but the kernel's is optimised, or has an address to call.

    Numba's lock of the compiler is held, so changing its context and code generator is safe.
    """
    executable = context.get_executable

    def get_executable(library: Any, description: Any, environment: Any) -> Any:
        make = executable if library is kernel else _not_callable
        return make(library, description, environment)

    codegen.create_library = lambda name, **_: _HelperLibrary(codegen, name)
    context.get_executable = get_executable
    try:
        yield
    finally:
        del codegen.create_library, context.get_executable


class _Compiler(Compiler):  # type: ignore[misc]
    """Numba's own pipeline with another pass for lowering."""

    replaced: Any = NativeLowering
    lowering: Any
    left_out: frozenset[Any] = frozenset()

    def define_pipelines(self) -> Any:
        pipelines = super().define_pipelines()
        for pipeline in pipelines:
            pipeline.passes = [
                (self.lowering if one is self.replaced else one, about)
                for one, about in dict(pipeline.passes).items()
                if one not in self.left_out
            ]
            pipeline._finalized = False
            pipeline.finalize()
        return pipelines


class HelperCompiler(_Compiler):
    lowering = _HelperLowering
    left_out = _UNNEEDED


class KernelCompiler(_Compiler):
    lowering = _KernelLowering

    def compile_extra(self, function: Any) -> Any:
        with _no_collection():
            return super().compile_extra(function)


class ParallelCompiler(KernelCompiler):
    lowering, replaced = _ParallelLowering, NativeParforLowering


@contextlib.contextmanager
def _no_collection() -> Iterator[None]:
    """Context without garbage collection, unless it was off before."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
