"""Sums over the rows, without updates.

Rows and parameters come in. Losses, gradient, Hessian, moments or predictions go out, chunk by chunk. Members of a
parallel region share out the chunks; the caller adds the chunks' sums in a fixed order.
"""
