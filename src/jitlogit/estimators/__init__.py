"""Estimators as scikit-learn has them.

Parameters, X and y come in. Fitted attributes go out, and whole models: to files, scikit-learn's class and ONNX. The
mathematics is in `training` and `optimum`.
"""
