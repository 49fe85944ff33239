"""Vectors of the processor's width as values.

Arrays come in. Lanes go out, and operations on them. Atomic words and prefetching are here too: all that is written in
LLVM's own language.
"""
