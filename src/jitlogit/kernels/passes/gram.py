"""Products with X F X^T from one read of sparse X by columns, for wide data, with F a diagonal factor by feature."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...compiler.jit import outline, parallel_kernel, prange
from ..steps.shares import share_of
from ..storage.csr import add_sparse_row, score_row


class GramFeatures(NamedTuple):
    """Constants of the features of sparse X by columns."""

    bounds: NDArray[np.int64]  # (n_chunks + 1,) chunk c has features bounds[c] ... bounds[c + 1] - 1
    offset: NDArray[np.float64]  # (n,)
    inverse_scale: NDArray[np.float64]  # (n,)
    factors: NDArray[np.float64]  # (n,)
    has_penalised: bool  # whether initial weights aren't zero; else the array after this isn't read
    penalised: NDArray[np.float64]  # (n, K) the penalty's gradient at the initial weights


class GramSpace(NamedTuple):
    """Arrays that `gram_times` works in, and its results, chunk by chunk."""

    given: NDArray[np.float64]  # (m, K) the factor of X^T
    rows: NDArray[np.float64]  # (members, K) scores of a feature
    out: NDArray[np.float64]  # (n_chunks, m, K) sums of factor_j t_j x_j
    common: NDArray[np.float64]  # (n_chunks, K) sums of factor_j t_j offset_j, which the caller subtracts from each row
    largest: NDArray[np.float64]  # (n_chunks,) largest |t_j / scale_j + eta penalised_j|


@parallel_kernel
def gram_times(columns, features, labels, total, eta, space, members):
    """Sums over the features, chunk by chunk, of  factor_j t_j (x_j - offset_j)  with  t_j = (x_j - offset_j)^T given.

    `columns` is the CSR of X^T, with x_j (m,) as rows. The type of `labels` says whether there is one score or several.
    `total` (K,) is the sum of `given` over the rows. `eta` scales the penalty's gradient within `space.largest`.
    """
    for member in prange(members):
        _gram_times(columns, features, labels, total, eta, space, share_of(member, members, space.largest.size))


@outline
def _gram_times(columns, features, labels, total, eta, space, share):
    offset, z, n_scores = features.offset, space.rows[share.member], total.size
    for c in range(share.first, share.stop):
        out, common = space.out[c], space.common[c]
        out[:] = 0.0
        common[:] = 0.0
        most = 0.0
        for j in range(features.bounds[c], features.bounds[c + 1]):
            begin = np.int64(columns.indptr[j])
            count = np.int64(columns.indptr[j + 1]) - begin
            score_row(labels, columns.data, begin, count, columns.indices, begin, space.given, z)
            for k in range(n_scores):
                t = z[k] - offset[j] * total[k]
                more = eta * features.penalised[j, k] if features.has_penalised else 0.0
                most = max(most, abs(t * features.inverse_scale[j] + more))
                z[k] = features.factors[j] * t
                common[k] += offset[j] * z[k]
            add_sparse_row(labels, columns.data, begin, count, columns.indices, begin, z, out)
        space.largest[c] = most
