"""The mathematics of a row and of an update.

Scores, labels and gradients come in. Probabilities, losses, residuals and new weights go out. What travels together to
an epoch's kernel is named in `batches`.
"""
