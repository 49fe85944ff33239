"""How rows lie in memory: C order, F order, packed, sparse.

Rows in one of these forms come in. Scores and sums of gradients go out, by the two operations that each form offers:
`scores` and `accumulate`. `plan` chooses the sizes of chunks and tiles.
"""
