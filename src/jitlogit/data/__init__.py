"""Whatever users pass becomes rows that kernels take.

Arrays, tables, sparse matrices and parameters come in. Checked arrays in a form that kernels read without a copy go
out, or an error that names the argument and says what to do.
"""
