"""The comparison of reference and kernels, as tables, verdicts, pictures and a page.

Data, settings and names of rivals come in. A comparison, or the steps of a derivation, go out; both print themselves.
"""

#: Modules whose names users see, which pages of documentation are made of.
__all__ = ["compare", "comparison", "derivation"]
