"""One pass over all rows without an update: probabilities, or the gradient for given probabilities.

Rows are cut up as in `epoch`: the chunks are those of one batch that holds all rows, and every result has the same bits
for any number of threads.
"""

from __future__ import annotations

import numpy as np

from .._jit import helper, kernel, prange
from . import link, storage
from .epoch import FOLD_ROWS


@helper
def _forward_chunk(rows, own_order, weights, bias, start, stop, tile_rows, z, out_probability):
    """Probabilities of rows start ... stop - 1; returns how many scores aren't finite."""
    not_finite = 0
    typed_bias = weights.dtype.type(bias)
    for first in range(start, stop, tile_rows):
        count = min(tile_rows, stop - first)
        storage.scores(rows, own_order, first, count, weights, typed_bias, z)
        for t in range(count):
            not_finite += not np.isfinite(z[t])
        link.probabilities(z, count, out_probability[first:stop])
    return not_finite


@kernel
def forward(rows, weights, bias, tile_rows, n_chunks, out_probability):
    """out_probability_i = sigmoid(rows_i . weights + bias), (m,); returns how many scores aren't finite."""
    n_samples = rows.shape[0]
    own_order = np.empty(0, np.uint32)
    z = np.empty((n_chunks, tile_rows), weights.dtype)
    not_finite = 0
    for c in prange(n_chunks):
        start, stop = n_samples * c // n_chunks, n_samples * (c + 1) // n_chunks
        not_finite += _forward_chunk(rows, own_order, weights, bias, start, stop, tile_rows, z[c], out_probability)
    return not_finite


@helper
def _gradient_chunk(rows, own_order, labels, probability, start, stop, tile_rows, residual, gradient, out_sums):
    """Sums of residual * row and of the residuals A - Y of rows start ... stop - 1, into out_sums (n + 1)."""
    n_features = rows.shape[1]
    zero = residual.dtype.type(0)
    out_sums[:] = 0.0
    gradient[:] = zero
    residual_sum = 0.0
    unfolded = 0
    for first in range(start, stop, tile_rows):
        count = min(tile_rows, stop - first)
        for t in range(count):
            residual[t] = probability[first + t] - labels[first + t]
            residual_sum += residual[t]
        storage.accumulate(rows, own_order, first, count, residual, gradient)
        unfolded += count
        if unfolded >= FOLD_ROWS or first + count == stop:
            for j in range(n_features):
                out_sums[j] += gradient[j]
                gradient[j] = zero
            unfolded = 0
    out_sums[n_features] = residual_sum


@kernel
def gradient(rows, labels, probability, tile_rows, n_chunks, out_sums):
    """Sums over all rows of (A - Y) x, and of A - Y, chunk by chunk, into out_sums (n_chunks, n + 1)."""
    n_samples, n_features = rows.shape
    own_order = np.empty(0, np.uint32)
    residual = np.empty((n_chunks, tile_rows), rows.dtype)
    work = np.empty((n_chunks, n_features), rows.dtype)
    for c in prange(n_chunks):
        start, stop = n_samples * c // n_chunks, n_samples * (c + 1) // n_chunks
        _gradient_chunk(rows, own_order, labels, probability, start, stop, tile_rows, residual[c], work[c], out_sums[c])


@helper
def _cost_chunk(probability, labels, eps, start, stop, tile_rows, loss):
    loss_sum = 0.0
    for first in range(start, stop, tile_rows):
        count = min(tile_rows, stop - first)
        link.clipped_losses(probability, labels, first, count, eps, loss)
        for t in range(count):
            loss_sum += loss[t]
    return loss_sum


@kernel
def cost(probability, labels, eps, tile_rows, n_chunks, out_sums):
    """Sums of the losses, chunk by chunk, into out_sums (n_chunks,); probabilities are clipped to [eps, 1 - eps]."""
    n_samples = probability.size
    loss = np.empty((n_chunks, tile_rows), probability.dtype)
    for c in prange(n_chunks):
        start, stop = n_samples * c // n_chunks, n_samples * (c + 1) // n_chunks
        out_sums[c] = _cost_chunk(probability, labels, eps, start, stop, tile_rows, loss[c])


@helper
def _sigmoid_chunk(z, start, stop, tile_rows, out_probability):
    for first in range(start, stop, tile_rows):
        link.probabilities(z[first:stop], min(tile_rows, stop - first), out_probability[first:stop])


@kernel
def sigmoid(z, tile_rows, n_chunks, out_probability):
    """out_probability_i = sigmoid(z_i), (m,)."""
    for c in prange(n_chunks):
        start, stop = z.size * c // n_chunks, z.size * (c + 1) // n_chunks
        _sigmoid_chunk(z, start, stop, tile_rows, out_probability)
