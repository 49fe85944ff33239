"""What people run and look at.

Data come in, from files or from Python. Tables, pictures and advice go out: the command line, reference beside kernels,
plots, a learning-rate finder, compiling ahead.
"""
