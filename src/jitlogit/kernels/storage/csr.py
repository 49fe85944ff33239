"""Sparse rows, and the two operations on them, a row at a time: its scores, and its products added to a gradient.

Weights and gradients are (n, K), since a row has few features: all numbers of one lie together.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...compiler.jit import by_type
from ..simd import lanes
from ..steps.labels import is_binary


class CSR(NamedTuple):
    """Sparse rows: `data` and `indices` (nnz,); row i has values indptr[i] ... indptr[i + 1] - 1, indptr (m + 1,)."""

    data: NDArray[Any]
    indices: NDArray[Any]
    indptr: NDArray[Any]


# Below, `data` from position p on are a row's values, and `numbers` from position `at` on are these values' features.


@by_type
def score_row(labels, data, p, count, numbers, at, weights, out_z):
    """Scores of a row into out_z (K,)."""
    return _one_score if is_binary(labels) else _several_scores


def _one_score(labels, data, p, count, numbers, at, weights, out_z):
    z = out_z.dtype.type(0)
    for t in range(count):
        z += data[np.uint64(p + t)] * weights[np.uint64(numbers[np.uint64(at + t)]), np.uint64(0)]
    out_z[0] = z


def _several_scores(labels, data, p, count, numbers, at, weights, out_z):
    n_padded = weights.shape[1]
    step = lanes.half_width(weights)
    zeros = lanes.fill_half(weights, 0.0)
    for k in range(0, n_padded, 2 * step):
        z = y = zeros
        for t in range(count):
            weight = weights[np.uint64(numbers[np.uint64(at + t)])]
            x = lanes.fill_half(weights, data[np.uint64(p + t)])
            z += x * lanes.load_half(weights, weight, k)
            if k + step < n_padded:
                y += x * lanes.load_half(weights, weight, k + step)
        lanes.store(out_z, k, z)
        if k + step < n_padded:
            lanes.store(out_z, k + step, y)


@by_type
def add_sparse_row(labels, data, p, count, numbers, at, residual, gradients):
    """gradient += x residual (K,) for each feature of a row."""
    return _add_one if is_binary(labels) else _add_several


def _add_one(labels, data, p, count, numbers, at, residual, gradients):
    r = residual[0]
    for t in range(count):
        gradients[np.uint64(numbers[np.uint64(at + t)]), np.uint64(0)] += data[np.uint64(p + t)] * r


def _add_several(labels, data, p, count, numbers, at, residual, gradients):
    n_padded = gradients.shape[1]
    step = lanes.half_width(gradients)
    for t in range(count):
        gradient = gradients[np.uint64(numbers[np.uint64(at + t)])]
        x = lanes.fill_half(gradients, data[np.uint64(p + t)])
        for k in range(0, n_padded, step):
            g = lanes.load_half(gradients, gradient, k) + x * lanes.load_half(gradients, residual, k)
            lanes.store(gradient, k, g)
