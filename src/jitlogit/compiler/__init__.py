"""The room for all that depends on the inside of Numba: flags, types, cache, lowering and parallel regions.

Python functions written for Numba come in. Kernels go out, which are compiled on first need, kept on disk, and called
by the number of threads that is asked for.
"""
