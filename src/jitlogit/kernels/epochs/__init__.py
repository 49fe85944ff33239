"""Loops with updates.

Rows, labels, their order and learning rates come in. Weights go out, changed batch by batch. One driver, `team`, shares
the batches among the members of a parallel region; each file says how its kind of rows walks a batch.
"""
