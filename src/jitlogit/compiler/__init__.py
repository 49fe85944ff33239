"""The room for everything that depends on the inside of Numba: flags, cache, lowering and parallel regions.

Python functions written for Numba come in. Kernels go out, which are compiled on first need, kept on disk, and called
by the number of threads that is asked for.
"""
