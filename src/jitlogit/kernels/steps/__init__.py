"""The room for the mathematics of a row and of an update: link, labels, order and update rules.

Scores, labels, gradients and the named tuples of `batches` come in. Probabilities, losses, residuals and updated
weights go out.
"""
