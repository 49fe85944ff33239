"""Compiled loops over rows.

Checked arrays and named tuples of arrays come in. Results go out in arrays that the caller owns. Epochs are made of
passes, passes of operations on a storage and of steps, and these of vectors.
"""
