"""The mean Hessian of some rows' losses."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..compiler.threads import members_for, run
from ..data.validation import Array, is_sparse, widened
from ..kernels.passes.hessian_sums import TILE_ROWS, HessianSpace, Scaling, hessians, panel_width
from ..kernels.simd.arrays import PADDING
from .cost import LEAST_CURVATURE, Cost

# Zen 4, two cores. A chunk has this many rows at least, or as many as features, if these are more. The others are the
# most chunks, and the most bytes of the sums of more than two.
_CHUNK_ROWS, _MOST_CHUNKS, _MOST_BYTES = 8 * TILE_ROWS, 16, 32_000_000
#: Time to read a value of X, in multiplications of two numbers (Zen 4, two cores).
PRODUCTS_A_VALUE = 4


def mean_hessian(cost: Cost, parameters: Array, rows: Array, sample_weight: Array | float) -> tuple[Array, Array]:
    """Mean of the Hessians of some rows' losses, and the variances of their scaled features.

    Parameters
    ----------
    parameters : (K, n + 1)
        The Hessian is taken here. A loss of several classes has the mean of their p (1 - p) as its curvature.
    rows : (size, n) of float32 or float64, in C order
    sample_weight : (size,) or float

    Returns
    -------
    (n + 1, n + 1), (n,) of float64
        The lower triangle of the Hessian, with the bias in the last row; the variances.
    """
    (size, n), dtype, n_scores = rows.shape, rows.dtype, len(parameters)
    width = panel_width(dtype)
    n_panels = n // width + 1
    most = max(2, min(_MOST_CHUNKS, _MOST_BYTES // ((n_panels * width) ** 2 * dtype.itemsize)))
    n_chunks = min(most, -(-size // max(_CHUNK_ROWS, n)))
    n_bytes = size * n * (1 + n / PRODUCTS_A_VALUE) * dtype.itemsize
    members = members_for(cost.n_threads, n_chunks, n_bytes)

    def padded(values: Any, length: int) -> Array:
        array = np.zeros(length + PADDING, dtype)
        array[:length] = values
        return array

    given = padded(sample_weight, size)
    weights = np.zeros((n_scores, n_panels * width), dtype)
    weights[:, : n + 1] = parameters
    squares = np.zeros((n_chunks, n + PADDING), dtype)
    sums = np.zeros((n_chunks, weights.shape[1], weights.shape[1]), dtype)
    scaling = Scaling(padded(cost.offset, n), padded(cost.inverse_scale, n))
    panels = np.zeros((members, n_panels, TILE_ROWS, width), dtype)
    space = HessianSpace(panels, np.zeros((members, n_scores, TILE_ROWS), dtype))
    run(hessians, members, rows, given, scaling, weights, dtype.type(LEAST_CURVATURE), space, squares, sums)
    hessian = sums[:, : n + 1, : n + 1].sum(axis=0, dtype=np.float64) / size
    variances = squares[:, :n].sum(axis=0, dtype=np.float64) / given.sum(dtype=np.float64)
    return hessian, variances


def dense(rows: Any, dtype: Any) -> Array:
    """Rows of `dtype` in C order, copied only if they aren't."""
    if is_sparse(rows):
        rows = rows.toarray()
    return np.ascontiguousarray(rows if rows.dtype == dtype else widened(rows), dtype)
