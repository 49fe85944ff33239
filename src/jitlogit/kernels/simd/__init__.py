"""Vectors of the processor's width as values; atomic words and prefetching, since these are LLVM code, too.

Arrays come in. Lanes go out, and operations on them.

These files use what Numba documents for extensions: `numba.extending.intrinsic`, models and types, the builder of
`llvmlite.ir`, and methods of the context that Numba passes to an intrinsic. Nothing is imported from `numba.core`. So
the plain way of `compiler.options` runs this code, too. Where the JIT is off, NumPy replaces it.
"""
