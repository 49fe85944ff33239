"""The functions of the text, on compiled kernels.

Arrays as users have them come in, new arrays and numbers go out. Results equal those of the functions of the same names
in `jitlogit.reference`, which hold the formulas, but for rounding. No state is kept between calls.
"""
