"""The functions of the text, on compiled kernels.

Arrays as users have them come in. The same results go out as those of the twins in `jitlogit.reference`, which hold the
formulas. Nothing is kept between calls.
"""
