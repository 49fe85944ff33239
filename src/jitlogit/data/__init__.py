"""Checks of what users pass, and its conversion to rows that kernels take.

Arrays, tables, sparse matrices and parameters come in. Checked arrays that kernels read without a copy go out. A bad
argument raises an error that names it and says what to do.
"""
