"""Sums over the rows, without updates.

Rows and parameters come in. Loss, gradient, Hessian, moments or predictions go out, chunk by chunk. Members of a
parallel region share out the chunks, whose sums are added in a fixed order.
"""
