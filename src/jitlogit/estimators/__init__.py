"""Estimators as scikit-learn has them.

Parameters, X and y come in. Fitted attributes go out. The mathematics is in `training` and `optimum`.
"""
