"""How rows lie in memory: C order, F order, packed, sparse.

Rows in one of these forms come in. Scores and sums of gradients go out, by the two operations that each form offers:
`scores` and `accumulate` of a tile of dense rows, `score_row` and `add_sparse_row` of a sparse one. C-ordered rows are
also taken eight or two at a time, by functions of `c_rows`. `plan` chooses the sizes of chunks and tiles.
"""
