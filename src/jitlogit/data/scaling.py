"""Products with a few rows, dense or sparse, of scaled features x' = (x - offset) / scale."""

from __future__ import annotations

from typing import Any

import numpy as np

from .validation import Array, is_sparse, widened


class ScaledRows:
    """Scaled rows as a linear operator in float64; sparse rows stay sparse."""

    def __init__(self, X: Any, offset: Array, scale: Array) -> None:
        self._sparse = is_sparse(X)
        self._offset: Array = offset if self._sparse else np.zeros(1)
        self._scale: Array = scale if self._sparse else np.ones(1)
        self._rows: Any = X.astype(np.float64) if self._sparse else (widened(X).astype(np.float64) - offset) / scale
        self._columns: Any = self._rows.T
        self.n_features = X.shape[1]

    def times(self, vector: Array) -> Array:
        """x' . vector of each row, (m,)."""
        scaled = vector / self._scale
        return np.asarray(self._rows @ scaled - np.sum(self._offset * scaled))

    def transposed_times(self, values: Array) -> Array:
        """Sum over the rows of values[i] x'_i, (n,)."""
        return np.asarray((self._columns @ values - self._offset * values.sum()) / self._scale)

    def squares(self) -> Array:
        """Squared length of each row, (m,)."""
        if not self._sparse:
            return np.asarray(np.einsum("ij,ij->i", self._rows, self._rows))
        inverse = 1 / self._scale**2
        crossed = self._rows @ (self._offset * inverse)
        return np.asarray(self._rows.power(2) @ inverse - 2 * crossed + np.sum(self._offset**2 * inverse))
