"""Products with X F X^T, one read of sparse X by columns: what wide data's parameters are, rows by rows."""

from __future__ import annotations

import numpy as np

from ...compiler.jit import kernel
from .sparse_rows import add_sparse_row, score_row


@kernel
def gram_times(
    columns,
    labels,
    given,
    total,
    offset,
    inverse_scale,
    factors,
    penalised,
    eta,
    rows,
    bounds,
    out,
    common,
    largest,
    part,
    first,
    stop,
):
    """Sums over the features, chunk by chunk, of  factor_j t_j (x_j - offset_j)  with  t_j = (x_j - offset_j)^T given.

    Parameters
    ----------
    columns : CSR
        Of the transposed, x_j (m,).
    labels
        Their type tells one score from several.
    given : (m, K)
    total : (K,)
        Its sum over the rows.
    offset, inverse_scale, factors : (n,)
    penalised : (n, K) or (0, K)
        The penalty's gradient at the first weights, eta times which is added to t_j / scale_j in `largest`; empty if
        these are zero.
    eta : float
    rows : (members, K)
        Room.
    bounds : (n_chunks + 1,) of int64
        Where the chunks' features begin.
    out, common : (n_chunks, m, K), (n_chunks, K)
        The sums of factor_j t_j x_j, and those of factor_j t_j offset_j, which are to be subtracted from each row.
    largest : (n_chunks,)
        The largest of |t_j| / scale_j, or of |t_j / scale_j + eta penalised_j|.
    """
    z, n_scores, begun = rows[part], total.size, len(penalised) > 0
    for c in range(first, stop):
        out[c] = 0.0
        common[c] = 0.0
        most = 0.0
        for j in range(bounds[c], bounds[c + 1]):
            begin = np.int64(columns.indptr[j])
            count = np.int64(columns.indptr[j + 1]) - begin
            score_row(labels, columns.data, begin, count, columns.indices, begin, given, z)
            for k in range(n_scores):
                t = z[k] - offset[j] * total[k]
                more = eta * penalised[j, k] if begun else 0.0
                most = max(most, abs(t * inverse_scale[j] + more))
                z[k] = factors[j] * t
                common[c, k] += offset[j] * z[k]
            add_sparse_row(labels, columns.data, begin, count, columns.indices, begin, z, out[c])
        largest[c] = most
