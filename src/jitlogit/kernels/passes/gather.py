"""A copy of chosen rows."""

from __future__ import annotations

from ...compiler.jit import outline, parallel_kernel, prange
from ..steps.shares import share_of


@parallel_kernel
def gather(rows, chosen, out, members):
    """out[i] = rows[chosen[i]]; rows (m, n_bytes) are views as uint8, in C order, so one kernel serves every dtype."""
    for member in prange(members):
        _gather(rows, chosen, share_of(member, members, chosen.size), out)


@outline
def _gather(rows, chosen, share, out):
    for i in range(share.first, share.stop):
        k = chosen[i]
        for j in range(rows.shape[1]):
            out[i, j] = rows[k, j]
