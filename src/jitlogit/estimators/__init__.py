"""Estimators as scikit-learn has them.

Parameters, X and y come in. Fitted attributes go out, and whole models: to files, scikit-learn's class and ONNX. The
mathematics is in `training` and `optimum`.
"""

#: Modules whose names users see, which pages of documentation are made of; `jitlogit` loads them on first use.
__all__ = ["base", "export", "logistic", "logistic_cv", "mini_batch", "saving"]
