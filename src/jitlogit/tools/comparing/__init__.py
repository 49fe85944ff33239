"""The comparison of reference and kernels, as tables, verdicts, pictures and a page.

Data, settings and names of rivals come in. A comparison, or the steps of a derivation, go out; both print themselves.
"""
