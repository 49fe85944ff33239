"""Helpers lowered without being optimised by themselves, kernels optimised once, with their parallel regions.

Numba optimises and emits every function by itself, and then again in each of its callers, into which it is linked. Of
kernels whose helpers call helpers, the innermost are optimised six times over, and only the kernel's own copy ever
runs. Here a helper is left as it was lowered, for the kernel to optimise the whole: a first fit compiles in half the
time. Kernels have no counts of references, which Numba removes between two rounds of optimising: one is enough.

Of a kernel with a parallel region, Numba compiles three parts by themselves: the region's body, its wrapper, and the
call of the threading layer. They too are left as they were lowered.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from numba import _dynfunc
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler, _LowerResult
from numba.core.compiler_machinery import register_pass
from numba.core.typed_passes import NativeLowering, NativeParforLowering

__all__ = ["HelperCompiler", "KernelCompiler", "ParallelCompiler", "marked"]

Function = TypeVar("Function", bound=Callable[..., Any])


_MARK = "_llvm_inlining"


def marked(function: Function, inlining: str) -> Function:
    """The function, whose LLVM code is to be inlined always ("alwaysinline"), never ("noinline"), or as LLVM sees fit.

    Numba's own option for the first is a flag, and whatever is called by functions of other flags is compiled again.
    """
    if inlining:
        setattr(function, _MARK, inlining)
    return function


class _HelperLibrary(JITCodeLibrary):  # type: ignore[misc]
    """LLVM code that is only ever linked into other code."""

    inlining = ""

    def add_ir_module(self, ir_module: Any) -> None:
        if self.inlining:
            for function in ir_module.functions:
                if not function.is_declaration:
                    function.attributes.add(self.inlining)
        super().add_ir_module(ir_module)

    def _optimize_functions(self, ll_module: Any) -> None:
        ll_module.data_layout = self._codegen._data_layout

    def _optimize_final_module(self) -> None:
        pass

    def _finalize_final_module(self) -> None:
        self._finalize_dynamic_globals()
        self._finalized = True


@register_pass(mutates_CFG=True, analysis_only=False)
class _HelperLowering(NativeLowering):  # type: ignore[misc]
    _name = "helper_lowering"

    def run_pass(self, state: Any) -> bool:
        name = state.func_id.func_qualname
        state.library = _HelperLibrary(state.targetctx.codegen(), name)
        state.library.inlining = getattr(state.func_id.func, _MARK, "")
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
    """The object by which callers find a function, which Python itself can't call."""
    address = 0
    name = description.qualname
    return _dynfunc.make_function(description.lookup_module(), name, "", address, environment, (library,))


class _KernelLibrary(JITCodeLibrary):  # type: ignore[misc]
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
    """Context, inside Numba's lock of the compiler, in which new libraries but the kernel's aren't optimised.

    Code of these is not callable, and so has no address.
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


def _with_lowering(lowering: Any, numbas: Any, pipelines: Any) -> Any:
    for pipeline in pipelines:
        pipeline.passes = [(lowering, about) if one is numbas else (one, about) for one, about in pipeline.passes]
        pipeline._finalized = False
        pipeline.finalize()
    return pipelines


class HelperCompiler(Compiler):  # type: ignore[misc]
    """Numba's own pipeline, with helpers' lowering."""

    def define_pipelines(self) -> Any:
        return _with_lowering(_HelperLowering, NativeLowering, super().define_pipelines())


class KernelCompiler(Compiler):  # type: ignore[misc]
    """Numba's own pipeline, with kernels' lowering."""

    def define_pipelines(self) -> Any:
        return _with_lowering(_KernelLowering, NativeLowering, super().define_pipelines())


class ParallelCompiler(Compiler):  # type: ignore[misc]
    """Numba's own pipeline, with the lowering of kernels that have a parallel region."""

    def define_pipelines(self) -> Any:
        return _with_lowering(_ParallelLowering, NativeParforLowering, super().define_pipelines())
