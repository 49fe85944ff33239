"""Vectors of the processor's width as values; atomic words and prefetching, since these are LLVM code, too.

Arrays come in. Lanes go out, and operations on them.
"""
