"""How rows lie in memory: C order, F order, packed, sparse.

Rows in one of these forms come in. Each form offers the same two operations, `scores` and `accumulate`. `plan` chooses
the sizes of chunks and tiles.
"""
