"""The only room that knows the inside of Numba: flags, cache, lowering and parallel regions.

Python functions written for Numba come in. Kernels go out: compiled on first need, kept on disk, and called by as many
threads as are wanted.
"""
